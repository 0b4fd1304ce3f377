"""Checkpoints whose weights were trained elsewhere."""

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.registry.events import Actor, now, record_event
from erfnet_jobs.registry.tables import Checkpoint
from erfnet_jobs.registry.text import printable

ORIGIN = "import"


@dataclass(frozen=True)
class ImportedFile:
    """A file of imported weights.

    `path` is absolute and without links; `source` says from which file they came, with its SHA-256.
    """

    path: str
    network: str
    sha256: str
    size: int
    source: str


def known_at(session: Session, path: str) -> list[Checkpoint]:
    """The rows on disk of the file at `path` (no link in it), whichever way they lead to it; oldest first."""
    named = Checkpoint.path.endswith(f"/{printable(Path(path).name)}", autoescape=True)
    rows = session.scalars(select(Checkpoint).where(named, Checkpoint.removed_at.is_(None)).order_by(Checkpoint.id))
    return [row for row in rows if row.path == printable(path) or os.path.realpath(row.path) == path]


def record_import(session: Session, file: ImportedFile, actor: Actor) -> Checkpoint:
    """The row of the file, which must be on disk: a new one, or the one that says the same already.

    What the registry knew of that file with other content, or by another path, has been replaced and left the disk.
    """
    path, source = printable(file.path), printable(file.source)
    said = (path, ORIGIN, file.sha256, file.network, source)
    same: Checkpoint | None = None
    for row in known_at(session, file.path):
        if (row.path, row.origin, row.sha256, row.network, row.source) == said:
            same = row
        elif (row.path, row.sha256) != (path, file.sha256):
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
