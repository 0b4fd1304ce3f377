"""Supervisors: a lease that is gone, being told to stop, a registry that is away, processes that will not die."""

import os
import signal
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from erfnet_jobs.jobs import JobState, Outcome, PartState
from erfnet_jobs.launch.processes import processes_with_mark
from erfnet_jobs.registry.hosts import cordon, get_host
from erfnet_jobs.registry.parts import held_parts
from erfnet_jobs.registry.tables import Checkpoint, Lease
from tests.services import NewSite, Site, eventually
from workers.reaper import clear_if_gone, cordon_reason, mark_of

RUNNING, SUCCEEDED, QUEUED = JobState.RUNNING, JobState.SUCCEEDED, JobState.QUEUED


def test_without_its_lease_it_kills_its_ranks_and_writes_nothing_more(site: Site) -> None:
    go = site.folder / "go"
    # Deaf to SIGTERM, the rank has seconds in which it writes on.
    site.script({"attempt 1": [["hello"], ["wait_for", str(go)], ["checkpoint", 1, 1, 1], ["hang_deaf"]]})
    job = site.train(max_attempts=1)
    site.until(job, RUNNING)
    site.stop_worker()
    (supervisor,) = site.supervisors()

    with site.registry.write() as session:
        session.execute(delete(Lease))
    go.touch()
    eventually(lambda: not site.supervisors() and not site.ranks(), "supervisor and rank are gone")

    assert site.ask(lambda session: session.scalars(select(Checkpoint)).all()) == []
    assert site.job(job).state == RUNNING
    assert site.attempts(job)[0].outcome is None
    # Its devices it gives back, as nothing of it is left on them.
    assert site.ask(lambda session: held_parts(session, "here")) == []
    assert supervisor not in site.processes()


def test_told_to_stop_it_ends_its_ranks_and_the_job_is_tried_again(site: Site) -> None:
    site.script({"attempt 1": [["hello"], ["checkpoint", 1, 1, 1], ["hang"]]})
    job = site.train(cards=2)
    site.until(job, RUNNING)

    os.kill(site.supervisors()[0], signal.SIGTERM)
    site.until(job, SUCCEEDED)

    first, second = site.attempts(job)
    assert (first.outcome, first.reason) == (Outcome.LOST, "its supervisor was told to stop")
    assert second.resumed_from is not None


def test_the_registry_may_be_away_while_ranks_run(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url)
    site.start_worker()
    go = site.folder / "go"
    site.script({"default": [["hello"], ["wait_for", str(go)], ["checkpoint", 1, 1, 1], ["progress", 0.5], ["done"]]})
    job = site.train()
    site.until(job, RUNNING)
    attempt = Path(site.attempts(job)[0].run_dir)

    with site.registry.write() as session:
        session.connection().exec_driver_sql("ALTER TABLE lease RENAME TO lease_away")
    log = attempt / "logs" / "supervisor.log"
    eventually(lambda: "the ranks go on" in log.read_text(), "the supervisor has noticed")
    go.touch()
    eventually(lambda: not site.ranks(), "the rank is done")
    assert len(site.supervisors()) == 1
    with site.registry.write() as session:
        session.connection().exec_driver_sql("ALTER TABLE lease_away RENAME TO lease")
    site.until(job, SUCCEEDED)

    assert len(site.attempts(job)) == 1
    assert len(site.ask(lambda session: session.scalars(select(Checkpoint)).all())) == 1


def test_a_silent_attempt_is_stuck(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url, stuck_timeout=1)
    site.start_worker()
    site.script({"attempt 1": [["hello"], ["hang"]]})
    job = site.train()

    site.until(job, SUCCEEDED)

    assert [attempt.outcome for attempt in site.attempts(job)] == [Outcome.STUCK, Outcome.SUCCEEDED]


def test_a_start_that_hangs_is_released(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url, start_timeout=3)
    site.start_worker()
    site.script({"attempt 1": [["hang_deaf"]]})
    job = site.train()

    site.until(job, SUCCEEDED)
    eventually(site.idle, "nothing is left")

    first = site.attempts(job)[0]
    assert (first.outcome, first.reason) == (Outcome.TIMED_OUT, "its part on here did not start within 3 s")


def test_devices_are_cordoned_while_processes_are_left(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.script({"attempt 1": [["hello"], ["hang"]]})
    job = site.train(max_attempts=1)
    site.until(job, RUNNING)
    site.stop_worker()
    (part,) = site.ask(lambda session: held_parts(session, "here"))

    with monkeypatch.context() as patch:
        # Only a kernel that waits for a device keeps a process from SIGKILL, and that cannot be made here.
        patch.setattr("workers.reaper.kill_marked", lambda mark, timeout: [4711])
        assert not clear_if_gone(site.registry, part)
    host = site.ask(lambda session: get_host(session, "here"))
    assert [device.cordoned for device in host.devices] == [cordon_reason(part.key), None]
    assert site.ask(lambda session: held_parts(session, "here"))[0].state == PartState.RUNNING

    with site.registry.write() as session:
        cordon(session, "here", [1], "smells of smoke")
    assert clear_if_gone(site.registry, part)
    assert not processes_with_mark(mark_of(part))
    host = site.ask(lambda session: get_host(session, "here"))
    assert [device.cordoned for device in host.devices] == [None, "smells of smoke"]
