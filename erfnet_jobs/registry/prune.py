"""Which checkpoints may leave the disk, and saying that they have: by a rule, and never what a job still needs."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, select, text, update
from sqlalchemy.orm import Session

from erfnet_jobs.choices import EXPORT_FORMATS
from erfnet_jobs.errors import NotFound
from erfnet_jobs.id_ranges import to_ranges
from erfnet_jobs.registry.checkpoints import by_validation
from erfnet_jobs.registry.evaluations import best
from erfnet_jobs.registry.events import Actor, now, record_event
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.needs import NamedWeights, named_weights
from erfnet_jobs.registry.tables import Artifact, Checkpoint, Evaluation, Job, Placement
from erfnet_jobs.states import TERMINAL, PartState

TRAINED = "train"
EVENT = "checkpoints pruned"
# Who takes it alone decides what goes; those who name weights share it, so that each sees what the other has done.
PRUNE_LOCK = 0x45524E50


@dataclass(frozen=True)
class Keep:
    """What stays of each job: so many of the best, and so many of the newest; one that is both counts for both."""

    best: int = 0
    newest: int = 0

    def __str__(self) -> str:
        counts = {"best": self.best, "newest": self.newest}
        return ",".join(f"{name}:{count}" for name, count in counts.items() if count)


@dataclass(frozen=True)
class Going:
    """A checkpoint that may go; `mean_iou` is the figure by which it was compared, with what else came of it."""

    checkpoint: Checkpoint
    mean_iou: float | None
    evaluations: int
    exports: int


@dataclass(frozen=True)
class JobPrune:
    """What a rule means for a job. `alone` says why nothing of it is touched; `needed` who needs what else stays."""

    job: Job
    kept: tuple[Checkpoint, ...]
    needed: Mapping[int, str]
    going: tuple[Going, ...]
    alone: str | None


def lock_weights(session: Session, *, alone: bool) -> None:
    """Wait until nobody decides what goes (`alone`: nor names weights), and keep it so until the transaction ends.

    In SQLite a transaction that writes is alone anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        kind = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        session.execute(text(f"SELECT {kind}(:key)"), {"key": PRUNE_LOCK})


def check_not_pruned(session: Session, path: str) -> None:
    """Raise NotFound for the path of a checkpoint that has been marked as removed: its file is about to go."""
    spelled = {path, os.path.realpath(path)}
    rows = select(Checkpoint).where(Checkpoint.path.in_(spelled), Checkpoint.origin == TRAINED)
    found = session.scalars(rows).all()
    if found and all(row.removed_at is not None for row in found):
        raise NotFound(
            f"checkpoint {found[0].id} ({path}) has left the disk: name another, such as {found[0].job_id}:last"
        )


def prune_plans(session: Session, keep: Keep, job: int | None = None) -> list[JobPrune]:
    """What goes and what stays of a job, or of all that have trained checkpoints on disk; raises NotFound.

    The best are those of the network of the job's last stage: by the mean IoU of its evaluations, in the group that
    `best --job` compares; without any by what the training measured on val; without that the newest stand for them.
    """
    if job is not None:
        get_job(session, job)
    named = named_weights(session)
    return [_plan(session, keep, get_job(session, number), named) for number in _jobs(session, job)]


def mark_pruned(session: Session, keep: Keep, wanted: Mapping[int, Iterable[int]], actor: Actor) -> list[Checkpoint]:
    """Mark checkpoints (ids by job) as removed, but for those that by now stay; gives those that it marked.

    To be called with a transaction's write lock; the files go only after it has ended.
    """
    lock_weights(session, alone=True)
    named = named_weights(session)
    marked: list[Checkpoint] = []
    for number, ids in wanted.items():
        plan = _plan(session, keep, get_job(session, number), named)
        going = [one.checkpoint for one in plan.going if one.checkpoint.id in set(ids)]
        if going:
            _mark(session, number, going)
            what = f"{len(going)} ({to_ranges(row.id for row in going)}), kept {keep}"
            record_event(session, EVENT, what, job=number, actor=actor)
            marked += going
    return marked


