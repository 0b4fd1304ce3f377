"""Where a model came from, and what became of it."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.registry.tables import Artifact, Checkpoint


def checkpoint_of_model(session: Session, sha256: str) -> Checkpoint | None:
    """The checkpoint that a model of this hash came of, by the newest export that wrote it; None where none did."""
    came_of = select(Artifact.checkpoint_id).where(Artifact.sha256 == sha256, Artifact.checkpoint_id.is_not(None))
    newest = session.scalars(came_of.order_by(Artifact.id.desc()).limit(1)).one_or_none()
    return None if newest is None else session.get(Checkpoint, newest)
