"""Figures of the registry for who watches it: of all hosts, and of one; a few questions that read little.

Ended attempts and first starts are told by their events, since counting all rows again and again would take longer with
each year: `begin` counts them once, `happened` has what has happened since.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Text, and_, case, cast, func, literal, select, union_all
from sqlalchemy.orm import Session

from erfnet_jobs.id_ranges import from_ranges
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.parts import PartKey
from erfnet_jobs.registry.status import ACTIVE
from erfnet_jobs.registry.summaries import HELD, held_devices, is_usable
from erfnet_jobs.registry.suspects import silent_hosts
from erfnet_jobs.registry.tables import Attempt, Device, Event, Host, Job, Lease, Placement
from erfnet_jobs.states import JobState, Outcome, PartState

RUNNING = "running"
ENDED = {f"attempt {outcome}": outcome for outcome in Outcome}
# An event's number is taken before its transaction ends: of so many the last ones may still be on their way.
IN_FLIGHT = 1000
NO_TEXT = cast(literal(""), Text)


@dataclass(frozen=True)
class Queue:
    """The active jobs of one kind in one state. `oldest`: for how many seconds the oldest of them has been there."""

    kind: str
    state: JobState
    jobs: int
    oldest: float


@dataclass(frozen=True)
class HostCounts:
    """How many hosts are heard of (`up`), are not (`away`), were stopped in order, are drained; and away with jobs."""

    up: int
    away: int
    stopped: int
    drained: int
    away_with_jobs: int


@dataclass(frozen=True)
class OwnHost:
    """What the registry knows of one host.

    `usable`: whether each device may have jobs; `held` are those that an attempt holds; `free` is how many a job could
    have now. `leases` are the counters of its supervisors, `images_per_second` sums by kind over the jobs whose rank 0
    runs there.
    """

    usable: dict[int, bool]
    held: frozenset[int]
    free: int
    leases: dict[PartKey, int]
    images_per_second: dict[str, float]


@dataclass(frozen=True)
class Happened:
    """An attempt that has ended, or a job's first start after `waited` seconds, by the number of its event."""

    event: int
    kind: str
    outcome: Outcome | None = None
    waited: float | None = None


@dataclass(frozen=True)
class Beginning:
    """How many attempts have ended by (kind, outcome), the events that are in that count, and the newest event."""

    attempts: dict[tuple[str, str], int]
    counted: frozenset[int]
    newest: int


def queues(session: Session) -> list[Queue]:
    """The active jobs by kind and state; a job counts from its submission, or from the end of its last pause."""
    since = case((Job.not_before > Job.created_at, Job.not_before), else_=Job.created_at)
    rows = select(Job.kind, Job.state, func.count(), func.min(since)).where(Job.state.in_(ACTIVE))
    at = now(session)
    return [
        Queue(kind, JobState(state), count, max(0.0, (at - oldest).total_seconds()))
        for kind, state, count, oldest in session.execute(rows.group_by(Job.kind, Job.state))
    ]


def host_counts(session: Session, patience: float) -> HostCounts:
    """A host that was not stopped is away when it has not been heard of for `patience` seconds."""
    stopped = Host.stopped_at.is_not(None)
    rows = session.execute(select(stopped, Host.drained, func.count()).group_by(stopped, Host.drained)).tuples().all()
    away = silent_hosts(session, patience)
    with_jobs = select(func.count(Placement.host_name.distinct()))
    with_jobs = with_jobs.where(Placement.state.in_(HELD), Placement.host_name.in_(away))
    return HostCounts(
        up=sum(count for ended, _, count in rows if not ended) - len(away),
        away=len(away),
        stopped=sum(count for ended, _, count in rows if ended),
        drained=sum(count for _, drained, count in rows if drained),
        away_with_jobs=session.execute(with_jobs).scalar_one() if away else 0,
    )


def own_host(session: Session, name: str) -> OwnHost:
    """One host; a host that is not registered has nothing."""
    devices = session.scalars(select(Device).where(Device.host_name == name))
    host = session.execute(select(Host.free).where(Host.name == name, Host.drained.is_(False))).scalar_one_or_none()
    leases = select(Lease.job_id, Lease.attempt, Lease.counter).where(Lease.host_name == name)
    leading = and_(Placement.host_name == name, Placement.first_rank == 0, Placement.state == PartState.RUNNING)
    images = select(Job.kind, func.sum(Job.images_per_second)).join(Placement, Placement.job_id == Job.id)
    images = images.where(leading, Placement.attempt == Job.attempt, Job.state == JobState.RUNNING)
    return OwnHost(
        usable={device.id: is_usable(device) for device in devices},
        held=frozenset(device for _, device in held_devices(session, [name])),
        free=len(from_ranges(host or "")),
        leases={PartKey(job, attempt, name): counter for job, attempt, counter in session.execute(leases)},
        images_per_second={kind: rate or 0.0 for kind, rate in session.execute(images.group_by(Job.kind))},
    )


def newest_event(session: Session, after: int) -> int:
    """The number of the newest event behind number `after` that is to be seen; `after` where there is none."""
    return session.execute(select(func.max(Event.id)).where(Event.id > after)).scalar_one() or after


def happened(session: Session, after: int) -> list[Happened]:
    """What has happened by the events behind number `after`, in their order."""
    rows = (
        select(Event.id, Event.kind, Job.kind, Job.created_at, Job.started_at, Attempt.started_at)
        .join(Job, Job.id == Event.job_id)
        .join(Attempt, and_(Attempt.job_id == Event.job_id, Attempt.number == Event.attempt))
        .where(Event.id > after, Event.kind.in_([RUNNING, *ENDED]))
    )
    found = (_happened(*row) for row in session.execute(rows.order_by(Event.id)).tuples())
    return [one for one in found if one is not None]


def _happened(
    event: int, what: str, kind: str, created: datetime, first: datetime | None, started: datetime | None
) -> Happened | None:
    if what in ENDED:
        return Happened(event, kind, outcome=ENDED[what])
    if first is None or first != started:  # a later attempt of a job that had started before
        return None
    return Happened(event, kind, waited=max(0.0, (first - created).total_seconds()))


def begin(session: Session) -> Beginning:
    """Count the attempts that have ended, once: this reads all of them. One question, so that both halves agree."""
    newest = select(func.coalesce(func.max(Event.id), 0)).scalar_subquery()
    attempts = select(literal(0), Job.kind, Attempt.outcome, func.count()).join(Job, Job.id == Attempt.job_id)
    attempts = attempts.where(Attempt.outcome.is_not(None)).group_by(Job.kind, Attempt.outcome)
    events = select(Event.id, NO_TEXT, NO_TEXT, literal(0))
    events = events.where(Event.id > newest - IN_FLIGHT)
    rows: list[Any] = list(session.execute(union_all(attempts, events)))
    numbers = frozenset(event for event, kind, _, _ in rows if not kind)
    counts = {(kind, outcome): count for _, kind, outcome, count in rows if kind}
    return Beginning(counts, numbers, max(numbers, default=0))
