"""Another program holds SQLite's write lock: nobody is killed, a submit says what it waits for, and all goes on."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from erfnet_jobs.errors import RegistryUnreachable
from erfnet_jobs.launch.program import module_command
from erfnet_jobs.registry.checkpoints import list_checkpoints
from erfnet_jobs.states import JobState
from tests.services import NewSite, Site, eventually

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


@contextmanager
def locked(database_url: str) -> Iterator[None]:
    """Another process has the write lock of a SQLite file."""
    path = database_url.removeprefix("sqlite:///")
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"locked\n"
    yield
    holder.communicate()


def submitting(site: Site, database_url: str) -> "subprocess.Popen[str]":
    command = module_command(
        "erfnet_jobs", "--database-url", database_url, "submit", "train", "--data", str(site.data), "--no-eval"
    )
    return subprocess.Popen(command, env=site.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def hold_the_lock(site: Site, database_url: str, until: Callable[[Path], None]) -> None:
    """A job runs and ends, another is submitted, while the lock is held `until` a condition of a supervisor's log."""
    go = site.folder / "go"
    site.script({"default": [["hello"], ["wait_for", str(go)], ["checkpoint", 4, 1, 1], ["done"]]})
    running, first = site.train(), site.train()
    for job in (running, first):
        site.until(job, JobState.RUNNING)
    processes = set(site.supervisors()) | set(site.ranks())
    log = Path(site.attempts(running)[0].run_dir, "logs", "supervisor.log")

    with locked(database_url):
        refused = submitting(site, f"{database_url}?timeout=1")
        out, said = refused.communicate(timeout=60)
        assert (refused.returncode, out) == (RegistryUnreachable.exit_code, "")
        assert "stayed locked for 1 s" in said
        assert "another process holds it; find it with 'fuser', end it, and try again" in said
        waiting = submitting(site, f"{database_url}?timeout=60")
        assert waiting.stderr is not None
        assert "is busy: another process writes to it; waiting" in waiting.stderr.readline()
        until(log)
        assert set(site.supervisors()) | set(site.ranks()) == processes
        go.touch()
        eventually(lambda: not site.ranks(), "the ranks end while nobody can write")
    out, _ = waiting.communicate(timeout=60)

    assert (waiting.returncode, out.split()[:2]) == (0, ["job", "3"])
    for job in (running, first, 3):
        assert site.until(job, JobState.SUCCEEDED).attempt == 1
        assert len(site.ask(lambda session, job=job: list_checkpoints(session, job))) == 1
    assert "Traceback" not in site.log


def test_a_lock_that_outlasts_the_wait_for_it(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(f"{sqlite_url}?timeout=1", lease_timeout=3)
    site.start_worker()

    def noticed(log: Path) -> None:
        told = "stayed locked for 1 s"
        eventually(lambda: told in site.log and told in log.read_text(), "worker and supervisor have noticed")

    hold_the_lock(site, sqlite_url, noticed)


@pytest.mark.chaos
def test_a_lock_of_20_seconds(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url, beat_interval=2, lease_timeout=30)
    site.start_worker()
    # Time itself is the condition here.
    hold_the_lock(site, sqlite_url, lambda _log: threading.Event().wait(20) or None)
