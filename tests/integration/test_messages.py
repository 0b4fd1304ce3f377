"""Messages wake a worker and do nothing else: twice, thrice, late, never, out of order, for others and for the past."""

import subprocess
import sys
from contextlib import closing
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from erfnet_jobs.broker import CANCEL_TASK, PLACE_TASK, START_TASK, Broker, host_queue, kind_queue
from erfnet_jobs.registry.hosts import get_host
from erfnet_jobs.registry.tables import Attempt, Event, Job, Placement
from erfnet_jobs.states import JobKind, JobState
from tests.services import NewSite, RedisServer, Site, eventually

QUEUES = [*(kind_queue(kind) for kind in JobKind), host_queue("here")]
Message = tuple[str, tuple[int, ...], str]


def test_each_message_wakes_the_rounds(new_site: NewSite, sqlite_url: str, redis_server: RedisServer) -> None:
    command = [sys.executable, "-m", "tests.integration.consumer_program"]
    consumer = subprocess.Popen(command, env=new_site(sqlite_url).environ, stdout=subprocess.PIPE, text=True)
    assert consumer.stdout is not None
    with closing(Broker(redis_server.url)) as broker:
        broker.wake_place(1, JobKind.EVAL)
        assert consumer.stdout.readline() == "told of room\n"
        broker.wake_start(1, 2, "here")
        assert consumer.stdout.readline() == "told\n"
        broker.wake_cancel(1, 2, "here")
        assert consumer.stdout.readline() == "cancel 1 2 here\n"
    consumer.kill()

    assert consumer.communicate()[0] == ""


def jobs_of_each_fate(site: Site) -> list[int]:
    """A job that succeeded, one that failed, one that was cancelled, one that waits, and one that runs until told."""
    done = site.train()
    site.until(done, JobState.SUCCEEDED)
    site.script({"default": [["hello"], ["fail", "BadData", "no good"]]})
    failed = site.train()
    site.until(failed, JobState.FAILED)
    site.script({"default": [["hello"], ["wait_for", str(site.folder / "go")], ["done"]]})
    running = site.train(cards=2)
    site.until(running, JobState.RUNNING)
    cancelled = site.train()
    site.cancel(cancelled)
    return [done, failed, cancelled, site.train(after=(running,)), running]


def picture(site: Site) -> object:
    """All that a message must leave alone."""

    def look(session: Any) -> object:
        jobs = session.execute(
            select(Job.id, Job.state, Job.attempt, Job.reason, Job.cancel_requested).order_by(Job.id)
        )
        attempts = session.execute(select(Attempt.job_id, Attempt.number, Attempt.outcome).order_by(Attempt.job_id))
        placements = session.execute(select(Placement.job_id, Placement.attempt, Placement.state))
        return jobs.all(), attempts.all(), placements.all(), session.scalar(select(func.count()).select_from(Event))

    return site.ask(look)


def messages(jobs: list[int]) -> st.SearchStrategy[list[Message]]:
    """Each up to three times, in any order; some for jobs and attempts that never were, some for another host."""
    arguments = st.tuples(st.sampled_from([*jobs, 77]), st.integers(0, 3))
    place = st.tuples(st.just(PLACE_TASK), st.sampled_from([(job,) for job in jobs]), st.sampled_from(QUEUES))
    own = st.tuples(st.sampled_from([START_TASK, CANCEL_TASK]), arguments, st.just(host_queue("here")))
    foreign = st.tuples(st.sampled_from([START_TASK, CANCEL_TASK]), arguments, st.just(host_queue("elsewhere")))
    once = st.lists(st.one_of(place, own, foreign), min_size=1, max_size=15)
    repeated = once.flatmap(lambda sent: st.lists(st.sampled_from(sent), max_size=2 * len(sent)).map(sent.__add__))
    return repeated.flatmap(st.permutations)


def test_messages_change_nothing_by_themselves(site: Site, redis_server: RedisServer) -> None:
    jobs = jobs_of_each_fate(site)
    before = picture(site)
    processes = set(site.processes())
    client = redis_server.client()

    @settings(max_examples=15, suppress_health_check=list(HealthCheck))
    @given(messages(jobs))
    def deliver(sent: list[Message]) -> None:
        foreign = client.llen(host_queue("elsewhere")) + sum(queue == host_queue("elsewhere") for *_, queue in sent)
        with closing(Broker(redis_server.url)) as broker:
            for task, arguments, queue in sent:
                broker.send(task, arguments, queue)
        eventually(lambda: not any(client.llen(queue) for queue in QUEUES), "the messages were taken")
        beat = site.ask(lambda session: get_host(session, "here").beat)
        eventually(lambda: site.ask(lambda session: get_host(session, "here").beat) > beat + 1, "rounds were made")
        assert picture(site) == before
        assert set(site.processes()) == processes
        assert client.llen(host_queue("elsewhere")) == foreign

    deliver()

    (site.folder / "go").touch()
    for job in jobs[-2:]:
        assert site.until(job, JobState.SUCCEEDED).attempt == 1
    assert "Traceback" not in site.log
    assert "Connection to broker lost" not in site.log


def test_messages_that_come_late(new_site: NewSite, sqlite_url: str, redis_server: RedisServer) -> None:
    site = new_site(sqlite_url)
    site.start_worker()
    ended = site.train()
    site.until(ended, JobState.SUCCEEDED)
    site.stop_worker()
    job = site.train()
    with closing(Broker(redis_server.url)) as broker:
        for _ in range(3):
            broker.wake_cancel(job, 1, "here")
            broker.wake_start(ended, 1, "here")
            broker.wake_place(ended, JobKind.TRAIN)

    site.start_worker()

    assert site.until(job, JobState.SUCCEEDED).attempt == site.job(ended).attempt == 1
