"""Checkpoints that a job was given by path and the registry did not know: what came of them must lead back to them."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.tables import Checkpoint
from erfnet_jobs.registry.text import printable

ORIGIN = "path"


def record_given(session: Session, path: str, network: str, sha256: str, size: int) -> Checkpoint:
    """The row of the file as the job read it: a new one, or the one that says the same already.

    Its owner may put another file there at any time, so a path alone never leads to such a row; when one is recorded,
    those of older contents have been replaced.
    """
    same: Checkpoint | None = None
    there = select(Checkpoint).where(Checkpoint.path == printable(path), Checkpoint.origin == ORIGIN)
    for row in session.scalars(there.where(Checkpoint.removed_at.is_(None)).order_by(Checkpoint.id)):
        if (row.sha256, row.network) == (sha256, network):
            same = row
        else:
            row.removed_at = now(session)
    if same is not None:
        return same
    new = Checkpoint(
        network=printable(network),
        path=printable(path),
        sha256=sha256,
        size=size,
        origin=ORIGIN,
        created_at=now(session),
    )
    session.add(new)
    session.flush()
    return new
