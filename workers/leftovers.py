"""Checkpoints that left the disk without their report: whoever removed them was gone before it was stored."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.parts import PartKey
from erfnet_jobs.registry.tables import Checkpoint


def checkpoints_gone(registry: Registry, key: PartKey) -> list[int]:
    """The ids of an attempt's checkpoints that are said to be on disk and are not.

    To be asked on the host of rank 0, which sees them, and once no process of the part is left.
    """
    stored = select(Checkpoint.id, Checkpoint.path).where(
        Checkpoint.job_id == key.job, Checkpoint.attempt == key.attempt, Checkpoint.removed_at.is_(None)
    )
    with registry.read() as session:
        rows = session.execute(stored).tuples().all()
    return [number for number, path in rows if _is_gone(Path(path))]


def forget(session: Session, checkpoints: Sequence[int]) -> None:
    """Have the registry say that these have left the disk."""
    if checkpoints:
        session.execute(
            update(Checkpoint)
            .where(Checkpoint.id.in_(checkpoints), Checkpoint.removed_at.is_(None))
            .values(removed_at=now(session))
        )


def _is_gone(path: Path) -> bool:
    """Not where the whole folder is out of sight: a storage that is not mounted comes back."""
    try:
        return path.parent.is_dir() and not path.exists()
    except OSError:
        return False
