"""Whether a job is tried again after an attempt that did not succeed, and after which pause.

What counts is how often the job failed by itself. Attempts that were lost with a host or a device, or that a host was
late to start, are no fault of the job: a training of weeks may outlive several. They have a bound of their own, as a
job may also be what brings its supervisors down.
"""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.errors import DeviceLost
from erfnet_jobs.registry.tables import Attempt
from erfnet_jobs.states import Outcome

MAX_RETRY_DELAY = 600.0
MAX_LOSSES = 10


@dataclass(frozen=True)
class Tries:
    """How many attempts of a job failed by themselves, and how many were lost or never started."""

    failed: int
    lost: int

    def another(self, max_attempts: int) -> bool:
        """Whether there is to be one more; with `max_attempts` of 1 there never is."""
        return max_attempts > 1 and self.failed < max_attempts and self.lost < MAX_LOSSES


def is_loss(outcome: str | None, permanent: bool, error: str | None, exit_code: int | None) -> bool:
    """Whether an attempt ended through no fault of its job. A time limit is permanent; a late start is not.

    A device is lost where its host says so. A program that cannot use its device, and ends with an exit code, may lack
    what drives it, and would again.
    """
    late = outcome == Outcome.TIMED_OUT and not permanent
    device = error == DeviceLost.__name__ and exit_code is None
    return outcome == Outcome.LOST or late or device


def tries_of(session: Session, job_id: int) -> Tries:
    """The ended attempts of a job."""
    columns = select(Attempt.outcome, Attempt.permanent, Attempt.error, Attempt.exit_code)
    ended = columns.where(Attempt.job_id == job_id, Attempt.outcome.is_not(None))
    losses = [is_loss(*row) for row in session.execute(ended).tuples()]
    return Tries(failed=losses.count(False), lost=losses.count(True))


def pause_before(attempt: int, retry_delay: float) -> float:
    """Seconds between the end of an attempt and the next: twice as long each time, up to ten minutes."""
    return min(MAX_RETRY_DELAY, retry_delay * 2.0 ** (attempt - 1))
