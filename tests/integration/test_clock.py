"""The wall clock of a host jumps by hours, back and forth, while its jobs run: nobody takes that for time passed.

The processes' wall clock is set by a library of the tests that is loaded before libc; monotonic clocks are let alone.
"""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from erfnet_jobs.launch.program import module_command
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.hosts import get_host
from erfnet_jobs.registry.tables import Event, Lease
from erfnet_jobs.states import JobState, Outcome
from tests.services import NewSite, Site, eventually

RUNNING, QUEUED, SUCCEEDED, FAILED = JobState.RUNNING, JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED
SOURCE = Path(__file__).parents[1] / "set_clock.c"
HOURS = 5 * 3600
SetClock = Callable[[int], None]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        assert not os.environ.get("CI"), "this machine has no C compiler for a clock that jumps"
        pytest.skip("this machine has no C compiler for a clock that jumps")
    built = tmp_path_factory.mktemp("clock") / "set_clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", built, SOURCE, "-ldl"], check=True)
    return built


@pytest.fixture
def site(new_site: NewSite, request: pytest.FixtureRequest, library: Path) -> Site:
    """A host with SQLite, whose clock is the host's, or with the PostgreSQL that a test asks for, which has its own."""
    database = request.node.callspec.params["database"] if hasattr(request.node, "callspec") else "sqlite_url"
    made = new_site(request.getfixturevalue(database), lease_timeout=3)
    offset = made.folder / "offset"
    offset.write_bytes(struct.pack("q", 0))
    made.environ |= {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(offset)}
    made.start_worker()
    return made


@pytest.fixture
def set_clock(site: Site) -> Iterator[SetClock]:
    """Sets the wall clock of the site's processes off by so many seconds, from now on."""

    def off_by(seconds: int) -> None:
        file.seek(0)
        file.write(struct.pack("q", seconds))

    with (site.folder / "offset").open("r+b", buffering=0) as file:
        yield off_by


def wall_clock(site: Site) -> datetime:
    """The time as a process of the site sees it."""
    program = "import datetime; print(datetime.datetime.now(datetime.UTC).isoformat())"
    said = subprocess.check_output([sys.executable, "-c", program], env=site.environ, text=True)
    return datetime.fromisoformat(said.strip())


def several_beats(site: Site) -> None:
    """Wait for beats of worker and supervisors."""

    def pulses() -> list[int]:
        return site.ask(lambda session: [get_host(session, "here").beat, *session.scalars(select(Lease.counter))])

    before = pulses()
    eventually(lambda: all(now > then + 4 for now, then in zip(pulses(), before, strict=True)), "beats")


def test_the_clock_of_the_tests_jumps(site: Site, set_clock: SetClock) -> None:
    set_clock(HOURS)
    assert abs(wall_clock(site) - datetime.now(UTC) - timedelta(seconds=HOURS)) < timedelta(minutes=1)


@pytest.mark.parametrize("database", ["sqlite_url", "postgres_url"])
def test_leases_and_events(site: Site, set_clock: SetClock, database: str) -> None:
    began = site.ask(now)
    go = site.folder / "go"
    site.script({"default": [["hello"], ["progress", 0.5], ["wait_for", str(go)], ["done"]]})
    job = site.train(time_limit=3600)
    site.until(job, RUNNING)
    processes = set(site.processes())

    for seconds in (HOURS, -HOURS, 0):
        set_clock(seconds)
        several_beats(site)
        command = module_command("erfnet_jobs", "status", str(job))
        shown = subprocess.check_output(command, env=site.environ, text=True)
        assert "runs for  -" not in shown
        assert set(site.processes()) == processes
    go.touch()

    assert site.until(job, SUCCEEDED).attempt == 1
    if not site.registry.sqlite:
        times = site.ask(
            lambda session: session.scalars(select(Event.at).where(Event.job_id == job).order_by(Event.id)).all()
        )
        assert [began, *times] == sorted([began, *times])
        assert times[-1] <= site.ask(now)


def test_a_pause_does_not_last_for_hours(site: Site, set_clock: SetClock) -> None:
    set_clock(HOURS)
    gate = site.folder / "gate"
    site.script({"attempt 1": [["hello"], ["wait_for", str(gate)], ["exit", 1]]})
    job = site.train()
    dependent = site.train(after=(job,))
    site.until(job, RUNNING)
    gate.touch()
    eventually(lambda: site.attempts(job)[0].outcome == Outcome.FAILED, "the first attempt fails")

    set_clock(-HOURS)

    for each in (job, dependent):
        site.until(each, SUCCEEDED)


def test_who_failed_first(site: Site, set_clock: SetClock) -> None:
    first, said, second, end = (site.folder / name for name in ("first", "said", "second", "end"))
    fails = ["fail_later", "BadData", "a broken label", str(said), str(end)]
    site.script(
        {
            "rank 0": [["hello"], ["wait_for", str(first)], fails],
            "rank 1": [["hello"], ["wait_for", str(second)], ["exit", 1]],
        }
    )
    job = site.train(cards=2)
    site.until(job, RUNNING)
    first.touch()
    eventually(said.exists, "rank 0 has said why it fails")
    set_clock(-HOURS)
    second.touch()
    eventually(lambda: len(site.ranks()) == 1, "rank 1 has ended after it")
    end.touch()

    assert site.until(job, FAILED).reason == "a broken label"
    assert site.attempts(job)[0].failed_rank == 0
