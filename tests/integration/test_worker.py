"""Workers, supervisors and scripted ranks as real processes, with real signals."""

import sqlite3
import threading
from pathlib import Path

from sqlalchemy import func, select

from erfnet_jobs.broker import Broker
from erfnet_jobs.jobs import Part, Request
from erfnet_jobs.registry.attempts import assign
from erfnet_jobs.registry.checkpoints import list_checkpoints
from erfnet_jobs.registry.tables import Artifact, Evaluation, LogTail, Metric
from erfnet_jobs.specs import EvalSpec, ExportSpec
from erfnet_jobs.states import JobKind, JobState, Outcome
from tests.services import NewSite, RedisServer, Site, eventually

RUNNING = JobState.RUNNING
SUCCEEDED, CANCELLED, SKIPPED = JobState.SUCCEEDED, JobState.CANCELLED, JobState.SKIPPED


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