def _mark(session: Session, job: int, going: Sequence[Checkpoint]) -> None:
    own = update(Checkpoint).where(Checkpoint.job_id == job, Checkpoint.id.in_([row.id for row in going]))
    session.execute(own.where(Checkpoint.removed_at.is_(None)).values(removed_at=now(session)))


def trained(session: Session, job: int, *, removed: bool) -> list[Checkpoint]:
    """The checkpoints that a job wrote, oldest first: those on disk, or those that have left it."""
    gone = Checkpoint.removed_at.is_not(None) if removed else Checkpoint.removed_at.is_(None)
    return list(session.scalars(_trained(job).where(gone).order_by(Checkpoint.id)))


def _trained(job: int) -> Select[tuple[Checkpoint]]:
    return select(Checkpoint).where(Checkpoint.job_id == job, Checkpoint.origin == TRAINED)


def _jobs(session: Session, job: int | None) -> list[int]:
    if job is not None:
        return [job]
    there = select(Checkpoint.job_id).where(Checkpoint.removed_at.is_(None), Checkpoint.origin == TRAINED)
    return [number for number in session.scalars(there.distinct().order_by(Checkpoint.job_id)) if number is not None]


def _plan(session: Session, keep: Keep, job: Job, named: NamedWeights) -> JobPrune:
    rows = trained(session, job.id, removed=False)
    alone = _why_alone(session, job, named)
    if alone is not None or not rows:
        return JobPrune(job, tuple(rows), {}, (), alone)
    by_age = sorted(rows, key=lambda row: (row.stage or 0, row.id), reverse=True)
    figures = _figures(session, job.id, by_age[0])
    last_stage = [row for row in by_age if row.stage == by_age[0].stage]
    ranked = [row for number in figures for row in rows if row.id == number] or last_stage
    stay = {row.id for row in (*ranked[: keep.best], *by_age[: keep.newest])}
    needed = {row.id: why for row in rows if row.id not in stay and (why := named.why(row))}
    going = [row for row in rows if row.id not in stay and row.id not in needed]
    evaluations = _count(session, Evaluation, going)
    exports = _count(session, Artifact, going, Artifact.format.in_(EXPORT_FORMATS))
    return JobPrune(
        job=job,
        kept=tuple(row for row in rows if row.id in stay or row.id in needed),
        needed=needed,
        going=tuple(
            Going(row, figures.get(row.id), evaluations.get(row.id, 0), exports.get(row.id, 0)) for row in going
        ),
        alone=None,
    )


def _why_alone(session: Session, job: Job, named: NamedWeights) -> str | None:
    if job.state not in TERMINAL:
        return f"it is {job.state}, and may go on from any of them"
    ends = select(Placement.host_name).where(Placement.job_id == job.id, Placement.state != PartState.ENDED).limit(1)
    if (host := session.scalar(ends)) is not None:
        return f"its processes on {host} have not ended"
    return named.jobs.get(job.id)


def _figures(session: Session, job: int, newest: Checkpoint) -> dict[int, float]:
    """Checkpoints by mean IoU, the best first."""
    try:
        rows = best(session, "mean_iou", job=job, network=newest.network, top=2**31).rows
    except NotFound:
        return {row.id: value for row, value in session.execute(by_validation(newest)).tuples()}
    # Of several evaluations of one the best counts, which comes first.
    own: dict[int, float] = {}
    for row in rows:
        if row.checkpoint is not None and row.job == job:
            own.setdefault(row.checkpoint, row.value)
    return own


def _count(
    session: Session, table: type[Evaluation] | type[Artifact], rows: Sequence[Checkpoint], *which: ColumnElement[bool]
) -> dict[int, int]:
    of_rows = table.checkpoint_id.in_([row.id for row in rows])
    counted = select(table.checkpoint_id, func.count()).where(of_rows, *which).group_by(table.checkpoint_id)
    return {number: count for number, count in session.execute(counted) if number is not None}
