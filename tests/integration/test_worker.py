"""Workers, supervisors and scripted ranks as real processes, with real signals."""

import os
import shutil
import signal
import sqlite3
import subprocess
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select

from erfnet_jobs.broker import Broker
from erfnet_jobs.errors import AlreadyRunning, UsageError
from erfnet_jobs.jobs import Part, Request
from erfnet_jobs.registry.attempts import assign, claim
from erfnet_jobs.registry.checkpoints import list_checkpoints
from erfnet_jobs.registry.hosts import get_host
from erfnet_jobs.registry.tables import Artifact, Attempt, Checkpoint, Evaluation, LogTail, Metric
from erfnet_jobs.specs import EvalSpec, ExportSpec
from erfnet_jobs.states import JobKind, JobState, Outcome
from erfnet_jobs.train_spec import TrainSpec
from tests.services import NewSite, RedisServer, Site, eventually

RUNNING = JobState.RUNNING
SUCCEEDED, FAILED, CANCELLED, SKIPPED = JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.SKIPPED
HANG = [["hello"], ["hang"]]


def held_until(path: Path) -> list[list[object]]:
    return [["hello"], ["wait_for", str(path)], ["done"]]


def test_a_job_and_those_that_follow_it(new_site: NewSite, database_url: str) -> None:
    site = new_site(database_url)
    site.start_worker()
    train = site.train(cards=2)
    evaluation = site.submit(Request(EvalSpec((f"{train}:all",), str(site.data)), after=(train,)))
    export = site.submit(Request(ExportSpec(f"{train}:best"), after=(evaluation,)))
    Broker(site.settings.resolved_broker_url).wake_place(train, JobKind.TRAIN)

    done = site.until(export, SUCCEEDED)
    eventually(site.idle, "nothing is held")

    assert (done.reason, done.fraction, done.attempt) == ("all its ranks are done", 1.0, 1)
    trained = site.job(train)
    assert (trained.state, trained.placed_on, trained.stage, trained.loss) == (SUCCEEDED, "here", 4, 0.5)
    assert trained.mean_iou == site.job(evaluation).mean_iou == 0.5
    with site.registry.read() as session:
        checkpoints = list_checkpoints(session, train)
        assert [row.stage for row in checkpoints] == [4, 3, 2, 1]
        assert all(Path(row.path).stat().st_size == row.size for row in checkpoints)
        erfnet = [row.id for row in checkpoints if row.network == "erfnet"]
        evaluated = session.scalars(select(Evaluation.checkpoint_id).where(Evaluation.job_id == evaluation)).all()
        assert sorted(evaluated) == sorted(erfnet)
        artifact = session.scalars(select(Artifact)).one()
        assert (artifact.job_id, artifact.format, Path(artifact.path).is_file()) == (export, "mindir", True)
        assert (artifact.checkpoint_id, artifact.difference) == (evaluated[-1], 2.5e-7)
        assert session.scalar(select(func.count()).select_from(Metric).where(Metric.job_id == train)) == 4
        tails = session.scalars(select(LogTail.text).where(LogTail.job_id == train).order_by(LogTail.rank)).all()
        assert tails == ["rank 0 of 2, resume: no\n", "rank 1 of 2, resume: no\n"]
    job_file = (site.settings.runs / str(train) / "job.json").read_text()
    assert '"registry"' in job_file
    assert '"seed": 1' in job_file
    assert '"revision"' in job_file


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_may_end_and_come_back_while_a_job_runs(site: Site, number: signal.Signals) -> None:
    go = site.folder / "go"
    site.script({"default": held_until(go)})
    job = site.train(cards=2)
    site.until(job, RUNNING)
    processes = set(site.supervisors()) | set(site.ranks())
    assert len(processes) == 3

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
    eventually(lambda: not ranks & set(site.ranks()), "the ranks are gone", 10)
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


def test_an_attempt_that_nobody_hears_of_is_lost(new_site: NewSite, sqlite_url: str) -> None:

    site = new_site(sqlite_url, lease_timeout=4)
    site.start_worker()
    site.script({"attempt 1": [["hello"], ["child"], ["stray"], ["hang"]]})
    job = site.train()
    site.until(job, RUNNING)
    eventually(lambda: len(site.ranks()) == 1, "the rank runs")
    (supervisor,) = site.supervisors()

    site.stop_worker(signal.SIGKILL)
    os.kill(supervisor, signal.SIGSTOP)
    site.start_worker()
    site.until(job, SUCCEEDED)

    assert [attempt.outcome for attempt in site.attempts(job)] == [Outcome.LOST, Outcome.SUCCEEDED]
    assert "not been heard of for 4 s" in (site.attempts(job)[0].reason or "")
    eventually(site.idle, "nothing is held, and nothing of the lost attempt is left")


