"""Gangs over two hosts with scripted ranks: what one host does to the other, with real signals."""

import os
import re
import signal
from pathlib import Path

import pytest
from sqlalchemy import select

from erfnet_jobs.launch.processes import processes_with_mark
from erfnet_jobs.registry.parts import held_parts
from erfnet_jobs.registry.tables import Checkpoint, Metric, Placement
from erfnet_jobs.states import JobState, Outcome, PartState
from tests.services import RedisServer, Site, eventually
from tests.two_hosts import NewHosts, TwoHosts, cut_power

RUNNING, SUCCEEDED, QUEUED = JobState.RUNNING, JobState.SUCCEEDED, JobState.QUEUED
HANG = [["hello"], ["print", "last words"], ["hang"]]
VICTIM = ["fail", "PeersLost", "EI0006: Getting socket times out"]
# The guarantee: a rank that was killed takes the others along, on all hosts.
WITHIN_SECONDS = 2.0
# And a cancelled job's devices are free, with the default beat of 2 s.
FREE_SECONDS = 5.0


def ranks_of(hosts: TwoHosts) -> list[int]:
    return [pid for site in hosts.both for pid in site.ranks()]


def is_free(site: Site) -> bool:
    """Whether no device of the host is held."""
    return not site.ask(lambda session: held_parts(session, site.settings.host_name))


def test_a_killed_rank_ends_the_others_on_both_hosts(new_hosts: NewHosts, own_redis: RedisServer) -> None:
    hosts = new_hosts(broker_url=own_redis.url)  # never started: the registry alone must do
    hosts.left.script({"attempt 1": HANG})
    hosts.start(devices=2)
    job = hosts.left.train(cards=4)
    hosts.left.until(job, RUNNING)
    assert len(ranks_of(hosts)) == 4

    os.kill(hosts.right.rank(2), signal.SIGKILL)
    eventually(lambda: not ranks_of(hosts), "the ranks of both hosts are gone", WITHIN_SECONDS)
    hosts.left.until(job, SUCCEEDED)

    first = hosts.left.attempts(job)[0]
    assert (first.outcome, first.failed_rank, first.signal) == (Outcome.FAILED, 2, signal.SIGKILL)
    assert first.last_lines == "rank 2 of 4, resume: no\nlast words"


def test_a_cancelled_gang_leaves_both_hosts(new_hosts: NewHosts, own_redis: RedisServer) -> None:
    hosts = new_hosts(broker_url=own_redis.url, beat_interval=2, lease_timeout=30, start_timeout=120)
    hosts.left.script({"default": [["hello"], ["child"], ["hang_deaf"]]})
    hosts.start()
    job = hosts.left.train(cards=2)
    hosts.left.until(job, RUNNING)

    hosts.left.cancel(job)
    eventually(lambda: all(is_free(site) and not site.ranks() for site in hosts.both), "both are free", FREE_SECONDS)

    assert hosts.left.job(job).state == JobState.CANCELLED
    assert len(hosts.left.attempts(job)) == 1


def test_the_host_of_a_victim_is_not_blamed(new_hosts: NewHosts) -> None:
    hosts = new_hosts()
    go, later = hosts.left.folder / "go", hosts.left.folder / "later"
    # The victim's host hears of it first, and the other one has nothing to tell until somewhat later.
    hosts.left.script(
        {
            "rank 0 attempt 1": [["hello"], ["wait_for", str(go)], ["touch", str(later)], VICTIM],
            "rank 1 attempt 1": [["hello"], ["wait_for", str(later)], ["busy", 0.2], ["print", "why"], ["exit", 77]],
        }
    )
    hosts.start()
    job = hosts.left.train(cards=2)
    hosts.left.until(job, RUNNING)
    go.touch()
    hosts.left.until(job, SUCCEEDED)

    first = hosts.left.attempts(job)[0]
    assert (first.outcome, first.failed_rank, first.exit_code) == (Outcome.FAILED, 1, 77)
    assert (first.last_lines or "").endswith("why")


