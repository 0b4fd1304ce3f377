"""An attempt's life in the registry: assigned, claimed, beating, ended or lost. Every step is a compare-and-set."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import CursorResult, delete, exists, select, update
from sqlalchemy.orm import Session

from erfnet_jobs.errors import NotFound
from erfnet_jobs.jobs import Part
from erfnet_jobs.registry.events import clock, now, record_event
from erfnet_jobs.registry.jobs import end_job, get_job, move_job
from erfnet_jobs.registry.retries import MAX_LOSSES, is_loss, pause_before, tries_of
from erfnet_jobs.registry.summaries import refresh_summary
from erfnet_jobs.registry.tables import Attempt, Job, Lease, Placement
from erfnet_jobs.registry.text import printable
from erfnet_jobs.states import PLACED, JobState, Outcome, PartState


@dataclass(frozen=True)
class End:
    """How an attempt ended. `rank` failed first, by `exit_code` or by `signal`; `last_lines` end its log."""

    outcome: Outcome
    reason: str
    error: str | None = None
    permanent: bool = False
    rank: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    last_lines: str | None = None


@dataclass(frozen=True)
class Pulse:
    """What a beat learned: whether the lease still stands, whether the attempt goes on, whether to cancel it."""

    held: bool
    going: bool
    cancel: bool


def _changed(result: object) -> bool:
    return isinstance(result, CursorResult) and result.rowcount == 1


def get_attempt(session: Session, job_id: int, number: int) -> Attempt:
    """The attempt's row; raises NotFound, also for an unknown job."""
    job = get_job(session, job_id)
    row = session.get(Attempt, (job_id, number)) if 1 <= number <= job.attempt else None
    if row is None:
        raise NotFound(f"job {job_id} has no attempt {number}: 'erfnet-jobs status {job_id}' lists its attempts")
    return row


def lock_attempt(session: Session, job_id: int, attempt: int) -> Attempt | None:
    """The attempt's row, locked: the parts of a gang take their steps one after another, on PostgreSQL too.

    Every step, and every transaction that stores what a part reports, takes this lock before it touches leases,
    placements or the job.
    """
    return session.get(Attempt, (job_id, attempt), with_for_update={"key_share": True}, populate_existing=True)


def assign(session: Session, job_id: int, attempt: int, parts: Sequence[Part], run_dir: str) -> bool:
    """Make attempt `attempt` + 1 of a queued job, with its placements; False where the job has moved on."""
    number = attempt + 1
    hosts = ", ".join(part.host for part in parts)
    queued = [JobState.QUEUED]
    reset = dict.fromkeys(("phase", "images_per_second", "eta_seconds"))
    placed = move_job(
        session,
        job_id,
        attempt,
        queued,
        JobState.ASSIGNED,
        attempt=number,
        placed_on=hosts,
        reason=f"assigned to {hosts}",
        not_before=None,
        **reset,
    )
    if not placed:
        return False
    session.add(Attempt(job_id=job_id, number=number, run_dir=run_dir, created_at=now(session)))
    session.flush()
    session.add_all(
        Placement(
            job_id=job_id,
            attempt=number,
            host_name=part.host,
            devices=json.dumps(part.devices),
            first_rank=part.first_rank,
            state=PartState.ASSIGNED,
        )
        for part in parts
    )
    for part in parts:
        refresh_summary(session, part.host)
    devices = "; ".join(f"{part.host}: {','.join(map(str, part.devices))}" for part in parts)
    record_event(session, "assigned", f"devices {devices}", job=job_id, attempt=number)
    return True


def claim(session: Session, job_id: int, attempt: int, host: str, scheduler: tuple[str, int] | None) -> bool:
    """The host's part from assigned to starting, with its lease; the host of rank 0 publishes the scheduler's address.

    False where the part is not this host's to start (any more).
    """
    row = lock_attempt(session, job_id, attempt)
    part = session.get(Placement, (job_id, attempt, host), populate_existing=True)
    if part is None or row is None or row.outcome is not None:
        return False
    if part.first_rank > 0 and row.scheduler_port is None:
        return False
    claimed = session.execute(
        update(Placement)
        .where(Placement.job_id == job_id, Placement.attempt == attempt, Placement.host_name == host)
        .where(Placement.state == PartState.ASSIGNED)
        .values(state=PartState.STARTING)
        .execution_options(synchronize_session=False)
    )
    if not _changed(claimed):
        return False
    session.add(Lease(job_id=job_id, attempt=attempt, host_name=host, counter=0, beaten_at=now(session)))
    if part.first_rank == 0:
        if scheduler is not None:
            row.scheduler_host, row.scheduler_port = scheduler
        move_job(session, job_id, attempt, [JobState.ASSIGNED], JobState.STARTING, reason=f"starting on {host}")
    return True