def test_cancelling_ends_every_process_and_skips_what_waits(site: Site) -> None:
    site.script({"default": [["hello"], ["child"], ["stray"], ["hang_deaf"]]})
    job = site.train(cards=2)
    dependent = site.train(after=(job,))
    site.until(job, RUNNING)

    site.cancel(job)
    Broker(site.settings.resolved_broker_url).wake_cancel(job, 1, "here")
    site.until(job, CANCELLED)
    eventually(site.idle, "all of its processes are gone")

    assert site.job(dependent).state == SKIPPED
    assert site.attempts(job)[0].outcome == Outcome.CANCELLED


def test_a_job_that_was_cancelled_before_it_started(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url)
    site.start_worker()
    site.stop_worker()
    job = site.train()
    with site.registry.write() as session:
        assert assign(session, job, 0, [Part("here", (0,), 0)], str(site.settings.runs / str(job) / "1"))
    site.cancel(job)
    site.start_worker()

    site.until(job, CANCELLED)
    eventually(site.idle, "its device is free")
    assert not (site.settings.runs / str(job)).exists()


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


def test_messages_may_hold_anything(site: Site, redis_server: RedisServer) -> None:
    go = site.folder / "go"
    site.script({"default": held_until(go)})
    job = site.train()
    site.until(job, RUNNING)
    broker = Broker(site.settings.resolved_broker_url)
    for _ in range(20):
        broker.wake_place(job, JobKind.TRAIN)
        broker.wake_start(job, 1, "here")
        broker.wake_start(job, 7, "here")
        broker.wake_cancel(job, 1, "here")
    for arguments in [("x",), (), (1, 2, 3), (None, {"a": 1}), (10**30, -1)]:
        for task in ("place", "start", "cancel", "unheard_of"):
            broker.send(f"erfnet_jobs.{task}", arguments, "erfnet-jobs.host.here")
    client = redis_server.client()
    client.lpush("erfnet-jobs.eval", "no message at all")
    client.lpush("erfnet-jobs.train", '{"body": "", "headers": {}, "properties": {"delivery_tag": "1"}}')
    empty = ["erfnet-jobs.train", "erfnet-jobs.eval", "erfnet-jobs.host.here"]
    eventually(lambda: not any(client.llen(queue) for queue in empty), "the messages were taken")

    go.touch()
    site.until(job, SUCCEEDED)
    again = site.train()
    site.until(again, SUCCEEDED)
    assert len(site.attempts(job)) == len(site.attempts(again)) == 1
    assert site.worker is not None
    assert site.worker.poll() is None
    assert "Traceback" not in site.log


def test_without_redis_all_goes_on(new_site: NewSite, sqlite_url: str, own_redis: RedisServer) -> None:
    site = new_site(sqlite_url, broker_url=own_redis.url)
    site.start_worker()
    site.until(site.train(), SUCCEEDED)

    own_redis.start()
    client = own_redis.client()
    eventually(lambda: client.client_list(_type="normal")[1:], "the worker has found Redis")
    go = site.folder / "go"
    site.script({"default": held_until(go)})
    job = site.train()
    site.until(job, RUNNING)
    own_redis.kill()
    second = site.train(cards=2)
    go.touch()
    site.until(second, SUCCEEDED)
    own_redis.start()

    assert site.job(job).state == SUCCEEDED
    assert len(site.attempts(job)) == 1
    assert "Traceback" not in site.log


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


def test_sqlite_refuses_a_second_host(new_site: NewSite, sqlite_url: str) -> None:
    new_site(sqlite_url).start_worker()
    other = new_site(sqlite_url, host="other")

    assert other.spawn_worker().wait(30) == UsageError.exit_code
    assert "belongs to host 'here'" in other.log
    assert "Traceback" not in other.log


