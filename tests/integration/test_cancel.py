"""Cancel at each state of a job, without any message: what is left, and what becomes of the job."""

import os
import signal
from collections.abc import Callable

import pytest

from erfnet_jobs.cli.root import run_command
from erfnet_jobs.jobs import Part
from erfnet_jobs.registry.attempts import assign, claim, end_part
from erfnet_jobs.registry.cancel import request_cancel
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.status import job_details
from erfnet_jobs.states import JobState, Outcome
from tests.registry_steps import ACTOR, SCHEDULER, WELL, add_hosts, submit
from tests.services import NewSite, Site, eventually

CANCELLED, SUCCEEDED, SKIPPED = JobState.CANCELLED, JobState.SUCCEEDED, JobState.SKIPPED
HANG = [["hello"], ["hang"]]
# The guarantee, with the default beat of 2 s.
FREE_SECONDS = 5.0
DEFAULTS = {"beat_interval": 2, "lease_timeout": 30, "start_timeout": 120, "retry_delay": 600}


def _waiting(site: Site) -> int:
    return site.train(after=(_running(site),))


def _queued(site: Site) -> int:
    site.script({"default": HANG})
    site.until(site.train(cards=2), JobState.RUNNING)
    job = site.train()
    eventually(lambda: "needs 1 free device" in (site.job(job).reason or ""), "the job waits for a device")
    return job


def _pausing(site: Site) -> int:
    site.script({"default": [["hello"], ["exit", 1]]})
    job = site.train()
    eventually(lambda: site.job(job).not_before is not None, "the job pauses before its next attempt")
    return job


def _assigned(site: Site) -> int:
    site.stop_worker(signal.SIGKILL)
    job = site.train()
    with site.registry.write() as session:
        assert assign(session, job, 0, [Part("here", (0,), 0)], str(site.settings.runs / str(job) / "1"))
    return job


def _starting(site: Site) -> int:
    site.script({"default": [["hang"]]})
    job = site.train()
    site.until(job, JobState.STARTING)
    eventually(site.ranks, "its rank is there")
    return job


def _running(site: Site) -> int:
    site.script({"default": HANG})
    job = site.train()
    site.until(job, JobState.RUNNING)
    return job


def _far(site: Site) -> int:
    site.script({"default": [["hello"], ["checkpoint", 1, 1, 7], ["progress", 0.5, 1, 1], ["child"], ["hang"]]})
    job = site.train(cards=2)
    eventually(lambda: site.job(job).fraction == 0.5, "the job makes progress")
    return job


def _deaf(site: Site) -> int:
    site.script({"default": [["hello"], ["child"], ["stray"], ["hang_deaf"]]})
    job = site.train(cards=2)
    site.until(job, JobState.RUNNING)
    return job


def _supervisor_dead(site: Site) -> int:
    job = _running(site)
    os.kill(site.supervisors()[0], signal.SIGKILL)
    return job


def _orphan_dead(site: Site) -> int:
    job = _running(site)
    site.stop_worker(signal.SIGKILL)
    site.start_worker()
    os.kill(site.supervisors()[0], signal.SIGKILL)
    return job


def _worker_dead(site: Site) -> int:
    job = _deaf(site)
    site.stop_worker(signal.SIGKILL)
    return job


STATES: dict[str, Callable[[Site], int]] = {
    "waiting for another job": _waiting,
    "queued": _queued,
    "queued with a pause": _pausing,
    "assigned, worker dead": _assigned,
    "starting": _starting,
    "running": _running,
    "running with progress": _far,
    "deaf to SIGTERM": _deaf,
    "supervisor dead": _supervisor_dead,
    "supervisor dead, started by the worker before": _orphan_dead,
    "worker dead": _worker_dead,
}


@pytest.mark.parametrize("state", STATES)
def test_cancelled_at(state: str, new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url, **DEFAULTS)
    site.start_worker()
    job = STATES[state](site)
    others = {other for other in range(1, job) if site.job(other).state != CANCELLED}
    attempts = len(site.attempts(job))

    site.cancel(job)
    for other in others:
        site.cancel(other)

    eventually(lambda: site.job(job).state == CANCELLED and site.idle(), "cancelled and free", FREE_SECONDS)
    if site.worker is None:
        site.start_worker()
    site.script({})
    site.until(site.train(cards=2), SUCCEEDED)
    assert site.job(job).state == CANCELLED
    assert len(site.attempts(job)) == attempts


def test_a_wish_that_was_there_before_the_end_was_told(site: Site) -> None:
    go = site.folder / "go"
    site.script({"default": [["hello"], ["wait_for", str(go)], ["done"]]})
    job = site.train()
    dependent = site.train(after=(job,))
    site.until(job, JobState.RUNNING)
    (supervisor,) = site.supervisors()
    os.kill(supervisor, signal.SIGSTOP)
    go.touch()
    eventually(lambda: not site.ranks(), "the rank has done its work")

    site.cancel(job)
    os.kill(supervisor, signal.SIGCONT)

    site.until(job, CANCELLED)
    assert len(site.attempts(job)) == 1
    assert site.job(dependent).state == SKIPPED


def test_a_success_that_is_told_after_the_wish(registry: Registry) -> None:
    with registry.write() as session:
        add_hosts(session)
        job = submit(session)
        assert assign(session, job, 0, [Part("a", (0,), 0)], "/runs/1")
        assert claim(session, job, 1, "a", SCHEDULER)
        assert request_cancel(session, job, ACTOR) == JobState.STARTING
        assert end_part(session, job, 1, "a", WELL, 0)
        found = job_details(session, job)

    assert (found.job.state, found.attempts[0].outcome) == (CANCELLED, Outcome.SUCCEEDED)
    assert found.job.reason == "cancelled by the user, when its ranks had just done their work"


def test_what_the_command_says(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    done = site.train()
    site.until(done, SUCCEEDED)
    running = _running(site)
    waiting = site.train(after=(running,))
    urls = ["--database-url", site.settings.resolved_database_url, "--broker-url", site.settings.resolved_broker_url]

    code = run_command(["--home", str(site.home), *urls, "cancel", str(waiting), str(running), str(done)])

    assert code == 0
    assert capsys.readouterr().out.splitlines() == [
        f"job {waiting} is cancelled",
        f"job {running} is told to end on here, in some seconds; 'erfnet-jobs wait {running}' waits for it",
        f"job {done} had ended before, and stays as it is: succeeded",
    ]
    site.until(running, CANCELLED)
    assert site.job(done).state == SUCCEEDED
    assert {site.job(job).reason for job in (waiting, running)} == {"cancelled by the user"}
