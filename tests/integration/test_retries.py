"""What is tried again and what is not, after which pause, and how often: through a real worker."""

import os
import signal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.errors import DeviceLost
from erfnet_jobs.jobs import Part
from erfnet_jobs.registry.attempts import End, assign, claim, end_part
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.retries import MAX_LOSSES, MAX_RETRY_DELAY, pause_before
from erfnet_jobs.registry.tables import Job
from erfnet_jobs.states import JobState, Outcome
from tests.registry_steps import SCHEDULER, add_hosts, failed, submit
from tests.services import NewSite, Site, eventually

RUNNING, QUEUED, SUCCEEDED, FAILED = JobState.RUNNING, JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED
HANG = [["hello"], ["hang"]]
LOST = End(Outcome.LOST, "its supervisor has not been heard of")
LATE = End(Outcome.TIMED_OUT, "its part did not start in time")


CARD = End(Outcome.FAILED, "device 3 is lost", DeviceLost.__name__)
UNUSABLE = End(Outcome.FAILED, "Lite has no engine for Ascend", DeviceLost.__name__, rank=0, exit_code=17)


@pytest.mark.parametrize("error", ["BadData", "LossNotFinite", "BadCheckpoint", "UsageError"])
def test_what_cannot_heal_is_not_tried_again(site: Site, error: str) -> None:
    site.script({"default": [["hello"], ["fail", error, "it will only come again"]]})
    job = site.train(max_attempts=9)

    assert site.until(job, FAILED).reason == "it will only come again"
    (attempt,) = site.attempts(job)
    assert (attempt.outcome, attempt.error, attempt.permanent) == (Outcome.FAILED, error, True)


@pytest.mark.parametrize(
    ("last", "outcome", "error"),
    [
        (["exit", 1], Outcome.FAILED, "RanksFailed"),
        (["fail", "DiskFull", "no space left"], Outcome.FAILED, "DiskFull"),
        (["hang"], Outcome.STUCK, None),
    ],
)
def test_what_may_heal_is_tried_again(
    new_site: NewSite, sqlite_url: str, last: list[object], outcome: Outcome, error: str | None
) -> None:
    site = new_site(sqlite_url, stuck_timeout=1, compile_timeout=1)
    site.start_worker()
    site.script({"attempt 1": [["hello"], last]})
    job = site.train()

    site.until(job, SUCCEEDED)

    first, second = site.attempts(job)
    assert (first.outcome, first.error, first.permanent) == (outcome, error, False)
    assert second.outcome == Outcome.SUCCEEDED


def test_the_pause_and_the_next_try_are_told(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url, retry_delay=600)
    site.start_worker()
    site.script({"attempt 1": [["hello"], ["exit", 1]]})
    job = site.train()
    eventually(lambda: site.job(job).not_before is not None, "the job pauses")

    found = site.job(job)

    assert found.state == QUEUED
    assert found.not_before is not None
    reason = found.reason or ""
    assert reason.startswith("attempt 1, failure 1 of at most 3: rank 0 ended with exit code 1 without saying why")
    assert "next try at" not in reason  # what people read says it in their own zone


def test_losses_do_not_use_up_the_tries(site: Site) -> None:
    site.script({"attempt 1": HANG, "attempt 2": HANG, "attempt 3": [["hello"], ["exit", 1]]})
    job = site.train(max_attempts=2)
    for number in (1, 2):
        eventually(lambda number=number: len(site.attempts(job)) == number, "the attempt is there")
        site.until(job, RUNNING)
        os.kill(site.supervisors()[0], signal.SIGKILL)
        eventually(lambda number=number: site.attempts(job)[number - 1].outcome == Outcome.LOST, "the attempt is lost")

    site.until(job, SUCCEEDED)

    outcomes = [attempt.outcome for attempt in site.attempts(job)]
    assert outcomes == [Outcome.LOST, Outcome.LOST, Outcome.FAILED, Outcome.SUCCEEDED]


def ended_with(registry: Registry, ends: list[End], max_attempts: int) -> Job:
    """A job whose attempts end so, one after another, for as long as it is tried."""
    with registry.write() as session:
        add_hosts(session)
        job = submit(session, max_attempts=max_attempts)
        for attempt, end in enumerate(ends, 1):
            assert assign(session, job, attempt - 1, [Part("a", (0,), 0)], "/runs/1")
            assert claim(session, job, attempt, "a", SCHEDULER)
            assert end_part(session, job, attempt, "a", end, 0)
        found = get_job(session, job)
        session.refresh(found)
        return found


@pytest.mark.parametrize(
    ("ends", "max_attempts", "state", "told"),
    [
        ([failed()] * 2, 3, QUEUED, "attempt 2, failure 2 of at most 3: rank 0 failed"),
        ([failed()] * 3, 3, FAILED, "rank 0 failed (attempt 3, failure 3 of at most 3)"),
        ([failed()], 1, FAILED, "rank 0 failed"),
        ([LOST], 1, FAILED, LOST.reason),
        ([LOST, LATE, failed(), CARD], 2, QUEUED, "attempt 4, loss 3 of at most 10: "),
        ([LOST, LATE, failed(), LOST, failed()], 2, FAILED, "(attempt 5, failure 2 of at most 2)"),
        ([CARD, UNUSABLE, UNUSABLE], 2, FAILED, "Lite has no engine for Ascend (attempt 3, failure 2 of at most 2)"),
        ([LOST] * MAX_LOSSES, 100, FAILED, "(attempt 10, loss 10 of at most 10)"),
    ],
)
def test_failures_and_losses_have_bounds_of_their_own(
    registry: Registry, ends: list[End], max_attempts: int, state: JobState, told: str
) -> None:
    job = ended_with(registry, ends, max_attempts)

    assert (job.state, told in (job.reason or "")) == (state, True), job.reason


@given(st.floats(0.01, 1e6))
def test_pauses_grow_up_to_a_cap(retry_delay: float) -> None:
    pauses = [pause_before(attempt, retry_delay) for attempt in range(1, 101)]

    assert pauses[0] == min(retry_delay, MAX_RETRY_DELAY)
    assert pauses[-1] == MAX_RETRY_DELAY
    assert all(later == min(2 * sooner, MAX_RETRY_DELAY) for sooner, later in pairwise(pauses))
