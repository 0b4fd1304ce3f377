"""Two of everything at once: one transaction is open while another one, of another thread, does its part."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy.orm import Session

from erfnet_jobs.registry.attempts import claim, declare_lost, end_attempt, end_part, release, report_running
from erfnet_jobs.registry.cancel import request_cancel
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.jobs import end_job, get_job
from erfnet_jobs.registry.status import job_details
from erfnet_jobs.states import JobState, Outcome, PartState
from tests.registry_steps import ACTOR, HOSTS, SCHEDULER, WELL, add_hosts, failed, gang_on_two_hosts, submit

Step = Callable[[Session], object]


def _write(registry: Registry, step: Step) -> object:
    with registry.write() as session:
        return step(session)


def interleave(registry: Registry, first: Step, second: Step) -> tuple[object, object]:
    """Do `second` whole, or as far as it gets, between the last statement and the commit of `first`."""
    with ThreadPoolExecutor(1) as pool:
        with registry.write() as session:
            gone_first = first(session)
            future: Future[object] = pool.submit(_write, registry, second)
            _until_done_or_waiting(future)
        return gone_first, future.result(30)


def _until_done_or_waiting(future: Future[object]) -> None:
    try:
        future.result(0.25)  # longer than any step takes; one that takes longer waits for the other's locks
    except TimeoutError:
        return


def _state(registry: Registry, job: int) -> str:
    with registry.read() as session:
        return get_job(session, job).state


def test_two_hosts_that_end_at_once_end_the_attempt(registry: Registry) -> None:
    with registry.write() as session:
        job = gang_on_two_hosts(session, started=True, running=True)
    ended = interleave(
        registry,
        lambda session: end_part(session, job, 1, "a", WELL, 0),
        lambda session: end_part(session, job, 1, "b", WELL, 0),
    )
    assert ended == (True, True)
    assert _state(registry, job) == JobState.SUCCEEDED


def test_two_hosts_that_run_at_once_make_the_job_run(registry: Registry) -> None:
    with registry.write() as session:
        job = gang_on_two_hosts(session, started=True)
    interleave(
        registry,
        lambda session: report_running(session, job, 1, "a"),
        lambda session: report_running(session, job, 1, "b"),
    )
    assert _state(registry, job) == JobState.RUNNING


@pytest.mark.parametrize("second_state", [JobState.SUCCEEDED, JobState.CANCELLED])
def test_two_jobs_that_end_at_once_settle_the_one_after_both(registry: Registry, second_state: JobState) -> None:
    with registry.write() as session:
        needs = [submit(session), submit(session)]
        dependent = submit(session, after=(needs[0], needs[1]))
        for job in needs:
            get_job(session, job).state = JobState.RUNNING
    interleave(
        registry,
        lambda session: end_job(session, needs[0], 0, [JobState.RUNNING], JobState.SUCCEEDED, "done"),
        lambda session: end_job(session, needs[1], 0, [JobState.RUNNING], second_state, "done"),
    )
    after = JobState.QUEUED if second_state == JobState.SUCCEEDED else JobState.SKIPPED
    assert _state(registry, dependent) == after


@pytest.mark.parametrize("submit_first", [True, False])
def test_a_job_submitted_while_the_one_it_needs_ends_never_waits_for_ever(
    registry: Registry, submit_first: bool
) -> None:
    with registry.write() as session:
        job = submit(session)
        get_job(session, job).state = JobState.RUNNING

    def end(session: Session) -> object:
        return end_job(session, job, 0, [JobState.RUNNING], JobState.SUCCEEDED, "done")

    def follow(session: Session) -> object:
        return submit(session, after=(job,))

    results = interleave(registry, follow, end) if submit_first else interleave(registry, end, follow)
    dependent = results[0] if submit_first else results[1]
    assert isinstance(dependent, int)
    assert _state(registry, dependent) == JobState.QUEUED


@pytest.mark.parametrize("cancel_first", [True, False])
def test_a_cancel_while_an_attempt_fails_is_not_forgotten(registry: Registry, cancel_first: bool) -> None:
    with registry.write() as session:
        job = gang_on_two_hosts(session, started=True, running=True)

    def cancel(session: Session) -> object:
        return request_cancel(session, job, ACTOR)

    def fail(session: Session) -> object:
        return end_attempt(session, job, 1, failed(), 0)

    interleave(registry, *((cancel, fail) if cancel_first else (fail, cancel)))
    assert _state(registry, job) == JobState.CANCELLED


@pytest.mark.parametrize("release_first", [True, False])
def test_a_part_is_claimed_or_released(registry: Registry, release_first: bool) -> None:
    with registry.write() as session:
        job = gang_on_two_hosts(session, started=False)

    def let_go(session: Session) -> object:
        return release(session, job, 1, "a", PartState.ASSIGNED, "late", 0)

    def take(session: Session) -> object:
        return claim(session, job, 1, "a", SCHEDULER)

    results = interleave(registry, *((let_go, take) if release_first else (take, let_go)))
    assert results == (True, False)
    with registry.read() as session:
        details = job_details(session, job)
        assert [attempt.outcome for attempt in details.attempts] == [Outcome.TIMED_OUT if release_first else None]
        states = {placement.host_name: placement.state for placement in details.placements}
    assert states == ({"a": "ended", "b": "ended"} if release_first else {"a": "starting", "b": "assigned"})


@pytest.mark.parametrize("end_first", [True, False])
def test_an_attempt_ends_or_is_lost_never_both(registry: Registry, end_first: bool) -> None:
    with registry.write() as session:
        job = gang_on_two_hosts(session, started=True, running=True)

    def end(session: Session) -> object:
        return end_part(session, job, 1, "a", failed(permanent=True), 0)

    def lose(session: Session) -> object:
        return declare_lost(session, job, 1, "a", 0, "no pulse", 0)

    assert interleave(registry, *((end, lose) if end_first else (lose, end))) == (True, False)
    with registry.read() as session:
        (attempt,) = job_details(session, job).attempts
    assert attempt.outcome == (Outcome.FAILED if end_first else Outcome.LOST)


@pytest.mark.parametrize("clear", [(True, False), (False, True), (False, False)])
def test_success_does_not_wait_for_devices_to_be_cleared(registry: Registry, clear: tuple[bool, bool]) -> None:
    with registry.write() as session:
        job = gang_on_two_hosts(session, started=True, running=True)
        for host, cleared in zip(HOSTS, clear, strict=True):
            assert get_job(session, job).state == JobState.RUNNING
            assert end_part(session, job, 1, host, WELL, 0, clear=cleared)
        assert get_job(session, job).state == JobState.SUCCEEDED
        held = {part.host_name for part in job_details(session, job).placements if part.state != "ended"}
    assert held == {host for host, cleared in zip(HOSTS, clear, strict=True) if not cleared}


def test_one_of_many_claimers_gets_the_part(database_url: str) -> None:
    with Registry(database_url) as registry, registry.write() as session:
        job = gang_on_two_hosts(session, started=False)
    barrier = Barrier(8)

    def take(_number: int) -> object:
        with Registry(database_url) as own:
            barrier.wait(10)
            return _write(own, lambda session: claim(session, job, 1, "a", SCHEDULER))

    with ThreadPoolExecutor(8) as pool:
        assert sorted(map(bool, pool.map(take, range(8)))) == [False] * 7 + [True]


def test_ids_are_unique_and_grow_for_each_submitter(database_url: str) -> None:
    def some(_number: int) -> list[int]:
        with Registry(database_url) as own:
            ids = []
            for _ in range(10):
                with own.write() as session:
                    ids.append(submit(session))
            return ids

    with ThreadPoolExecutor(4) as pool:
        streams = list(pool.map(some, range(4)))
    assert all(ids == sorted(ids) for ids in streams)
    assert sorted(job for ids in streams for job in ids) == list(range(1, 41))


def test_an_id_never_comes_back(registry: Registry) -> None:
    with registry.write() as session:
        add_hosts(session)
        last = max(submit(session), submit(session))
        job = get_job(session, last)
        for event in job_details(session, last).events:
            session.delete(event)
        session.flush()
        session.delete(job)
    with registry.write() as session:
        assert submit(session) > last
