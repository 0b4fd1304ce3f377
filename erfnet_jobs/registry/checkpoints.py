"""Checkpoints that the registry knows: finding those that a user names, and listing them."""

import os
import re

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from erfnet_jobs.errors import NotFound
from erfnet_jobs.plan import CheckpointFile
from erfnet_jobs.registry import given
from erfnet_jobs.registry.evaluations import best
from erfnet_jobs.registry.jobs import MAX_ID, get_job
from erfnet_jobs.registry.tables import Checkpoint, Metric
from erfnet_jobs.registry.text import printable

LIST_LIMIT = 50
# The metric in which a training says how good its newest checkpoint is on the validation split.
VALIDATED = "val_mean_iou"
_OF_JOB = re.compile(r"(\d+):(best|last|all)")


def checkpoint_file(row: Checkpoint) -> CheckpointFile:
    """What a plan says of a checkpoint."""
    return CheckpointFile(
        path=row.path,
        network=row.network,
        sha256=row.sha256,
        id=row.id,
        stage=row.stage,
        epoch=row.epoch,
        step=row.step,
    )


def get_checkpoint(session: Session, checkpoint_id: int) -> Checkpoint:
    """The checkpoint's row; raises NotFound."""
    row = session.get(Checkpoint, checkpoint_id) if checkpoint_id <= MAX_ID else None
    if row is None:
        raise NotFound(
            f"checkpoint {checkpoint_id} is unknown to this registry: 'erfnet-jobs checkpoints list' lists them"
        )
    return row


def list_checkpoints(
    session: Session, job: int | None = None, *, with_removed: bool = False, limit: int = LIST_LIMIT
) -> list[Checkpoint]:
    """Checkpoints (of a job), newest first. Raises NotFound for an unknown job."""
    if job is not None:
        get_job(session, job)
    rows = select(Checkpoint).order_by(Checkpoint.id.desc()).limit(limit)
    if job is not None:
        rows = rows.where(Checkpoint.job_id == job)
    if not with_removed:
        rows = rows.where(Checkpoint.removed_at.is_(None))
    return list(session.scalars(rows))


def resolve_checkpoints(session: Session, reference: str, network: str | None = None) -> list[CheckpointFile]:
    """The files that a reference names: an id, JOB:best, JOB:last, JOB:all, or else a path.

    JOB:best is the best by mean IoU of the newest group of evaluations of the job's checkpoints; where none was
    evaluated, what the training itself measured says which; else it is the last one. JOB:last is the newest of the last
    stage; JOB:all are all that are on disk, oldest first. With `network`, only checkpoints of that network count;
    without, JOB:best is of the last stage's. A path that the registry does not know
    gives that path alone. Raises NotFound for what is unknown, or has left the disk.
    """
    if reference.isdecimal():
        return [_by_id(session, int(reference))]
    if found := _OF_JOB.fullmatch(reference):
        job, which = int(found[1]), found[2]
        get_job(session, job)
        if which == "all":
            return _all(session, job, network)
        best_one = _best(session, job, network) if which == "best" else None
        return [best_one or _last(session, job, network)]
    return [_by_path(session, reference)]


def resumable(session: Session, job: int, limit: int = 10) -> list[tuple[CheckpointFile, int]]:
    """The newest checkpoints on disk of all attempts of a job, newest first, with their sizes in bytes."""
    rows = session.scalars(_on_disk(job).order_by(Checkpoint.id.desc()).limit(limit))
    return [(checkpoint_file(row), row.size) for row in rows]


def _on_disk(job: int, network: str | None = None) -> Select[tuple[Checkpoint]]:
    rows = select(Checkpoint).where(Checkpoint.job_id == job, Checkpoint.removed_at.is_(None))
    return rows if network is None else rows.where(Checkpoint.network == network)


def _by_id(session: Session, checkpoint_id: int) -> CheckpointFile:
    row = get_checkpoint(session, checkpoint_id)
    if row.removed_at is not None:
        why = (
            "it was replaced; name another"
            if row.job_id is None
            else f"its training or a prune removed it; name another, such as {row.job_id}:last"
        )
        raise NotFound(f"checkpoint {checkpoint_id} ({row.path}) has left the disk: {why}")
    return checkpoint_file(row)


def _by_path(session: Session, path: str) -> CheckpointFile:
    spelled = {path, printable(os.path.realpath(path))}
    known = select(Checkpoint).where(Checkpoint.path.in_(spelled), Checkpoint.removed_at.is_(None))
    ours = known.where(Checkpoint.origin != given.ORIGIN)
    row = session.scalars(ours.order_by(Checkpoint.id.desc()).limit(1)).one_or_none()
    return checkpoint_file(row) if row else CheckpointFile(path)


def _all(session: Session, job: int, network: str | None) -> list[CheckpointFile]:
    rows = session.scalars(_on_disk(job, network).order_by(Checkpoint.id)).all()
    if not rows:
        raise _none_of(job, network)
    return [checkpoint_file(row) for row in rows]


def _newest(session: Session, job: int, network: str | None) -> Checkpoint | None:
    newest = _on_disk(job, network).order_by(Checkpoint.stage.desc(), Checkpoint.id.desc()).limit(1)
    return session.scalars(newest).one_or_none()


def _last(session: Session, job: int, network: str | None) -> CheckpointFile:
    row = _newest(session, job, network)
    if row is None:
        raise _none_of(job, network)
    return checkpoint_file(row)


def _best(session: Session, job: int, network: str | None) -> CheckpointFile | None:
    newest = _newest(session, job, network)
    if network is None and newest is not None:
        network = newest.network
    try:
        row = best(session, "mean_iou", job=job, network=network).rows[0]
    except NotFound:
        return _best_validated(session, newest) if newest is not None else None
    return _by_id(session, row.checkpoint) if row.checkpoint is not None else CheckpointFile(row.path)


def _best_validated(session: Session, newest: Checkpoint) -> CheckpointFile | None:
    row = session.scalars(by_validation(newest).limit(1)).one_or_none()
    return checkpoint_file(row) if row else None


def by_validation(newest: Checkpoint) -> Select[tuple[Checkpoint, float]]:
    """Checkpoints on disk of the newest one's job and stage, with the mean IoU its training measured, best first."""
    return (
        _on_disk(newest.job_id or 0)
        .add_columns(Metric.value)
        .join(
            Metric,
            (Metric.job_id == Checkpoint.job_id)
            & (Metric.attempt == Checkpoint.attempt)
            & (Metric.stage == Checkpoint.stage)
            & (Metric.epoch == Checkpoint.epoch),
        )
        .where(Metric.name == VALIDATED, Checkpoint.stage == newest.stage)
        .order_by(Metric.value.desc(), Checkpoint.id.desc())
    )


def _none_of(job: int, network: str | None) -> NotFound:
    kind = f"{network} checkpoint" if network else "checkpoint"
    return NotFound(f"job {job} has no {kind} on disk: 'erfnet-jobs checkpoints list --job {job}' lists what it had")
