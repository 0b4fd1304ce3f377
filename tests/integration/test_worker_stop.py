"""How a worker ends: SIGTERM takes no new job and leaves trainings running, `worker --drain` waits for them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from erfnet_jobs.broker import Broker
from erfnet_jobs.launch.program import with_this_package
from erfnet_jobs.local.marks import MARK
from erfnet_jobs.registry.hosts import get_host, set_drained
from erfnet_jobs.states import JobKind, JobState
from tests.registry_steps import ACTOR
from tests.services import NewSite, Site, eventually

RUNNING, SUCCEEDED, QUEUED = JobState.RUNNING, JobState.SUCCEEDED, JobState.QUEUED


class HeldSite:
    """A site with a training that runs until it is let go."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.go = site.folder / "go"
        site.script({"default": [["hello"], ["wait_for", str(self.go)], ["done"]]})
        site.start_worker()
        self.job = site.train(max_attempts=1)
        site.until(self.job, RUNNING)

    @property
    def drained(self) -> bool:
        return bool(self.site.ask(lambda session: get_host(session, "here").drained))


@pytest.fixture
def held(new_site: NewSite, sqlite_url: str) -> HeldSite:
    return HeldSite(new_site(sqlite_url))


def call(site: Site, *arguments: str) -> "subprocess.Popen[str]":
    """The command, as in a shell of this host."""
    command = [sys.executable, "-m", "erfnet_jobs", *arguments]
    environ = {**with_this_package(os.environ), **site.environ}
    return subprocess.Popen(
        command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def become_known(site: Site) -> None:
    """Have the site's worker be the home's, as `erfnet-jobs worker` would."""
    from erfnet_jobs.local.processes import identify, write_identity

    assert site.worker is not None
    found = identify(site.worker.pid, "worker")
    assert found is not None
    write_identity(site.home / "worker.pid", found)


def test_sigterm_takes_no_new_job_and_leaves_trainings_running(held: HeldSite) -> None:
    site = held.site
    assert site.worker is not None
    late = site.train(cards=2)
    broker = Broker(site.settings.resolved_broker_url)
    broker.wake_place(late, JobKind.TRAIN)
    site.worker.send_signal(signal.SIGTERM)
    while site.worker.poll() is None:
        broker.wake_place(late, JobKind.TRAIN)
    assert site.worker.wait(30) == 0
    site.worker = None

    assert (len(site.supervisors()), len(site.ranks())) == (1, 1)
    assert (site.job(held.job).state, site.job(late).state) == (RUNNING, QUEUED)
    assert site.ask(lambda session: get_host(session, "here").stopped_at) is not None
    held.go.touch()
    site.until(held.job, SUCCEEDED)
    assert site.job(late).state == QUEUED
    site.start_worker()
    site.until(late, SUCCEEDED)
    assert len(site.attempts(held.job)) == 1


def test_drain_waits_for_what_runs_and_stops_the_worker(held: HeldSite) -> None:
    site = held.site
    become_known(site)
    assert site.worker is not None
    pid = site.worker.pid
    draining = call(site, "worker", "--drain", "--json")
    eventually(lambda: held.drained, "the host is drained")
    late = site.train()
    eventually(lambda: "drained" in (site.job(late).reason or ""), "the late job waits")
    assert draining.poll() is None
    held.go.touch()

    out, err = draining.communicate(timeout=60)

    assert draining.returncode == 0
    assert json.loads(out) == {"host": "here", "jobs": [held.job], "worker_pid": pid}
    assert f"here is drained; waiting for job {held.job} (train, running" in err
    assert site.worker.wait(30) == 0
    site.worker = None
    assert (site.job(held.job).state, site.job(late).state, held.drained) == (SUCCEEDED, QUEUED, False)
    site.start_worker()
    site.until(late, SUCCEEDED)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_drain_that_is_interrupted_leaves_the_host_drained(held: HeldSite, number: signal.Signals) -> None:
    site = held.site
    become_known(site)
    draining = call(site, "worker", "--drain")
    eventually(lambda: held.drained, "the host is drained")
    assert draining.stderr is not None
    assert "waiting for job" in draining.stderr.readline()
    draining.send_signal(number)

    _, err = draining.communicate(timeout=30)

    assert draining.returncode == 130
    assert "here stays drained and its worker runs on" in err
    assert site.worker is not None
    assert (site.worker.poll(), held.drained, site.job(held.job).state) == (None, True, RUNNING)
    resumed = call(site, "worker", "--drain")
    assert resumed.stderr is not None
    assert "waiting for job" in resumed.stderr.readline()
    with site.registry.write() as session:
        set_drained(session, "here", False, ACTOR)
    _, err = resumed.communicate(timeout=30)
    assert (resumed.returncode, "has been resumed meanwhile" in err) == (1, True)
    held.go.touch()
    site.until(held.job, SUCCEEDED)


def test_without_a_worker_drain_looks_after_what_still_runs(held: HeldSite) -> None:
    site = held.site
    site.stop_worker()
    with (site.home / "worker.log").open("ab") as log:
        site.worker = subprocess.Popen(
            [sys.executable, "-m", "erfnet_jobs", "worker", "--drain"],
            env=site.environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    eventually(lambda: "waiting for job" in site.log, "it waits")
    late = site.train()
    site.worker.send_signal(signal.SIGTERM)
    eventually(lambda: "a second signal ends it at once" in site.log, "the first signal is told of")
    assert site.worker.poll() is None
    # The supervisor dies without a word: somebody must notice.
    for pid in site.supervisors():
        os.kill(pid, signal.SIGKILL)

    assert site.worker.wait(60) == 0
    site.worker = None
    site.until(held.job, JobState.FAILED)
    assert (site.job(late).state, held.drained) == (QUEUED, False)
    assert Path(site.home / "worker.pid").exists()
    nothing = call(site, "worker", "--drain")
    out, _ = nothing.communicate(timeout=30)
    assert (nothing.returncode, "nothing to wait for" in out) == (0, True)


def test_a_second_signal_ends_a_draining_worker_at_once(held: HeldSite) -> None:
    site = held.site
    site.stop_worker()
    environ = {**site.environ, MARK: str(site.home)}
    with (site.home / "worker.log").open("ab") as log:
        site.worker = subprocess.Popen(
            [sys.executable, "-m", "workers", "--drain"], env=environ, stdout=log, stderr=log, cwd="/"
        )
    eventually(lambda: "waiting for job" in site.log, "it waits")
    site.worker.send_signal(signal.SIGTERM)
    eventually(lambda: "a second signal ends it at once" in site.log, "the first signal is told of")
    assert site.stop_worker() == 0
    assert (held.drained, site.job(held.job).state) == (True, RUNNING)
    held.go.touch()
    site.until(held.job, SUCCEEDED)
