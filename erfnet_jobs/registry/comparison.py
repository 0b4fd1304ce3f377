"""Figures and evaluations of several jobs side by side: what of them may be compared, and with what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.registry.evaluations import Group, choose_group, evaluations_of_job, group_of
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.metrics import metric_names, metric_series
from erfnet_jobs.registry.tables import Evaluation, Job

# How many of the newest values a speed is the mean of.
SPEEDS = 100


@dataclass(frozen=True)
class Compared:
    """The best evaluation of each job by mean IoU, all of one group; or why there is none."""

    group: Group | None
    evaluations: tuple[Evaluation, ...]
    why: str | None


def comparable(session: Session, jobs: Sequence[int]) -> Compared:
    """The best evaluations that several jobs have in a common group, chosen as `best` chooses.

    Those that a job made count, and those of its checkpoints, also of such as have left the disk.
    """
    rows = {job: _evaluations(session, job) for job in jobs}
    groups = {job: {group_of(row): row.id for row in found} for job, found in rows.items()}
    common = set.intersection(*(set(found) for found in groups.values()))
    group = choose_group({one: max(found[one] for found in groups.values()) for one in common})
    if group is None:
        return Compared(None, (), _why(groups))
    best = (
        max((row for row in found if group_of(row) == group), key=lambda row: (row.mean_iou, row.id))
        for found in rows.values()
    )
    return Compared(group, tuple(best), None)


def figures_of(session: Session, job: Job) -> dict[str, float | int | str | None]:
    """What came of a job, by name; times in seconds, those of a job that goes on until now."""
    names = metric_names(session, job.id)
    until = job.ended_at or now(session)
    return {
        "state": job.state,
        "final loss": _newest(session, job.id, names, ("epoch_loss", "loss")),
        "best val_mean_iou": _highest(session, job.id, names, "val_mean_iou"),
        "images/s": _speed(session, job.id, names),
        "duration": None if job.started_at is None else (until - job.started_at).total_seconds(),
        "attempts": job.attempt,
        "cards": job.cards,
        "hosts": job.placed_on,
    }


def _evaluations(session: Session, job: int) -> list[Evaluation]:
    rows = select(Evaluation).where(Evaluation.id.in_(evaluations_of_job(job)), Evaluation.model_sha256.is_(None))
    return list(session.scalars(rows.order_by(Evaluation.id)))


def _why(groups: Mapping[int, Mapping[Group, int]]) -> str:
    """What each job has, where they have nothing in common."""
    without = [str(job) for job, found in groups.items() if not found]
    if without:
        remedy = f"'erfnet-jobs submit eval --checkpoint {without[0]}:best --data D' makes one"
        return f"job {', '.join(without)} has no evaluation: {remedy}"
    told = (f"job {job} on {'; '.join(sorted(map(_text, found)))}" for job, found in groups.items())
    return f"they were measured differently, {', '.join(told)}: evaluate them alike with 'erfnet-jobs submit eval'"


def _text(group: Group) -> str:
    return (
        f"{group.split} of dataset {group.dataset_hash[:12]} at {group.height}x{group.width}, protocol {group.protocol}"
    )


def _newest(session: Session, job: int, names: Sequence[str], wanted: Sequence[str]) -> float | None:
    name = next((name for name in wanted if name in names), None)
    return None if name is None else metric_series(session, job, name, limit=1)[0].value


def _highest(session: Session, job: int, names: Sequence[str], name: str) -> float | None:
    return max(value.value for value in metric_series(session, job, name)) if name in names else None


def _speed(session: Session, job: int, names: Sequence[str]) -> float | None:
    if "images_per_second" not in names:
        return None
    values = metric_series(session, job, "images_per_second", limit=SPEEDS)
    return sum(value.value for value in values) / len(values)