def test_a_locked_database_kills_nobody(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url, lease_timeout=3)
    site.start_worker()
    go = site.folder / "go"
    site.script({"default": [["hello"], ["wait_for", str(go)], ["checkpoint", 1, 1, 1], ["done"]]})
    job = site.train()
    site.until(job, RUNNING)

    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None) as holder:
        holder.execute("BEGIN IMMEDIATE")
        go.touch()
        eventually(lambda: not site.ranks(), "the rank ends while nobody can write")
        hold(4)
        holder.execute("ROLLBACK")
    holder.close()
    site.until(job, SUCCEEDED)

    assert len(site.attempts(job)) == 1
    with site.registry.read() as session:
        assert len(list_checkpoints(session, job)) == 1


def hold(seconds: float) -> None:
    """The condition of these tests is time itself: a lock that is held for longer than a lease may stand still."""
    threading.Event().wait(seconds)


def test_what_only_the_host_can_check(site: Site) -> None:
    gone = site.submit(Request(TrainSpec(str(site.folder / "nowhere"))))
    weights = site.submit(Request(ExportSpec(str(site.folder / "none.ckpt"))))
    unknown = site.submit(Request(ExportSpec("77")))
    for name in ("endless", "endless.ckpt"):
        (site.folder / name).symlink_to("x" * 300)
    endless = site.submit(Request(TrainSpec(str(site.folder / "endless"))))
    endless_weights = site.submit(Request(ExportSpec(str(site.folder / "endless.ckpt"))))
    for job, error, words in [
        (gone, "BadData", "nowhere is not there"),
        (weights, "BadCheckpoint", "none.ckpt is not there"),
        (unknown, "NotFound", "checkpoint 77 is unknown"),
        (endless, "BadData", "endless cannot be read here (File name too long)"),
        (endless_weights, "BadCheckpoint", "endless.ckpt cannot be read here (File name too long)"),
    ]:
        ended = site.until(job, FAILED)
        (attempt,) = site.attempts(job)
        assert (attempt.error, attempt.permanent) == (error, True)
        assert words in (ended.reason or "")
    eventually(site.idle, "nothing was started")


def test_a_run_folder_of_another_registry_is_refused(site: Site) -> None:
    runs = site.settings.runs
    (runs / "1").mkdir(parents=True)
    (runs / "1" / "job.json").write_text('{"registry": "another"}')
    job = site.train()

    ended = site.until(job, FAILED)

    assert "belongs to job 1 of another registry (another): set ERFNET_JOBS_RUNS" in (ended.reason or "")


def test_a_run_folder_that_cannot_be_written(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url)
    site.start_worker()
    (site.settings.runs / "1").write_text("a file where the folder should be")
    job = site.train()

    assert "cannot be written" in (site.until(job, FAILED).reason or "")
    assert site.worker is not None
    assert site.worker.poll() is None


def test_a_full_disk(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url)
    site.settings.runs.mkdir()
    unshare = shutil.which("unshare") or "unshare"
    if subprocess.run([unshare, "-rm", "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        assert not os.environ.get("CI"), "this machine has no mount namespaces for a small disk"
        pytest.skip("this machine has no mount namespaces for a small disk")
    # Two pages: one for the storage's mark, one for job.json, none for the plan.
    mount = f'mount -t tmpfs -o size=8k none {site.settings.runs} && exec "$@"'
    site.start_worker(wrapper=(unshare, "-rm", "sh", "-c", mount, "sh"))
    job = site.train(max_attempts=2)

    ended = site.until(job, FAILED)

    assert "no space left below" in (ended.reason or "")
    assert [attempt.error for attempt in site.attempts(job)] == ["DiskFull", "DiskFull"]
    assert site.worker is not None
    assert site.worker.poll() is None


def test_a_host_that_went_away_gives_its_part_back(new_site: NewSite, postgres_url: str) -> None:
    left, right = (new_site(postgres_url, host=name, lease_timeout=4) for name in ("left", "right"))
    left.start_worker(devices=1)
    right.start_worker(devices=2)
    right.script({"attempt 1": HANG})
    job = right.train(cards=2)
    right.until(job, RUNNING)
    right.stop_worker(signal.SIGKILL)
    second = left.train(host="right")
    eventually(lambda: "its worker is not up" in (left.job(second).reason or ""), "left sees that right is silent")
    for pid in right.processes():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: left.attempts(job)[0].outcome == Outcome.LOST, "left declares the attempt of right lost")
    assert left.job(job).state == JobState.QUEUED
    right.script({})
    right.start_worker(devices=2)

    right.until(job, SUCCEEDED)
    right.until(second, SUCCEEDED)
    assert left.ask(lambda session: session.scalars(select(Attempt).where(Attempt.job_id == job)).all()[1].number) == 2
