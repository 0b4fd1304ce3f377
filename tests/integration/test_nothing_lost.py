"""Ranks, supervisors and hosts that are killed or stopped: the job goes on, and nobody writes who may not."""

import os
import signal
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from erfnet_jobs.registry.parts import held_parts
from erfnet_jobs.registry.tables import Attempt, Checkpoint, Event, Job, LogTail, Metric
from erfnet_jobs.states import JobState, Outcome
from tests.services import NewSite, Site, eventually
from tests.two_hosts import NewHosts

RUNNING = JobState.RUNNING
SUCCEEDED, FAILED = JobState.SUCCEEDED, JobState.FAILED
HANG = [["hello"], ["hang"]]
# The guarantees, in seconds.
RANKS_GONE_SECONDS, LOST_SECONDS, OTHERS_GONE_SECONDS = 10.0, 45.0, 2.0


def test_a_dead_supervisor_takes_its_ranks_along_and_the_next_attempt_goes_on(site: Site) -> None:
    steps = [["hello"], ["checkpoint", 1, 1, 7], ["checkpoint", 2, 1, 7], ["hang_deaf"]]
    site.script({"rank 0 attempt 1": steps, "rank 1 attempt 1": HANG})
    job = site.train(cards=2)
    site.until(job, RUNNING)
    stored = select(func.count()).select_from(Checkpoint)
    eventually(lambda: site.ask(lambda session: session.scalar(stored)) == 2, "the checkpoints are registered")
    ranks = set(site.ranks())

    (supervisor,) = site.supervisors()

    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: not ranks & set(site.ranks()), "the ranks are gone", RANKS_GONE_SECONDS)
    eventually(lambda: site.attempts(job)[0].outcome == Outcome.LOST, "the attempt is lost", LOST_SECONDS)
    site.until(job, SUCCEEDED)

    first, second = site.attempts(job)
    assert (first.outcome, second.outcome) == (Outcome.LOST, Outcome.SUCCEEDED)
    assert "its supervisor on here ended by SIGKILL" in (first.reason or "")
    newest = site.ask(lambda session: session.scalars(select(Checkpoint).where(Checkpoint.attempt == 1)).all()[-1].id)
    assert second.resumed_from == newest
    log = Path(second.run_dir, "logs", "rank_0.log").read_text()
    assert "resume: " in log
    assert "attempt" not in log
    assert "/1/checkpoints/Encoder_stage2-1_7.ckpt" in log


def test_a_worker_notices_the_death_of_a_supervisor_that_another_one_started(
    new_site: NewSite, sqlite_url: str
) -> None:
    site = new_site(sqlite_url, lease_timeout=600)
    site.start_worker()
    site.script({"attempt 1": HANG, "attempt 2": HANG})
    job = site.train()
    site.until(job, RUNNING)
    site.stop_worker(signal.SIGKILL)
    site.start_worker()

    os.kill(site.supervisors()[0], signal.SIGKILL)

    eventually(lambda: site.attempts(job)[0].outcome == Outcome.LOST, "the attempt is lost", LOST_SECONDS)
    assert "its supervisor on here ended without a word" in (site.attempts(job)[0].reason or "")
    eventually(lambda: len(site.attempts(job)) == 2 and site.attempts(job)[1].started_at, "the next attempt runs")
    site.stop_worker(signal.SIGKILL)
    os.kill(site.supervisors()[0], signal.SIGKILL)
    site.start_worker()
    site.until(job, SUCCEEDED)
    assert site.attempts(job)[1].outcome == Outcome.LOST


@pytest.mark.parametrize(
    "times",
    [
        {"lease_timeout": 4},
        pytest.param({"lease_timeout": 30, "beat_interval": 2, "retry_delay": 10}, marks=pytest.mark.chaos, id="usual"),
    ],
)
def test_without_its_worker_another_hosts_declares_it_lost(new_hosts: NewHosts, times: dict[str, object]) -> None:
    hosts = new_hosts(**times)
    left, right = hosts.both
    left.script({"attempt 1": [["hello"], ["checkpoint", 1, 1, 7], ["checkpoint", 1, 2, 7], ["hang_deaf"]]})
    hosts.start_worker(right)
    job = right.train()
    right.until(job, RUNNING)
    stored = select(Checkpoint.id).where(Checkpoint.attempt == 1).order_by(Checkpoint.id)
    eventually(lambda: len(left.ask(lambda session: session.scalars(stored).all())) == 2, "they are registered")
    hosts.start_worker(left)

    right.stop_worker(signal.SIGKILL)
    os.kill(right.supervisors()[0], signal.SIGKILL)
    eventually(lambda: not right.ranks(), "the ranks are gone", RANKS_GONE_SECONDS)
    eventually(lambda: left.attempts(job)[0].outcome == Outcome.LOST, "the attempt is lost", LOST_SECONDS)
    left.until(job, SUCCEEDED)

    assert left.job(job).placed_on == "left"
    newest = left.ask(lambda session: session.scalars(stored).all()[-1])
    assert left.attempts(job)[1].resumed_from == newest


def test_a_killed_rank_takes_the_others_along(site: Site) -> None:
    deaf = [["hello"], ["child"], ["hang_deaf"]]
    site.script({"rank 0 attempt 1": deaf, "rank 1 attempt 1": [["hello"], ["print", "last words"], ["hang"]]})
    job = site.train(cards=2)
    site.until(job, RUNNING)
    eventually(lambda: len(site.processes()) == 5, "worker, supervisor, two ranks and a child run")

    os.kill(site.rank(1), signal.SIGKILL)
    eventually(lambda: not site.ranks(), "the other rank is gone", OTHERS_GONE_SECONDS)
    site.until(job, SUCCEEDED)

    first = site.attempts(job)[0]
    assert (first.outcome, first.failed_rank, first.signal) == (Outcome.FAILED, 1, signal.SIGKILL)
    assert first.last_lines == "rank 1 of 2, resume: no\nlast words"


