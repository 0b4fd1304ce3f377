"""The values that a job's ranks reported, as one curve over all its attempts."""

from dataclasses import dataclass

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from erfnet_jobs.errors import NotFound
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.tables import Attempt, Metric


@dataclass(frozen=True)
class Value:
    """A metric's value at a global step of a stage, and the attempt that measured it. Steps and epochs count from 1."""

    name: str
    attempt: int
    stage: int
    epoch: int
    step: int
    value: float


def metric_names(session: Session, job_id: int) -> list[str]:
    """The names under which a job has values, in alphabetical order. Raises NotFound for an unknown job."""
    get_job(session, job_id)
    names: list[str] = []
    first = select(func.min(Metric.name)).where(Metric.job_id == job_id)
    name = session.scalar(first)
    while name is not None:  # one seek for each name; DISTINCT would read every value of the job
        names.append(name)
        name = session.scalar(first.where(Metric.name > name))
    return names


def metric_series(session: Session, job_id: int, name: str, limit: int | None = None) -> list[Value]:
    """The values of one metric by stage and step; with `limit` the newest so many.

    An attempt that went on from a checkpoint repeats steps of the attempt before it. From an attempt's first value on,
    only its own values and those of later attempts count. Raises NotFound for an unknown job or metric, which lists
    the job's metrics.
    """
    values: list[Value] = []
    numbers = select(Attempt.number).where(Attempt.job_id == job_id).order_by(Attempt.number.desc())
    for attempt in session.scalars(numbers).all():
        if limit is not None and len(values) >= limit:
            break
        before = (values[-1].stage, values[-1].step) if values else None
        left = None if limit is None else limit - len(values)
        values.extend(_newest_first(session, job_id, name, attempt, before, left))
    if not values:
        known = ", ".join(metric_names(session, job_id)) or "none yet"
        raise NotFound(f"job {job_id} has no metric {name!r}: it has {known}")
    return values[::-1]


def newest_values(session: Session, job_id: int) -> list[Value]:
    """The newest value of each metric of a job, by name. Raises NotFound for an unknown job."""
    return [metric_series(session, job_id, name, limit=1)[0] for name in metric_names(session, job_id)]


def _newest_first(
    session: Session, job_id: int, name: str, attempt: int, before: tuple[int, int] | None, limit: int | None
) -> list[Value]:
    rows = select(Metric.name, Metric.attempt, Metric.stage, Metric.epoch, Metric.step, Metric.value).where(
        Metric.job_id == job_id, Metric.name == name, Metric.attempt == attempt
    )
    if before is not None:
        rows = rows.where(tuple_(Metric.stage, Metric.step) < before)
    return [Value(*row) for row in session.execute(rows.order_by(Metric.stage.desc(), Metric.step.desc()).limit(limit))]
