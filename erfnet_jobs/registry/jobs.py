"""Submitting and ending jobs: each step is a compare-and-set on state and attempt number."""

import json
from collections.abc import Collection, Iterable
from datetime import datetime
from heapq import heappop, heappush
from typing import Any, cast

from sqlalchemy import Table, insert, select, update
from sqlalchemy.orm import Session, make_transient_to_detached

from erfnet_jobs.errors import NotFound, UsageError
from erfnet_jobs.jobs import Request
from erfnet_jobs.registry.events import Actor, now, record_event
from erfnet_jobs.registry.tables import Job, JobDependency, JobGroup
from erfnet_jobs.specs import spec_to_json
from erfnet_jobs.states import TERMINAL, TRANSITIONS, JobState

# What a database's integer holds; a user may type more.
MAX_ID = 2**63 - 1
_INSERT = insert(cast("Table", Job.__table__)).returning(Job.__table__.c.id)
_NO_VALUES = dict.fromkeys(Job.__table__.columns.keys())


def get_job(session: Session, job_id: int, *, lock: bool = False) -> Job:
    """The job's row, which with `lock` nobody else changes until this transaction ends; raises NotFound.

    Only PostgreSQL needs the lock: there transactions that write go on side by side. Whoever locks several jobs takes
    them by ascending id, which is from the needed one to the one that waits, so that nobody waits in a circle.
    """
    row_lock = {"key_share": True} if lock else None
    known = job_id <= MAX_ID
    job = session.get(Job, job_id, with_for_update=row_lock, populate_existing=lock) if known else None
    if job is None:
        raise NotFound(f"job {job_id} is unknown to this registry: 'erfnet-jobs status' lists the jobs")
    return job


def new_group(session: Session) -> int:
    """The id of a new group, for jobs that are submitted together."""
    group = JobGroup(created_at=now(session))
    session.add(group)
    session.flush()
    return group.id


def submit_job(
    session: Session, request: Request, actor: Actor, *, group: int | None = None, storage_id: str | None = None
) -> Job:
    """Insert a job, `queued` or, where jobs it comes after have not succeeded yet, `waiting`.

    Raises NotFound for an unknown job in `after`, UsageError for one that will never succeed.
    """
    pending = _unfinished(session, request.after)
    state = JobState.WAITING if pending else JobState.QUEUED
    job = _insert(
        session,
        group_id=group,
        kind=request.spec.kind,
        name=request.name,
        state=state,
        reason=_waits_for(pending) if pending else "in the queue",
        priority=request.priority,
        cards=request.spec.cards,
        max_attempts=request.max_attempts,
        time_limit=request.time_limit,
        host_name=request.host,
        devices=json.dumps(request.devices) if request.devices is not None else None,
        rank_table=request.rank_table,
        pinned=None if request.pinned is None else json.dumps([[part.host, part.devices] for part in request.pinned]),
        storage_id=storage_id,
        allow_cpu=request.allow_cpu,
        spec=spec_to_json(request.spec),
        user_name=actor.user,
        user_host=actor.host,
        attempt=0,
        cancel_requested=False,
        created_at=now(session),
    )
    session.add_all(JobDependency(job_id=job.id, needs_job_id=needs) for needs in dict.fromkeys(request.after))
    record_event(
        session,
        "submitted",
        f"{request.spec.kind} on {request.spec.cards} card{'s' if request.spec.cards > 1 else ''}",
        job=job.id,
        actor=actor,
    )
    return job


def _insert(session: Session, **values: Any) -> Job:
    """The row of these columns, without the session's unit of work: a submit takes less than half the time."""
    job_id = session.connection().execute(_INSERT, values).scalar_one()
    job = Job(**{**_NO_VALUES, **values, "id": job_id})
    make_transient_to_detached(job)
    session.add(job)
    return job