def test_a_woken_supervisor_writes_nothing(new_hosts: NewHosts) -> None:
    hosts = new_hosts(lease_timeout=4)
    left, right = hosts.both
    go = left.folder / "go"
    late = [["metric", 1, 2, 2, {"loss": 0.1}], ["checkpoint", 1, 2, 2], ["print", "too late"], ["hang_deaf"]]
    left.script({"attempt 1": [["hello"], ["checkpoint", 1, 1, 1], ["wait_for", str(go)], *late]})
    hosts.start_worker(right)
    job = right.train()
    right.until(job, RUNNING)
    eventually(lambda: rows_of(left, job)["checkpoint"], "its checkpoint is registered")
    hosts.start_worker(left)
    right.stop_worker(signal.SIGKILL)
    (supervisor,) = right.supervisors()
    os.kill(supervisor, signal.SIGSTOP)
    left.until(job, SUCCEEDED)
    go.touch()
    old, new = (Path(attempt.run_dir) for attempt in left.attempts(job))
    eventually(lambda: "too late" in (old / "logs" / "rank_0.log").read_text(), "the old rank goes on")
    rows, files = rows_of(left, job), contents_of(new)
    os.kill(supervisor, signal.SIGCONT)
    eventually(lambda: not right.processes(), "supervisor and rank of the old attempt are gone", RANKS_GONE_SECONDS)

    assert rows_of(left, job) == rows
    assert contents_of(new) == files
    assert [attempt.outcome for attempt in left.attempts(job)] == [Outcome.LOST, Outcome.SUCCEEDED]
    eventually(right.idle, "it has given its device back")


def test_devices_are_given_away_once_they_are_shown_empty(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url, lease_timeout=3)
    site.start_worker()
    site.script({"attempt 1": [["hello"], ["stray"], ["hang_deaf"]]})
    job = site.train(cards=2, max_attempts=1)
    site.until(job, RUNNING)
    old = set(site.processes()) - {site.worker.pid if site.worker else 0}
    site.script({})
    second = site.train(cards=2)

    freeze(site, site.supervisors()[0])

    def given_away() -> bool:
        # In this order: what is gone does not come back, so a device that is free now was empty before.
        free = not site.ask(lambda session: held_parts(session, "here")) or site.job(second).attempt > 0
        assert not (free and old & set(site.processes()))
        return free

    eventually(given_away, "the second job gets the devices")
    site.until(second, SUCCEEDED)
    assert site.attempts(job)[0].outcome == Outcome.LOST


def freeze(site: Site, supervisor: int) -> None:
    """SIGSTOP while it does not write: it would keep SQLite locked for as long as it is stopped."""
    with site.registry.write() as session:
        session.execute(text("SELECT 1"))  # only now is the lock taken
        os.kill(supervisor, signal.SIGSTOP)


def rows_of(site: Site, job: int) -> dict[str, list[object]]:
    """All rows that ranks' reports become, and how far the job and its logs are."""
    with site.registry.read() as session:
        found = {
            table.__tablename__: list(session.execute(select(table.__table__).where(table.job_id == job)))
            for table in (Checkpoint, Metric, LogTail, Attempt, Event)
        }
        found["job"] = list(session.execute(select(Job.__table__).where(Job.id == job)))
    return {name: [tuple(row) for row in rows] for name, rows in found.items()}


def contents_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_an_attempt_that_nobody_hears_of_is_lost(new_site: NewSite, sqlite_url: str) -> None:

    site = new_site(sqlite_url, lease_timeout=4)
    site.start_worker()
    site.script({"attempt 1": [["hello"], ["child"], ["stray"], ["hang"]]})
    job = site.train()
    site.until(job, RUNNING)
    eventually(lambda: len(site.ranks()) == 1, "the rank runs")
    (supervisor,) = site.supervisors()

    site.stop_worker(signal.SIGKILL)
    freeze(site, supervisor)
    site.start_worker()
    site.until(job, SUCCEEDED)

    assert [attempt.outcome for attempt in site.attempts(job)] == [Outcome.LOST, Outcome.SUCCEEDED]
    assert "not been heard of for 4 s" in (site.attempts(job)[0].reason or "")
    eventually(site.idle, "nothing is held, and nothing of the lost attempt is left")


@pytest.mark.parametrize(
    ("step", "exit_code", "number", "words"),
    [
        (["exit", 3], 3, None, "rank 1 ended with exit code 3"),
        (["signal", "SIGKILL"], None, 9, "rank 1 ended by SIGKILL"),
        (["fail", "BadData", "label 77 in x.png"], 3, None, "label 77 in x.png"),
    ],
)
def test_a_rank_that_dies_fails_the_attempt(
    site: Site, step: list[object], exit_code: int | None, number: int | None, words: str
) -> None:
    site.script({"rank 0": HANG, "rank 1": [["hello"], ["print", "last words"], step]})
    job = site.train(cards=2, max_attempts=2)

    ended = site.until(job, FAILED)
    eventually(site.idle, "nothing is left")

    attempts = site.attempts(job)
    permanent = step[0] == "fail" or step == ["exit", 3]  # 3 is the exit code of bad data
    assert len(attempts) == (1 if permanent else 2)
    last = attempts[-1]
    assert (last.outcome, last.failed_rank, last.exit_code, last.signal) == (Outcome.FAILED, 1, exit_code, number)
    assert words in (last.reason or "")
    assert words in (ended.reason or "")
    assert (last.last_lines or "").endswith("last words")
