"""Checkpoints whose weights were trained elsewhere."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.registry.events import Actor, now, record_event
from erfnet_jobs.registry.tables import Checkpoint
from erfnet_jobs.registry.text import printable

ORIGIN = "import"


@dataclass(frozen=True)
class ImportedFile:
    """A file of imported weights: `path` is absolute, `source` says from which file they came, with its SHA-256."""

    path: str
    network: str
    sha256: str
    size: int
    source: str


def record_import(session: Session, file: ImportedFile, actor: Actor) -> Checkpoint:
    """The row of the file, which must be on disk: a new one, or the one that says the same already.

    What the registry knew at that path with other content has been replaced, and has left the disk.
    """
    path, source = printable(file.path), printable(file.source)
    there = select(Checkpoint).where(Checkpoint.path == path, Checkpoint.removed_at.is_(None))
    same: Checkpoint | None = None
    for row in session.scalars(there.order_by(Checkpoint.id)):
        if (row.origin, row.sha256, row.network, row.source) == (ORIGIN, file.sha256, file.network, source):
            same = row
        elif row.sha256 != file.sha256:
            row.removed_at = now(session)
    if same is not None:
        return same
    new = Checkpoint(
        network=file.network,
        path=path,
        sha256=file.sha256,
        size=file.size,
        origin=ORIGIN,
        source=source,
        created_at=now(session),
    )
    session.add(new)
    session.flush()
    record_event(session, "weights imported", f"checkpoint {new.id}, {path}, from {source}", actor=actor)
    return new
