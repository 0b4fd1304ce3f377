"""Everything that goes on, at one moment: hosts with their devices, the jobs that matter now, and totals."""

from collections.abc import Collection

from sqlalchemy.orm import Session

from erfnet_jobs.client.document import Document, time_text
from erfnet_jobs.client.host_documents import host_document
from erfnet_jobs.client.job_documents import job_document
from erfnet_jobs.client.waits import wait_seconds
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.hosts import list_hosts
from erfnet_jobs.registry.jobs import jobs_by_id
from erfnet_jobs.registry.status import count_by_state, list_jobs
from erfnet_jobs.settings import Settings
from erfnet_jobs.states import PLACED, TERMINAL, JobState

# More than a terminal has lines; the totals count all.
MOST_JOBS = 200
MOST_ENDED = 20


def overview_document(session: Session, settings: Settings, also: Collection[int] = ()) -> Document:
    """Hosts by name; at most 200 jobs that have devices, 200 that wait, the 20 that ended last, and those of `also`.

    A fixed number of questions to the registry.
    """
    found = list_jobs(session, MOST_JOBS, PLACED)
    found += list_jobs(session, MOST_JOBS, (JobState.QUEUED, JobState.WAITING))
    found += list_jobs(session, MOST_ENDED, TERMINAL)
    found += jobs_by_id(session, set(also) - {job.id for job in found})
    waits = wait_seconds(session, found, settings)
    return {
        "at": time_text(now(session)),
        "hosts": [host_document(host, settings.lease_timeout) for host in list_hosts(session)],
        "jobs": [job_document(job, waits.get(job.id)) for job in found],
        "counts": {str(state): count for state, count in count_by_state(session).items()},
    }
