"""A checkpoint and all that belongs to it as one tar archive, which is the same again for the same contents."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.orm import Session

from erfnet_jobs.client.api import Client
from erfnet_jobs.client.document import Document
from erfnet_jobs.client.job_documents import value_document
from erfnet_jobs.client.model_card import model_card
from erfnet_jobs.client.model_documents import checkpoint_document, evaluation_document
from erfnet_jobs.client.output_files import output_errors, output_path
from erfnet_jobs.client.run_files import RunFiles, data_hash, run_document
from erfnet_jobs.client.verifying import checkpoint_rows
from erfnet_jobs.erfnet.manifest import check_hash
from erfnet_jobs.errors import BadCheckpoint, NotFound, UsageError
from erfnet_jobs.files import atomic_file, sha256_of
from erfnet_jobs.registry.evaluations import PREFERENCE
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.lineage import lineage_of
from erfnet_jobs.registry.metrics import metric_names, metric_series
from erfnet_jobs.registry.tables import Checkpoint, Evaluation, Job

SUFFIX = ".tar"
CARD, SUMS = "README.md", "SHA256SUMS"
JOB, METRICS, EVALUATIONS = "job.json", "metrics.json", "evaluations.json"


def archive_path(output: str) -> Path:
    """Where the archive goes; raises UsageError where it cannot be meant."""
    return output_path(output, (SUFFIX,))


def write_bundle(client: Client, reference: str, path: Path) -> Document:
    """Write the archive, whole or not at all, and say what is in it.

    Raises NotFound for a checkpoint that is not known or lies elsewhere, BadCheckpoint for one that is not as it was
    recorded, DiskFull and UsageError where the archive cannot be written.
    """
    with client.registry.read() as session:
        row = _one(session, reference)
        _check_here(session, row, RunFiles(session, client.settings, alone=client.registry.sqlite))
        texts = _texts(session, row)
    check_hash(Path(row.path), row.sha256)
    name = Path(row.path).name
    hashes = {name: row.sha256, **{one: hashlib.sha256(content).hexdigest() for one, content in texts.items()}}
    texts[SUMS] = "".join(f"{hashes[one]}  {one}\n" for one in sorted(hashes)).encode()
    folder = f"erfnet-checkpoint-{row.id}"
    with output_errors(path), atomic_file(path) as file:
        _write(file, row, folder, texts)
    return {
        "path": str(path),
        "checkpoint": row.id,
        "folder": folder,
        "files": sorted((name, *texts)),
        "size": path.stat().st_size,
        "sha256": sha256_of(path),
    }


def _one(session: Session, reference: str) -> Checkpoint:
    rows = checkpoint_rows(session, reference)
    if len(rows) > 1:
        raise UsageError(f"{reference} names {len(rows)} checkpoints, and an archive holds one: name one of them")
    if rows[0].removed_at is not None:
        raise NotFound(f"checkpoint {rows[0].id} ({rows[0].path}) has left the disk: name another")
    return rows[0]


def _check_here(session: Session, row: Checkpoint, files: RunFiles) -> None:
    if Path(row.path).exists() or files.alone:
        return
    hosts = files.hosts_of(get_job(session, row.job_id)) if row.job_id is not None else ()
    where = " or ".join(hosts) or "another machine"
    raise NotFound(f"checkpoint {row.id} lies on {where} ({row.path}), and is not seen from here: run this there")


def _texts(session: Session, row: Checkpoint) -> dict[str, bytes]:
    """The files beside the checkpoint; those of the job only where it was trained here."""
    measured = sorted(lineage_of(session, row).evaluations, key=_by_preference)
    evaluations = [evaluation_document(one) for one in measured]
    texts = {EVALUATIONS: _json(evaluations)}
    job, data = None, None
    if row.job_id is not None:
        trained = get_job(session, row.job_id)
        job = _job(trained, Path(row.path))
        data = data_hash(Path(row.path).parent)
        texts |= {JOB: _json(job), METRICS: _json(_metrics(session, trained.id))}
    texts[CARD] = model_card(checkpoint_document(row), job, evaluations, data).encode()
    return texts


def _by_preference(evaluation: Evaluation) -> tuple[int, int]:
    return -PREFERENCE.get(evaluation.protocol, 0), -evaluation.id


def _job(job: Job, checkpoint: Path) -> Mapping[str, Any]:
    """What the run wrote of its job; where that is gone, what the registry knows."""
    folder = checkpoint.parent.parent.parent
    return run_document(folder, job.id) or {
        "job": job.id,
        "name": job.name,
        "user": f"{job.user_name}@{job.user_host}",
        "submitted_at": job.created_at.isoformat(),
        "spec": json.loads(job.spec),
    }


def _metrics(session: Session, job: int) -> Document:
    """All values of what is measured once an epoch, the newest of everything else."""
    found: Document = {}
    for name in metric_names(session, job):
        limit = None if name.startswith("val_") or name == "epoch_loss" else 1
        values = map(value_document, metric_series(session, job, name, limit))
        found[name] = [{key: value for key, value in one.items() if key != "name"} for one in values]
    return found


def _json(document: object) -> bytes:
    return json.dumps(document, indent=2, allow_nan=False).encode() + b"\n"


def _write(file: BinaryIO, row: Checkpoint, folder: str, texts: Mapping[str, bytes]) -> None:
    """All in order of their names; the checkpoint is hashed once more as it goes in."""
    source = Path(row.path)
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted((source.name, *texts)):
            if name == source.name:
                with source.open("rb") as content:
                    _add(archive, f"{folder}/{name}", _Hashed(content, row), row.size, row.created_at)
            else:
                _add(archive, f"{folder}/{name}", io.BytesIO(texts[name]), len(texts[name]), row.created_at)


def _add(archive: tarfile.TarFile, name: str, content: Any, size: int, at: datetime) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, int(at.timestamp()), 0o644
    archive.addfile(entry, content)
    if isinstance(content, _Hashed):
        content.check()


class _Hashed:
    """A file that is hashed while it is read."""

    def __init__(self, file: BinaryIO, row: Checkpoint) -> None:
        self._file, self._row = file, row
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        block = self._file.read(size)
        self._hash.update(block)
        return block

    def check(self) -> None:
        """Raise BadCheckpoint where what was read is not what was recorded."""
        if self._hash.hexdigest() != self._row.sha256:
            raise BadCheckpoint(f"{self._row.path} changed while it was read: run this again")
