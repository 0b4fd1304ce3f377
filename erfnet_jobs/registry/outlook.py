"""What is known of when running jobs end: who holds which devices for how long, and which jobs others wait for."""

import json
from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.choices import BUILD_DATA
from erfnet_jobs.registry.summaries import HELD
from erfnet_jobs.registry.tables import Job, JobDependency, Placement
from erfnet_jobs.states import JobState

Held = tuple[str, frozenset[int], float | None]


_TELLS_END = (Job.state, Job.cancel_requested, Job.phase, Job.eta_seconds)


def held_until(session: Session) -> list[Held]:
    """(host, devices, seconds until its job should end) of each part that holds devices; None where nobody knows."""
    of_newest = Job.attempt == Placement.attempt
    rows = select(Placement.host_name, Placement.devices, of_newest, *_TELLS_END).join(Job, Job.id == Placement.job_id)
    return [
        (host, frozenset(json.loads(devices)), _eta(*tells) if newest else None)
        for host, devices, newest, *tells in session.execute(rows.where(Placement.state.in_(HELD)))
    ]


def awaited(session: Session, jobs: Iterable[int]) -> dict[int, dict[int, float | None]]:
    """By job that waits: the jobs that it waits for and that have not succeeded, with the seconds to their ends."""
    rows = select(JobDependency.job_id, Job.id, *_TELLS_END).join(Job, Job.id == JobDependency.needs_job_id)
    rows = rows.where(JobDependency.job_id.in_(list(jobs)), Job.state != JobState.SUCCEEDED)
    found: dict[int, dict[int, float | None]] = {}
    for waiting, needed, *tells in session.execute(rows):
        found.setdefault(waiting, {})[needed] = _eta(*tells)
    return found


def _eta(state: str, cancelled: bool, phase: str | None, eta: float | None) -> float | None:
    """In how many seconds the job should end; None where that is not known, or was said of a part of its work."""
    goes_on = state == JobState.RUNNING and not cancelled
    return eta if goes_on and not (phase or "").startswith(BUILD_DATA) else None
