"""How long jobs still wait, as far as the ETAs of those that run tell."""

from collections.abc import Iterable

from sqlalchemy.orm import Session

from erfnet_jobs.client.demands import demands_of
from erfnet_jobs.client.host_states import host_states
from erfnet_jobs.placement import Holding, end_of_all, first_free
from erfnet_jobs.registry.outlook import awaited, held_until
from erfnet_jobs.registry.queue import queue_window
from erfnet_jobs.registry.tables import Job
from erfnet_jobs.settings import Settings
from erfnet_jobs.states import JobState

# Who stands further behind waits for jobs that have not begun, and nobody knows how long those take.
FORECAST_JOBS = 100


def wait_seconds(session: Session, jobs: Iterable[Job], settings: Settings) -> dict[int, float]:
    """By job: in how many seconds what it needs is first free, or the jobs that it waits for have ended.

    Only jobs of which that is known. A fixed number of questions, and none where none of them waits.
    """
    states = {job.id: job.state for job in jobs}
    found: dict[int, float] = {}
    if JobState.QUEUED in states.values():
        found.update(_queued(session, settings))
    if waiting := [job for job, state in states.items() if state == JobState.WAITING]:
        ends = {job: end_of_all(needed) for job, needed in awaited(session, waiting).items()}
        found.update({job: seconds for job, seconds in ends.items() if seconds is not None})
    return {job: seconds for job, seconds in found.items() if job in states}


def _queued(session: Session, settings: Settings) -> dict[int, float]:
    held = [Holding(*part) for part in held_until(session)]
    if all(holding.seconds is None for holding in held):
        return {}
    hosts = host_states(session, settings.lease_timeout)
    demands = demands_of(session, queue_window(session, None, FORECAST_JOBS), hosts)
    return first_free(demands, hosts, held, settings.reserve_after)
