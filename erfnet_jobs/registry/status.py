"""What `status` shows: the jobs that matter now, how many there are, and everything about one job."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from erfnet_jobs.registry.evaluations import evaluations_of_job
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.logs import job_events, log_tails
from erfnet_jobs.registry.tables import (
    Artifact,
    Attempt,
    Checkpoint,
    Evaluation,
    Event,
    Job,
    JobDependency,
    LogTail,
    Placement,
)
from erfnet_jobs.states import TERMINAL, JobState

# In the order of the list: what runs, what will run, what waits for others.
ACTIVE = (JobState.RUNNING, JobState.STARTING, JobState.ASSIGNED, JobState.QUEUED, JobState.WAITING)
DETAIL_LIMIT = 50


@dataclass(frozen=True)
class JobDetails:
    """Everything about one job. Lists of rows that grow without bound hold the newest 50, newest first.

    `attempts` and `placements` are in order of attempt. `evaluations` are those that the job made and those of its
    checkpoints. `needs` are the jobs it comes after, `needed_by` those that come after it. `first_failure` is the log
    tail of the rank that failed first in the newest attempt that failed, `tails` are those of the newest attempt.
    """

    job: Job
    attempts: tuple[Attempt, ...]
    placements: tuple[Placement, ...]
    events: tuple[Event, ...]
    checkpoints: tuple[Checkpoint, ...]
    artifacts: tuple[Artifact, ...]
    evaluations: tuple[Evaluation, ...]
    needs: tuple[int, ...]
    needed_by: tuple[int, ...]
    first_failure: LogTail | None
    tails: tuple[LogTail, ...]


def list_jobs(session: Session, limit: int = 20, states: Iterable[JobState] | None = None) -> list[Job]:
    """At most `limit` jobs (of `states`, if given): active ones first, then the newest that have ended.

    Active ones run, start, are assigned, queued and waiting, in this order; within a state by priority, then by age.
    However many are active, a quarter of the list is kept for the newest ended ones.
    """
    wanted = set(JobState if states is None else states)
    ended = _newest(session, [state for state in TERMINAL if state in wanted], limit)
    active = _active(session, [state for state in ACTIVE if state in wanted], limit - min(len(ended), limit // 4))
    return active + ended[: limit - len(active)]


def _active(session: Session, states: Iterable[JobState], limit: int) -> list[Job]:
    jobs: list[Job] = []
    for state in states:
        if len(jobs) == limit:
            break
        in_order = select(Job).where(Job.state == state).order_by(Job.priority.desc(), Job.id)
        jobs.extend(session.scalars(in_order.limit(limit - len(jobs))))
    return jobs


def _newest(session: Session, states: Iterable[JobState], limit: int) -> list[Job]:
    # A query for each state reads no more than `limit` entries of the index; one for all states would sort them all.
    jobs: list[Job] = []
    for state in states:
        jobs.extend(session.scalars(select(Job).where(Job.state == state).order_by(Job.id.desc()).limit(limit)))
    return sorted(jobs, key=lambda job: job.id, reverse=True)[:limit]


def count_by_state(session: Session) -> dict[JobState, int]:
    """How many jobs are in each active state, zeros included.

    Ended jobs are not counted: their number only grows, and with it the time that counting takes.
    """
    counts = dict.fromkeys(ACTIVE, 0)
    counted = select(Job.state, func.count()).where(Job.state.in_(ACTIVE)).group_by(Job.state)
    counts.update({JobState(state): count for state, count in session.execute(counted)})
    return counts


def job_details(session: Session, job_id: int) -> JobDetails:
    """Everything about one job; raises NotFound."""
    job = get_job(session, job_id)
    attempts = tuple(session.scalars(select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.number)))
    placements = select(Placement).where(Placement.job_id == job_id).order_by(Placement.attempt, Placement.first_rank)
    checkpoints = select(Checkpoint).where(Checkpoint.job_id == job_id).order_by(Checkpoint.id.desc())
    artifacts = select(Artifact).where(Artifact.job_id == job_id).order_by(Artifact.id.desc())
    of_job = Evaluation.id.in_(evaluations_of_job(job_id))
    evaluations = select(Evaluation).where(of_job).order_by(Evaluation.id.desc())
    needs = select(JobDependency.needs_job_id).where(JobDependency.job_id == job_id)
    needed_by = select(JobDependency.job_id).where(JobDependency.needs_job_id == job_id)
    return JobDetails(
        job=job,
        attempts=attempts,
        placements=tuple(session.scalars(placements)),
        events=tuple(job_events(session, job_id, DETAIL_LIMIT)),
        checkpoints=tuple(session.scalars(checkpoints.limit(DETAIL_LIMIT))),
        artifacts=tuple(session.scalars(artifacts.limit(DETAIL_LIMIT))),
        evaluations=tuple(session.scalars(evaluations.limit(DETAIL_LIMIT))),
        needs=tuple(sorted(session.scalars(needs))),
        needed_by=tuple(sorted(session.scalars(needed_by))),
        first_failure=_first_failure(session, attempts),
        tails=tuple(log_tails(session, job_id)),
    )


def _first_failure(session: Session, attempts: Iterable[Attempt]) -> LogTail | None:
    failed = [attempt for attempt in attempts if attempt.failed_rank is not None]
    if not failed:
        return None
    newest = failed[-1]
    return session.get(LogTail, (newest.job_id, newest.number, newest.failed_rank))