def publish_scheduler(session: Session, job_id: int, attempt: int, host: str, port: int) -> None:
    """Where MindSpore's scheduler listens, once it does: with that the other hosts may claim their parts."""
    row = lock_attempt(session, job_id, attempt)
    if row is not None and row.outcome is None:
        row.scheduler_host, row.scheduler_port = host, port


def report_running(session: Session, job_id: int, attempt: int, host: str) -> None:
    """All ranks of a host have said hello; with the last host the job is running."""
    lock_attempt(session, job_id, attempt)
    session.execute(
        update(Placement)
        .where(Placement.job_id == job_id, Placement.attempt == attempt, Placement.host_name == host)
        .where(Placement.state == PartState.STARTING)
        .values(state=PartState.RUNNING)
    )
    late = exists().where(
        Placement.job_id == job_id,
        Placement.attempt == attempt,
        Placement.state.in_([PartState.ASSIGNED, PartState.STARTING]),
    )
    if session.execute(select(late)).scalar_one():
        return
    at = now(session)
    session.execute(
        update(Attempt)
        .where(Attempt.job_id == job_id, Attempt.number == attempt, Attempt.started_at.is_(None))
        .values(started_at=at)
    )
    job = get_job(session, job_id)
    running = f"running on {job.placed_on}"
    first = job.started_at or at
    if move_job(session, job_id, attempt, [JobState.STARTING], JobState.RUNNING, reason=running, started_at=first):
        record_event(session, "running", running, job=job_id, attempt=attempt)


def beat(session: Session, job_id: int, attempt: int, host: str, pid: int) -> Pulse:
    """Increment the lease. Without a lease the supervisor must kill its ranks and write nothing more."""
    held = session.execute(
        update(Lease)
        .where(Lease.job_id == job_id, Lease.attempt == attempt, Lease.host_name == host)
        .values(counter=Lease.counter + 1, pid=pid, beaten_at=clock(session))
        .execution_options(synchronize_session=False)
    )
    state = session.execute(
        select(Job.cancel_requested, Attempt.outcome)
        .join(Attempt, Attempt.job_id == Job.id)
        .where(Job.id == job_id, Attempt.number == attempt)
    ).one_or_none()
    going = state is not None and state.outcome is None
    return Pulse(held=_changed(held), going=going, cancel=bool(state and state.cancel_requested))


def holds_lease(session: Session, job_id: int, attempt: int, host: str) -> bool:
    """Whether this part may still write: to be asked in the transaction that writes."""
    return session.get(Lease, (job_id, attempt, host), with_for_update=True) is not None


def end_part(
    session: Session, job_id: int, attempt: int, host: str, end: End, retry_delay: float, *, clear: bool = True
) -> bool:
    """The part has ended and no process of it is left: give its devices back, and end the attempt if that decides it.

    A part that did not succeed ends the attempt at once; the last part to succeed ends it well. False where the lease
    is gone: then only the devices are given back. Without `clear` the devices stay held: processes are left on them.
    """
    lock_attempt(session, job_id, attempt)
    held = session.execute(
        delete(Lease).where(Lease.job_id == job_id, Lease.attempt == attempt, Lease.host_name == host)
    )
    if clear:
        clear_part(session, job_id, attempt, host)
    if not _changed(held):
        return False
    if end.outcome != Outcome.SUCCEEDED or not _parts_left(session, job_id, attempt):
        end_attempt(session, job_id, attempt, end, retry_delay)
    return True


def clear_part(session: Session, job_id: int, attempt: int, host: str) -> None:
    """Its host has shown that no process of the part is left: its devices are free."""
    session.execute(
        update(Placement)
        .where(Placement.job_id == job_id, Placement.attempt == attempt, Placement.host_name == host)
        .values(state=PartState.ENDED)
    )
    refresh_summary(session, host)


def _parts_left(session: Session, job_id: int, attempt: int) -> bool:
    """Whether parts have work to do: not started yet, or with a lease. One that only holds its devices has ended."""
    waiting = exists().where(
        Placement.job_id == job_id, Placement.attempt == attempt, Placement.state == PartState.ASSIGNED
    )
    going = exists().where(Lease.job_id == job_id, Lease.attempt == attempt)
    return bool(session.execute(select(waiting | going)).scalar_one())


