"""Whether checkpoints are on disk as they were recorded: their sizes and SHA-256."""

from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.client.api import Client
from erfnet_jobs.client.document import Document
from erfnet_jobs.client.run_files import RunFiles
from erfnet_jobs.errors import NotFound
from erfnet_jobs.files import sha256_of
from erfnet_jobs.registry import given
from erfnet_jobs.registry.checkpoints import get_checkpoint, resolve_checkpoints
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.prune import TRAINED
from erfnet_jobs.registry.tables import Checkpoint

OK, MISSING, TRUNCATED, CHANGED, UNREADABLE = "ok", "missing", "truncated", "changed", "unreadable"
# No faults: the file lies where this machine does not see it; it was removed while this went on.
ELSEWHERE, REMOVED = "elsewhere", "removed"
FAULTS = (MISSING, TRUNCATED, CHANGED, UNREADABLE)


def verify(
    client: Client, references: Sequence[str], job: int | None, progress: Callable[[int, int], None]
) -> list[Document]:
    """The state of each checkpoint named, or of a job, or of all on disk but those that jobs were given by path.

    Files are read to their ends, outside of transactions. Raises NotFound.
    """
    with client.registry.read() as session:
        files = RunFiles(session, client.settings, alone=client.registry.sqlite)
        rows = [(row, _hosts(session, row, files)) for row in _chosen(session, references, job)]
    documents = []
    for done, (row, hosts) in enumerate(rows):
        progress(done, len(rows))
        documents.append(_document(client, row, hosts))
    progress(len(rows), len(rows))
    return documents


def checkpoint_rows(session: Session, reference: str) -> list[Checkpoint]:
    """The rows that a reference names; raises NotFound, also for a path that the registry does not know."""
    rows = []
    for file in resolve_checkpoints(session, reference):
        if file.id is None:
            raise NotFound(f"{reference} is no checkpoint of this registry: 'erfnet-jobs checkpoints list' lists them")
        rows.append(get_checkpoint(session, file.id))
    return rows


def _chosen(session: Session, references: Sequence[str], job: int | None) -> list[Checkpoint]:
    if references:
        named = {row.id: row for reference in references for row in checkpoint_rows(session, reference)}
        return list(named.values())
    rows = select(Checkpoint).where(Checkpoint.removed_at.is_(None), Checkpoint.origin != given.ORIGIN)
    if job is not None:
        get_job(session, job)
        rows = rows.where(Checkpoint.job_id == job)
    return list(session.scalars(rows.order_by(Checkpoint.id)))


def _hosts(session: Session, row: Checkpoint, files: RunFiles) -> tuple[str, ...] | None:
    """None where this machine must have the file; else the hosts that may."""
    if row.origin != TRAINED or row.job_id is None:
        return None if files.alone else ()
    job = get_job(session, row.job_id)
    return None if files.holds(job) else files.hosts_of(job)


def _document(client: Client, row: Checkpoint, hosts: tuple[str, ...] | None) -> Document:
    state, said = _state(row)
    if state == MISSING and hosts is not None:
        state, said = ELSEWHERE, f"on {' or '.join(hosts) or 'another machine'}"
    if state == MISSING and _has_been_removed(client, row.id):
        state, said = REMOVED, "removed while this went on"
    return {
        "checkpoint": row.id,
        "job": row.job_id,
        "path": row.path,
        "size": row.size,
        "sha256": row.sha256,
        "state": state,
        "said": said,
        "hosts": list(hosts or ()),
    }


def _has_been_removed(client: Client, checkpoint: int) -> bool:
    with client.registry.read() as session:
        return get_checkpoint(session, checkpoint).removed_at is not None


def _state(row: Checkpoint) -> tuple[str, str | None]:
    path = Path(row.path)
    try:
        size = path.stat().st_size
        if not path.is_file():
            return MISSING, "there is something else than a file"
        if size != row.size:
            return TRUNCATED if size < row.size else CHANGED, f"{size} bytes, recorded {row.size}"
        found = sha256_of(path)
    except (FileNotFoundError, NotADirectoryError):
        return MISSING, "there is no such file"
    except OSError as error:
        return UNREADABLE, error.strerror or str(error)
    return (OK, None) if found == row.sha256 else (CHANGED, f"SHA-256 {found[:12]}, recorded {row.sha256[:12]}")
