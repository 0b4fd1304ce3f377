"""Cancelling a job: at once where nothing of it runs, else as a durable wish that its supervisors read."""

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from erfnet_jobs.registry.attempts import End, end_attempt, lock_attempt
from erfnet_jobs.registry.events import Actor, record_event
from erfnet_jobs.registry.jobs import end_job, get_job
from erfnet_jobs.registry.tables import Job, Placement
from erfnet_jobs.states import TERMINAL, JobState, Outcome, PartState


def request_cancel(session: Session, job_id: int, actor: Actor) -> JobState:
    """Cancel a job: at once where no host has begun to start it, else as a wish that its supervisors read.

    Returns the state the job is in now. A job that has ended stays as it is. Raises NotFound.
    """
    attempt = get_job(session, job_id).attempt
    # The attempt before the job, as every step of an attempt does.
    lock_attempt(session, job_id, attempt)
    job = get_job(session, job_id, lock=True)
    if job.state in TERMINAL:
        return JobState(job.state)
    record_event(session, "cancel requested", "by the user", job=job_id, attempt=job.attempt or None, actor=actor)
    reason = "cancelled by the user"
    if end_job(session, job_id, job.attempt, (JobState.WAITING, JobState.QUEUED), JobState.CANCELLED, reason):
        return JobState.CANCELLED
    session.execute(update(Job).where(Job.id == job_id).values(cancel_requested=True))
    session.expire_all()
    # A newer attempt than the one that was locked is told by the wish, as one that a host has begun to start.
    if get_job(session, job_id).attempt == attempt and not _begun(session, job_id, attempt):
        end_attempt(session, job_id, attempt, End(Outcome.CANCELLED, reason), 0)
    return JobState(get_job(session, job_id).state)


def _begun(session: Session, job_id: int, attempt: int) -> bool:
    begun = exists().where(
        Placement.job_id == job_id, Placement.attempt == attempt, Placement.state != PartState.ASSIGNED
    )
    return bool(session.execute(select(begun)).scalar_one())
