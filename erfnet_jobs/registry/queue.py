"""The queue as a placement pass reads it: windows of the jobs whose time has come, in the order of the index."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, bindparam, or_, select, text, update
from sqlalchemy.orm import Session

from erfnet_jobs.jobs import Part
from erfnet_jobs.registry.events import clock
from erfnet_jobs.registry.retries import MAX_RETRY_DELAY
from erfnet_jobs.registry.tables import Job
from erfnet_jobs.states import JobState

# Any number that nothing else in the same database uses.
PASS_LOCK = 0x45524E46


@dataclass(frozen=True)
class QueueKey:
    """A place in the queue: by priority, then by age."""

    priority: int
    job: int

    @property
    def rank(self) -> tuple[int, int]:
        """Ascending in the order in which jobs are served."""
        return -self.priority, self.job


@dataclass(frozen=True)
class QueuedJob:
    """A job that may be placed now. `host`, `devices`, `pinned` and `allow_cpu` are what its user demanded.

    `waited` is for how many seconds it could have been placed, by the registry's clock.
    """

    id: int
    kind: str
    cards: int
    priority: int
    attempt: int
    host: str | None
    storage_id: str | None
    reason: str | None
    devices: tuple[int, ...] | None
    pinned: tuple[Part, ...] | None
    allow_cpu: bool
    waited: float

    @property
    def key(self) -> QueueKey:
        """Where it stands in the queue."""
        return QueueKey(self.priority, self.id)


def lock_pass(session: Session) -> bool:
    """Whether this transaction may place jobs; no other one does until it ends.

    In SQLite the write lock, which the transaction holds already, is enough.
    """
    if session.get_bind().dialect.name == "sqlite":
        return True
    return bool(session.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": PASS_LOCK}).scalar_one())


def lock_jobs(session: Session, jobs: Iterable[int]) -> None:
    """Keep others from changing these jobs until the transaction ends, by id as all do that lock several jobs."""
    if session.get_bind().dialect.name != "sqlite":
        locked = text("SELECT id FROM job WHERE id = ANY(:jobs) ORDER BY id FOR NO KEY UPDATE")
        session.execute(locked, {"jobs": sorted(jobs)})


def queue_window(session: Session, after: QueueKey | None, limit: int) -> list[QueuedJob]:
    """At most `limit` jobs that may be placed now, behind `after`; not those whose next attempt is still to wait."""
    if after is None:
        return _jobs(session, [], limit)
    # One condition for both would have the databases read the index from its beginning.
    alike = _jobs(session, [Job.priority == after.priority, Job.id > after.job], limit)
    rest = limit - len(alike)
    return alike + (_jobs(session, [Job.priority < after.priority], rest) if rest else [])


def _jobs(session: Session, conditions: Iterable[ColumnElement[bool]], limit: int) -> list[QueuedJob]:
    now = clock(session)
    columns = (Job.id, Job.kind, Job.cards, Job.priority, Job.attempt, Job.host_name, Job.storage_id, Job.reason)
    more = (Job.devices, Job.pinned, Job.allow_cpu, Job.created_at, Job.not_before, now.label("at"))
    rows = select(*columns, *more).where(Job.state == JobState.QUEUED, *conditions)
    # No pause is as long as that: the clock was set back meanwhile.
    never = Job.not_before > clock(session, ahead=MAX_RETRY_DELAY)
    rows = rows.where(or_(Job.not_before.is_(None), Job.not_before <= now, never))
    return [
        QueuedJob(
            id=row.id,
            kind=row.kind,
            cards=row.cards,
            priority=row.priority,
            attempt=row.attempt,
            host=row.host_name,
            storage_id=row.storage_id,
            reason=row.reason,
            devices=None if row.devices is None else tuple(json.loads(row.devices)),
            pinned=None if row.pinned is None else _parts(row.pinned),
            allow_cpu=row.allow_cpu,
            waited=(row.at - max(row.created_at, row.not_before or row.created_at)).total_seconds(),
        )
        for row in session.execute(rows.order_by(Job.priority.desc(), Job.id).limit(limit))
    ]


def _parts(pinned: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    rank = 0
    for host, devices in json.loads(pinned):
        parts.append(Part(host, tuple(devices), rank))
        rank += len(devices)
    return tuple(parts)


def set_reasons(session: Session, reasons: Mapping[int, str]) -> None:
    """Tell the users of queued jobs why they wait."""
    if not reasons:
        return
    changed = (
        update(Job)
        .where(Job.id == bindparam("job"), Job.state == JobState.QUEUED)
        .values(reason=bindparam("why"))
        .execution_options(synchronize_session=False)
    )
    # By id, as all do that lock several jobs.
    rows = [{"job": job, "why": why} for job, why in sorted(reasons.items())]
    session.connection().execute(changed, rows)
