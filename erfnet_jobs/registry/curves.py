"""Curves of trainings over epochs: what their ranks reported, and what evaluations of their checkpoints measured.

Steps count within a stage, and an epoch has more or fewer of them by the batch. So a point's place is counted in epochs
from the beginning of the job's first stage: runs with other batches and cards lie over one another.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.choices import EVALUATION_METRICS
from erfnet_jobs.errors import NotFound
from erfnet_jobs.registry.evaluations import DEFAULT_SPLIT, Group, choose_group, group_of
from erfnet_jobs.registry.figures import CLASS_PREFIX, FIGURES
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.metrics import Value, metric_names, metric_series
from erfnet_jobs.registry.tables import Checkpoint, Evaluation, Job
from erfnet_jobs.specs import known_spec
from erfnet_jobs.train_spec import TrainSpec

# What a training calls a figure of evaluations when it measures its validation split itself.
OWN_NAMES = {"mean_iou": "val_mean_iou", "pixel_accuracy": "val_pixel_accuracy", "mean_loss": "val_loss"}
EVALUATED = "evaluations"


@dataclass(frozen=True)
class Span:
    """A stage of a job: its epochs lie from `start` to `end` on the axis of all stages."""

    stage: int
    start: int
    end: int


@dataclass(frozen=True)
class Point:
    """A value at `x` epochs from the beginning; `epoch` (from 1) and `step` count within the stage."""

    x: float
    value: float
    stage: int
    epoch: int
    step: int


@dataclass(frozen=True)
class Curve:
    """One job's values of a metric, in order of `x`. `source` is the name of what its ranks reported, or EVALUATED."""

    job: int
    source: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Panel:
    """The curves of one metric; evaluations among them are of `group` only. `without` are jobs that have no value."""

    metric: str
    curves: tuple[Curve, ...]
    group: Group | None
    without: tuple[int, ...]


def spans_of(job: Job) -> tuple[Span, ...]:
    """The stages of a training; raises NotFound for another kind of job, which has no epochs."""
    spec = known_spec(job.spec)
    if not isinstance(spec, TrainSpec):
        raise NotFound(f"job {job.id} is of kind {job.kind}, and only trainings have curves: name a training")
    spans: list[Span] = []
    for stage in spec.stages:
        start = spans[-1].end if spans else 0
        spans.append(Span(stage, start, start + spec.epochs[stage - 1]))
    return tuple(spans)


def panel_of(session: Session, metric: str, jobs: Sequence[int]) -> Panel:
    """The curves of a metric of several trainings.

    What the ranks reported under that name, or of a figure of evaluations what a training reports as its own
    (OWN_NAMES); and the evaluations of the jobs' checkpoints on val, all of the group that `best` would compare.
    Raises NotFound for an unknown job, and where no job has any such value, with the names that there are.
    """
    rows = {job: get_job(session, job) for job in jobs}
    group, evaluated = _evaluated(session, metric, rows)
    curves: list[Curve] = []
    for number, job in rows.items():
        name = _reported_as(metric, metric_names(session, number))
        if name is not None:
            values = metric_series(session, number, name)
            curves.append(Curve(number, name, placed(values, spans_of(job), job.steps)))
        if number in evaluated:
            curves.append(Curve(number, EVALUATED, evaluated[number]))
    if not curves:
        raise NotFound(_unknown(session, metric, rows))
    known = {curve.job for curve in curves}
    return Panel(metric, tuple(curves), group, tuple(job for job in rows if job not in known))


def placed(values: Iterable[Value], spans: Sequence[Span], steps: int | None) -> tuple[Point, ...]:
    """Values as points; `steps` of an epoch, or where that is not known the fewest that the values allow."""
    known = list(values)
    per_epoch = max([steps or 1, *(-(-value.step // value.epoch) for value in known if value.epoch > 0)])
    starts = {span.stage: span.start for span in spans}
    points = []
    for value in known:
        within = (value.step - (value.epoch - 1) * per_epoch) / per_epoch
        x = starts.get(value.stage, 0) + value.epoch - 1 + min(max(within, 0.0), 1.0)
        points.append(Point(x, value.value, value.stage, value.epoch, value.step))
    return tuple(sorted(points, key=lambda point: point.x))


def _reported_as(metric: str, names: Sequence[str]) -> str | None:
    return next((name for name in (metric, OWN_NAMES.get(metric)) if name in names), None)


def _evaluated(
    session: Session, metric: str, jobs: Mapping[int, Job]
) -> tuple[Group | None, dict[int, tuple[Point, ...]]]:
    figure = FIGURES.get(metric)
    if figure is None:
        return None, {}
    of_jobs = (
        select(Evaluation, Checkpoint)
        .join(Checkpoint, Checkpoint.id == Evaluation.checkpoint_id)
        .where(Checkpoint.job_id.in_(list(jobs)), Checkpoint.epoch.is_not(None), Checkpoint.stage.is_not(None))
        .where(Evaluation.split == DEFAULT_SPLIT, Evaluation.model_sha256.is_(None))
        .order_by(Evaluation.id)
    )
    rows = session.execute(of_jobs).tuples().all()
    group = choose_group({group_of(evaluation): evaluation.id for evaluation, _ in rows})
    # By checkpoint, so that of several evaluations of one the newest counts.
    found: dict[int, dict[int, Point]] = {}
    for evaluation, checkpoint in rows:
        value = figure.of(evaluation)
        if value is not None and group_of(evaluation) == group and checkpoint.job_id is not None:
            starts = {span.stage: span.start for span in spans_of(jobs[checkpoint.job_id])}
            stage, epoch = checkpoint.stage or 0, checkpoint.epoch or 0
            point = Point(starts.get(stage, 0) + epoch, value, stage, epoch, checkpoint.step or 0)
            found.setdefault(checkpoint.job_id, {})[checkpoint.id] = point
    by_job = {job: tuple(sorted(points.values(), key=lambda one: one.x)) for job, points in found.items()}
    return group if by_job else None, by_job


def _unknown(session: Session, metric: str, jobs: Mapping[int, Job]) -> str:
    for job in jobs.values():
        spans_of(job)
    names = {name for number in jobs for name in metric_names(session, number)}
    checkpoints = select(Checkpoint.id).where(Checkpoint.job_id.in_(list(jobs)))
    if session.scalar(select(Evaluation.id).where(Evaluation.checkpoint_id.in_(checkpoints)).limit(1)) is not None:
        names.update((*EVALUATION_METRICS, f"{CLASS_PREFIX}CLASS"))
    which = f"job{'s' if len(jobs) > 1 else ''} {', '.join(map(str, jobs))}"
    has = "have" if len(jobs) > 1 else "has"
    if not names:
        return f"{which} {has} reported no values yet: 'erfnet-jobs status {next(iter(jobs))}' tells how far it is"
    return f"{which} {has} no metric {metric!r}: there is {', '.join(sorted(names))}"
