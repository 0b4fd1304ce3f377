"""The queue as a placement pass reads it: queued jobs whose time has come, and why each of them waits."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, or_, select, text, update
from sqlalchemy.orm import Session, aliased

from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.tables import Checkpoint, Job, JobDependency
from erfnet_jobs.states import JobState

# Any number that nothing else in the same database uses.
PASS_LOCK = 0x45524E46
_REFERENCE = re.compile(r'"(\d+)(:(?:best|last|all))?"')


@dataclass(frozen=True)
class QueuedJob:
    """A job that may be placed now. `host` and `devices` are what its user demanded."""

    id: int
    kind: str
    cards: int
    priority: int
    attempt: int
    host: str | None
    devices: tuple[int, ...] | None
    storage_id: str | None
    reason: str | None


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


def queued_jobs(session: Session) -> list[QueuedJob]:
    """All that may be placed now, by priority, then by age; not those whose next attempt is still to wait."""
    columns = (
        Job.id,
        Job.kind,
        Job.cards,
        Job.priority,
        Job.attempt,
        Job.host_name,
        Job.devices,
        Job.storage_id,
        Job.reason,
    )
    rows = select(*columns).where(Job.state == JobState.QUEUED)
    rows = rows.where(or_(Job.not_before.is_(None), Job.not_before <= now(session)))
    found = []
    for row in session.execute(rows.order_by(Job.priority.desc(), Job.id)):
        id_, kind, cards, priority, attempt, host, wanted, storage, reason = row
        devices = None if wanted is None else tuple(json.loads(wanted))
        found.append(QueuedJob(id_, kind, cards, priority, attempt, host, devices, storage, reason))
    return found


def needed_storages(session: Session, jobs: Iterable[QueuedJob]) -> dict[int, frozenset[str]]:
    """On which storages the files lie that each job needs: its own, of jobs it came after, of checkpoints it names.

    Several tell that no host sees all of them.
    """
    needs: dict[int, set[str]] = {job.id: {job.storage_id} if job.storage_id else set() for job in jobs}
    needed = aliased(Job)
    before = (
        select(JobDependency.job_id, needed.storage_id)
        .join(Job, Job.id == JobDependency.job_id)
        .join(needed, needed.id == JobDependency.needs_job_id)
        .where(Job.state == JobState.QUEUED, needed.storage_id.is_not(None))
    )
    for job, storage in session.execute(before):
        if job in needs:
            needs[job].add(storage)
    for job, spec in session.execute(select(Job.id, Job.spec).where(Job.state == JobState.QUEUED)):
        if job in needs:
            needs[job] |= _named_storages(session, json.loads(spec))
    return {job: frozenset(storages) for job, storages in needs.items() if storages}


def _named_storages(session: Session, spec: Mapping[str, object]) -> set[str]:
    named = json.dumps([spec.get("checkpoint"), spec.get("checkpoints")])
    found = set()
    for number, of_job in _REFERENCE.findall(named):
        job = int(number) if of_job else _maker(session, int(number))
        row = session.get(Job, job) if job is not None else None
        if row is not None and row.storage_id:
            found.add(row.storage_id)
    return found


def _maker(session: Session, checkpoint: int) -> int | None:
    row = session.get(Checkpoint, checkpoint)
    return row.job_id if row else None


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