def declare_lost(
    session: Session, job_id: int, attempt: int, host: str, counter: int, reason: str, retry_delay: float
) -> bool:
    """End an attempt whose lease still shows `counter`; its devices stay held until its host has cleared them."""
    lock_attempt(session, job_id, attempt)
    taken = session.execute(
        delete(Lease).where(
            Lease.job_id == job_id, Lease.attempt == attempt, Lease.host_name == host, Lease.counter == counter
        )
    )
    return _changed(taken) and end_attempt(session, job_id, attempt, End(Outcome.LOST, reason), retry_delay)


def release(
    session: Session, job_id: int, attempt: int, host: str, state: PartState, reason: str, retry_delay: float
) -> bool:
    """End an attempt whose part on `host` is still in `state` and did not get on in time; False where it has."""
    lock_attempt(session, job_id, attempt)
    part = session.get(Placement, (job_id, attempt, host), populate_existing=True)
    if part is None or part.state != state:
        return False
    return end_attempt(session, job_id, attempt, End(Outcome.TIMED_OUT, reason), retry_delay)


def end_attempt(session: Session, job_id: int, attempt: int, end: End, retry_delay: float) -> bool:
    """Set the outcome once, and move the job on: ended, or queued again where another attempt may help.

    Parts that have not started never will: they give their devices back at once. Its texts may hold any file's name.
    """
    end = _printable(end)
    ended = session.execute(
        update(Attempt)
        .where(Attempt.job_id == job_id, Attempt.number == attempt, Attempt.outcome.is_(None))
        .values(
            outcome=end.outcome,
            reason=end.reason,
            error=end.error,
            permanent=end.permanent,
            failed_rank=end.rank,
            exit_code=end.exit_code,
            signal=end.signal,
            last_lines=end.last_lines,
            ended_at=now(session),
        )
        .execution_options(synchronize_session=False)
    )
    if not _changed(ended):
        return False
    unstarted = session.scalars(
        update(Placement)
        .where(Placement.job_id == job_id, Placement.attempt == attempt, Placement.state == PartState.ASSIGNED)
        .values(state=PartState.ENDED)
        .returning(Placement.host_name)
        .execution_options(synchronize_session=False)
    )
    for host in unstarted:
        refresh_summary(session, host)
    session.expire_all()
    record_event(session, f"attempt {end.outcome}", end.reason, job=job_id, attempt=attempt)
    _move_on(session, job_id, attempt, end, retry_delay)
    return True


def _printable(end: End) -> End:
    error, lines = (printable(text) if text is not None else None for text in (end.error, end.last_lines))
    return replace(end, reason=printable(end.reason), error=error, last_lines=lines)


def _move_on(session: Session, job_id: int, attempt: int, end: End, retry_delay: float) -> None:
    job = get_job(session, job_id, lock=True)
    succeeded = end.outcome == Outcome.SUCCEEDED
    if job.cancel_requested or end.outcome == Outcome.CANCELLED:
        late = ", when its ranks had just done their work" if succeeded else ""
        end_job(session, job_id, attempt, PLACED, JobState.CANCELLED, f"cancelled by the user{late}")
    elif succeeded:
        source = PLACED - {JobState.ASSIGNED}
        end_job(session, job_id, attempt, source, JobState.SUCCEEDED, end.reason)
    elif end.permanent:
        end_job(session, job_id, attempt, PLACED, JobState.FAILED, end.reason)
    else:
        _retry(session, job, attempt, end, retry_delay)


def _retry(session: Session, job: Job, attempt: int, end: End, retry_delay: float) -> None:
    tries = tries_of(session, job.id)
    lost = f"loss {tries.lost} of at most {MAX_LOSSES}"
    failed = f"failure {tries.failed} of at most {job.max_attempts}"
    count = lost if is_loss(end.outcome, end.permanent, end.error, end.exit_code) else failed
    if not tries.another(job.max_attempts):
        told = f" (attempt {attempt}, {count})" if attempt > 1 else ""
        end_job(session, job.id, attempt, PLACED, JobState.FAILED, end.reason + told)
        return
    at = now(session) + timedelta(seconds=pause_before(attempt, retry_delay))
    reason = f"attempt {attempt}, {count}: {end.reason}"
    move_job(session, job.id, attempt, PLACED, JobState.QUEUED, reason=reason, not_before=at)
