"""A worker's own life: ended and started again while jobs run, refused where another one lives."""

import signal

import pytest
from sqlalchemy import select

from erfnet_jobs.errors import AlreadyRunning, UsageError
from erfnet_jobs.jobs import Part
from erfnet_jobs.registry.attempts import assign, claim
from erfnet_jobs.registry.hosts import get_host
from erfnet_jobs.registry.tables import Metric
from erfnet_jobs.states import JobState, Outcome
from tests.services import NewSite, Site, eventually

RUNNING, SUCCEEDED = JobState.RUNNING, JobState.SUCCEEDED


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_may_end_and_come_back_while_a_job_runs(site: Site, number: signal.Signals) -> None:
    go = site.folder / "go"
    before, after = ([["metric", 1, 1, step, {"loss": 1 / step}] for step in steps] for steps in (range(1, 4), (4, 5)))
    site.script({"rank 0": [["hello"], *before, ["wait_for", str(go)], *after, ["done"]]})
    job = site.train(cards=2)
    site.until(job, RUNNING)
    processes = set(site.supervisors()) | set(site.ranks())
    assert len(processes) == 2  # rank 1 is done already

    code = site.stop_worker(number)
    stopped = site.ask(lambda session: get_host(session, "here").stopped_at)
    site.start_worker()
    second = site.train()
    waits = "needs 1 free device on one host: 0 of 2 free on here"
    eventually(lambda: site.job(second).reason == waits, "the second job says why it waits")

    assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    assert (stopped is not None) == (number == signal.SIGTERM)
    assert set(site.supervisors()) | set(site.ranks()) == processes
    go.touch()
    site.until(second, SUCCEEDED)
    assert site.job(job).state == SUCCEEDED
    assert [attempt.outcome for attempt in site.attempts(job)] == [Outcome.SUCCEEDED]
    assert len(site.attempts(second)) == 1
    # No step is missing, and none is there twice.
    steps = select(Metric.step).where(Metric.job_id == job).order_by(Metric.step)
    assert site.ask(lambda session: session.scalars(steps).all()) == [1, 2, 3, 4, 5]


def test_a_part_that_the_last_worker_claimed_and_did_not_start(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url, lease_timeout=600)
    site.start_worker()
    site.stop_worker()
    job = site.train()
    with site.registry.write() as session:
        assert assign(session, job, 0, [Part("here", (0,), 0)], str(site.settings.runs / str(job) / "1"))
        assert claim(session, job, 1, "here", None)
    site.start_worker()

    site.until(job, SUCCEEDED)

    first = site.attempts(job)[0]
    assert (first.outcome, first.reason) == (
        Outcome.LOST,
        "the worker of here ended before it had started the part's supervisor",
    )


def test_a_second_worker_of_a_home_is_refused(site: Site) -> None:
    second = site.spawn_worker()

    assert second.wait(30) == AlreadyRunning.exit_code
    assert site.worker is not None
    assert f"runs already (process {site.worker.pid})" in site.log


def test_a_second_worker_with_the_name_of_a_host_is_refused(new_site: NewSite, database_url: str) -> None:
    site, other = (new_site(database_url, host=home, host_name="here") for home in ("first", "second"))
    site.start_worker()

    assert other.spawn_worker().wait(30) == AlreadyRunning.exit_code
    assert "a worker with another home runs as host 'here' already" in other.log
    assert site.worker is not None
    assert site.worker.poll() is None
    site.stop_worker(signal.SIGKILL)
    other.start_worker()


def test_a_broker_that_is_no_redis_is_refused(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url, broker_url="amqp://somewhere")

    assert site.spawn_worker().wait(30) == UsageError.exit_code
    assert "the broker's URL begins with 'amqp'" in site.log


def test_sqlite_refuses_a_second_host(new_site: NewSite, sqlite_url: str) -> None:
    new_site(sqlite_url).start_worker()
    other = new_site(sqlite_url, host="other")

    assert other.spawn_worker().wait(30) == UsageError.exit_code
    assert "belongs to host 'here'" in other.log
    assert "Traceback" not in other.log