def test_a_rank_that_hangs_after_rank_0_is_done_is_stuck(new_hosts: NewHosts) -> None:
    hosts = new_hosts(stuck_timeout=2)
    hosts.left.script(
        {"rank 0 attempt 1": [["hello"], ["progress", 1.0], ["done"]], "rank 1 attempt 1": [["hello"], ["hang"]]}
    )
    hosts.start()
    job = hosts.left.train(cards=2)
    hosts.left.until(job, SUCCEEDED)

    first = hosts.left.attempts(job)[0]
    assert (first.outcome, first.failed_rank) == (Outcome.STUCK, None)


def test_a_host_without_power_loses_the_attempt_and_the_next_goes_on(new_hosts: NewHosts) -> None:
    cut_in_the_middle(new_hosts(lease_timeout=4), within=20)


def cut_in_the_middle(hosts: TwoHosts, within: float) -> None:
    left, right = hosts.both
    steps = [["hello"], ["metric", 1, 1, 1, {"loss": 1.0}], ["checkpoint", 1, 1, 1], ["hang"]]
    left.script({"rank 0 attempt 1": steps, "rank 1 attempt 1": HANG})
    hosts.start()
    job = left.train(cards=2)
    left.until(job, RUNNING)
    stored = select(Checkpoint.id).where(Checkpoint.job_id == job, Checkpoint.attempt == 1)
    eventually(lambda: left.ask(lambda session: session.scalars(stored).all()), "the checkpoint is registered")

    cut_power(right)
    eventually(lambda: left.job(job).state == QUEUED, "the attempt is lost", within)
    eventually(lambda: not left.ranks() and is_free(left), "the other host's ranks are gone, its device is free", 10)
    assert not is_free(right)  # nobody has shown that its devices are empty
    hosts.start_worker(right)
    left.until(job, SUCCEEDED)

    first, second = left.attempts(job)
    assert first.outcome == Outcome.LOST
    assert "its supervisor on right has not been heard of" in (first.reason or "")
    assert [second.resumed_from] == left.ask(lambda session: session.scalars(stored).all())
    rows = select(Metric.stage, Metric.step).where(Metric.job_id == job).order_by(Metric.stage)
    assert left.ask(lambda session: session.execute(rows).tuples().all()) == [(1, 1), (2, 1), (3, 1), (4, 1)]


@pytest.mark.parametrize(
    ("late", "times", "reason"),
    [
        ("left", {"start_timeout": 12, "lease_timeout": 60}, r"its part on \w+ did not start within 12 s"),
        ("right", {"start_timeout": 60, "lease_timeout": 4}, "host right went away before it started its part"),
    ],
)
def test_a_host_that_is_late_releases_all(
    new_hosts: NewHosts, late: str, times: dict[str, object], reason: str
) -> None:
    hosts = new_hosts(**times)
    hosts.left.script({"attempt 1": HANG})
    hosts.start()
    stopped, other = (hosts.left, hosts.right) if late == "left" else (hosts.right, hosts.left)
    assert stopped.worker is not None
    stopped.worker.send_signal(signal.SIGSTOP)
    job = other.train(cards=2)

    eventually(lambda: other.attempts(job) and other.attempts(job)[0].outcome, "the attempt is released")
    first = Path(other.attempts(job)[0].run_dir)
    old = f"{other.settings.host_name}:{first}"
    eventually(lambda: not processes_with_mark(old), "the other host's part has ended", 10)
    eventually(lambda: not parts_of(other, job, 1), "no device is held for it", 10)
    stopped.worker.send_signal(signal.SIGCONT)
    other.until(job, SUCCEEDED)

    attempt = other.attempts(job)[0]
    assert attempt.outcome == Outcome.TIMED_OUT
    assert re.fullmatch(reason, attempt.reason or "")
    # Without rank 0's host no other one starts anything.
    reports = sorted(path.name for path in (first / "reports").glob("*"))
    assert reports == ([] if late == "left" else ["rank_0.jsonl"])


def parts_of(site: Site, job: int, attempt: int) -> list[str]:
    """The hosts that hold devices for an attempt still."""
    held = select(Placement.host_name).where(
        Placement.job_id == job, Placement.attempt == attempt, Placement.state != PartState.ENDED
    )
    return list(site.ask(lambda session: session.scalars(held).all()))
