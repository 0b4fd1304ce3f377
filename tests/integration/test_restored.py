"""A registry that was restored, and its workers: what ran is found lost and goes on, and nothing is written over."""

import os
import signal
from pathlib import Path

import pytest

from erfnet_jobs.client.api import Client
from erfnet_jobs.client.transfers import backup, move, restore
from erfnet_jobs.states import JobState, Outcome
from tests.services import NewSite, Site, eventually


def told(_done: int, _total: int) -> None:
    """Nobody follows."""


def kill_all(site: Site) -> None:
    """The machine has lost its power."""
    for pid in site.processes():
        os.kill(pid, signal.SIGKILL)
    assert site.worker is not None
    site.worker.wait()
    site.worker = None
    eventually(lambda: not site.processes(), "all have ended")


def test_what_ran_goes_on_from_a_backup_that_is_older_than_its_attempts(
    new_site: NewSite, sqlite_url: str, site_folder: Path
) -> None:
    site = new_site(sqlite_url, lease_timeout=2)
    site.start_worker()
    go = site.folder / "go"
    site.script({"default": [["hello"], ["wait_for", str(go)], ["done"]]})
    running = site.train()
    site.until(running, JobState.RUNNING)
    kept = site_folder / "kept.sqlite"
    with Client(site.settings) as client:
        backup(client, kept, told)
    for rank in site.ranks():  # and so an attempt that the backup does not know
        os.kill(rank, signal.SIGKILL)
    eventually(lambda: len(site.attempts(running)) == 2 and site.ranks(), "the second attempt runs")
    kill_all(site)
    site.registry.close()
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()

    with Client(site.settings) as client:
        restore(client, kept, told)
    assert [attempt.outcome for attempt in site.attempts(running)] == [None]
    go.touch()
    site.start_worker()
    site.until(running, JobState.SUCCEEDED)

    first, second = site.attempts(running)
    assert (first.outcome, second.outcome) == (Outcome.LOST, Outcome.SUCCEEDED)
    # The folder of the attempt after the backup is left as it was.
    assert Path(second.run_dir).name == "2.2"
    assert (Path(second.run_dir).parent / "2" / "plan.json").is_file()


def test_a_registry_moves_to_postgresql_and_its_jobs_go_on_there(
    new_site: NewSite, sqlite_url: str, request: pytest.FixtureRequest
) -> None:
    old = new_site(sqlite_url)
    old.start_worker()
    done = old.train()
    old.until(done, JobState.SUCCEEDED)
    old.stop_worker()
    waiting = old.train()
    target = request.getfixturevalue("postgres_server").create()
    with Client(old.settings) as client:
        move(client, target, told)

    new = new_site(target, host="there")
    new.start_worker()

    new.until(waiting, JobState.SUCCEEDED)
    assert new.job(done).state == JobState.SUCCEEDED
    assert new.train() == waiting + 1