def _unfinished(session: Session, after: Iterable[int]) -> list[int]:
    pending = []
    for job_id in sorted(set(after)):
        # Locked: a job that ended now, unseen, would not see the one that comes after it either.
        state = get_job(session, job_id, lock=True).state
        if state in TERMINAL - {JobState.SUCCEEDED}:
            raise UsageError(f"job {job_id} is {state}: a job after it would never run; name another with --after")
        if state != JobState.SUCCEEDED:
            pending.append(job_id)
    return pending


def _waits_for(jobs: Iterable[int]) -> str:
    return f"waits for job {', '.join(str(job) for job in jobs)}"


def move_job(
    session: Session, job_id: int, attempt: int, source: Iterable[JobState], target: JobState, /, **values: Any
) -> bool:
    """Compare-and-set: to `target` if the job's newest attempt is `attempt` and its state is among `source`.

    Also sets `values` (columns of Job). False where somebody else was first. Raises ValueError for a transition that
    the state machine does not have.
    """
    states = list(source)
    if wrong := [state for state in states if target not in TRANSITIONS[state]]:
        raise ValueError(f"no transition from {', '.join(wrong)} to {target}")
    moved = session.execute(
        update(Job)
        .where(Job.id == job_id, Job.attempt == attempt, Job.state.in_(states))
        .values(state=target, **values)
        .execution_options(synchronize_session=False)
    )
    session.expire_all()
    return bool(moved.rowcount == 1)  # type: ignore[attr-defined]


def end_job(
    session: Session, job_id: int, attempt: int, source: Iterable[JobState], target: JobState, reason: str
) -> bool:
    """Compare-and-set to a terminal state, and settle the jobs that waited for this one, in the same transaction."""
    ended = now(session)
    if not move_job(session, job_id, attempt, source, target, reason=reason, ended_at=ended, not_before=None):
        return False
    record_event(session, str(target), reason, job=job_id, attempt=attempt or None)
    if target == JobState.SUCCEEDED:
        session.execute(update(Job).where(Job.id == job_id).values(fraction=1.0, eta_seconds=None))
        _release_dependents(session, job_id)
    else:
        _skip_dependents(session, job_id, target, ended)
    session.expire_all()
    return True


def _waiting_for(session: Session, job_id: int) -> list[int]:
    """The jobs that wait for this one, ascending and locked: another job that they need may end at this moment."""
    waiting = (
        select(Job.id)
        .join(JobDependency, JobDependency.job_id == Job.id)
        .where(JobDependency.needs_job_id == job_id, Job.state == JobState.WAITING)
        .order_by(Job.id)
        .with_for_update(of=Job, key_share=True)
    )
    return list(session.scalars(waiting))


def _release_dependents(session: Session, job_id: int) -> None:
    for dependent in _waiting_for(session, job_id):
        needed = select(Job.id).join(JobDependency, JobDependency.needs_job_id == Job.id)
        unfinished = needed.where(JobDependency.job_id == dependent, Job.state != JobState.SUCCEEDED).limit(1)
        if session.scalar(unfinished) is None:
            # From now on it could be placed, and has waited for nothing but devices.
            since = now(session)
            move_job(
                session, dependent, 0, [JobState.WAITING], JobState.QUEUED, reason="in the queue", not_before=since
            )


def _skip_dependents(session: Session, job_id: int, state: JobState, ended: datetime) -> None:
    """All that waited, directly or through others; each is told the job that it waited for itself."""
    frontier = [(dependent, job_id, state) for dependent in _waiting_for(session, job_id)]
    while frontier:
        dependent, needs, how = heappop(frontier)
        reason = f"job {needs}, which it waited for, is {how}"
        if move_job(session, dependent, 0, [JobState.WAITING], JobState.SKIPPED, reason=reason, ended_at=ended):
            record_event(session, "skipped", reason, job=dependent)
            for waiting in _waiting_for(session, dependent):
                heappush(frontier, (waiting, dependent, JobState.SKIPPED))


def jobs_by_id(session: Session, ids: Collection[int]) -> list[Job]:
    """The jobs of these numbers that there are, in order."""
    return list(session.scalars(select(Job).where(Job.id.in_(ids)).order_by(Job.id))) if ids else []
