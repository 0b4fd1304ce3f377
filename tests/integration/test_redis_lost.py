"""Redis is killed and comes back empty at each step of a training's way: it and the jobs after it succeed."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from erfnet_jobs.client.api import Client
from erfnet_jobs.errors import BrokerUnreachable
from erfnet_jobs.jobs import Request
from erfnet_jobs.states import JobKind, JobState
from erfnet_jobs.train_spec import TrainSpec
from tests.services import NewSite, RedisServer, Site, eventually

STARTING, RUNNING, SUCCEEDED = JobState.STARTING, JobState.RUNNING, JobState.SUCCEEDED


class Course:
    """A training with its evaluation and, where asked for, an export after it, on a host whose Redis may be killed.

    Ranks say hello once `hello` is there, and end once `end` is.
    """

    def __init__(self, site: Site, redis: RedisServer) -> None:
        self.site = site
        self.redis = redis
        self.hello, self.end = site.folder / "hello", site.folder / "end"
        self.jobs: list[int] = []
        self.warnings: list[str] = []
        site.script(
            {
                "default": [
                    ["wait_for", str(self.hello)],
                    ["hello"],
                    ["checkpoint", 4, 1, 7],
                    ["wait_for", str(self.end)],
                    ["evaluated", 0.5],
                    ["artifact", "mindir", "ERFNet.mindir"],
                    ["done"],
                ]
            }
        )

    def submit(self, host: str | None = None, then: tuple[JobKind, ...] = ()) -> None:
        with Client(self.site.settings, self.warnings.append) as client:
            request = Request(TrainSpec(str(self.site.data)), host=host)
            self.jobs = [job["id"] for job in client.submit(request, then=then)]

    def reach(self, job: int, state: JobState, *gates: Path) -> None:
        for gate in gates:
            gate.touch()
        self.site.until(self.jobs[job], state)

    def lose(self) -> None:
        self.redis.kill()
        self.redis.start()


@pytest.fixture
def course(new_site: NewSite, request: pytest.FixtureRequest, own_redis: RedisServer) -> Iterator[Course]:
    own_redis.start()
    database_url = request.getfixturevalue("postgres_url" if "another host" in request.node.name else "sqlite_url")
    site = new_site(database_url, broker_url=own_redis.url, lease_timeout=30)
    site.start_worker()
    yield Course(site, own_redis)
    own_redis.kill()


def _before_submit(course: Course, _new_site: NewSite) -> None:
    course.redis.kill()
    with pytest.raises(BrokerUnreachable):
        course.submit()
    with Client(course.site.settings) as client:
        assert client.jobs() == []
    course.redis.start()
    course.submit()


def _queued(course: Course, _new_site: NewSite) -> None:
    worker = course.site.worker
    assert worker is not None
    os.kill(worker.pid, signal.SIGSTOP)
    course.submit()
    course.lose()
    os.kill(worker.pid, signal.SIGCONT)


def _assigned(course: Course, new_site: NewSite) -> None:
    there = new_site(course.site.settings.resolved_database_url, host="there", broker_url=course.redis.url)
    there.start_worker()
    assert there.worker is not None
    os.kill(there.worker.pid, signal.SIGSTOP)
    course.submit(host="there")
    course.reach(0, JobState.ASSIGNED)
    course.lose()
    os.kill(there.worker.pid, signal.SIGCONT)


def _starting(course: Course, _new_site: NewSite) -> None:
    course.submit()
    course.reach(0, STARTING)
    course.lose()


def _running(course: Course, _new_site: NewSite) -> None:
    course.submit()
    course.reach(0, RUNNING, course.hello)
    course.lose()


def _ending(course: Course, _new_site: NewSite) -> None:
    course.submit()
    course.reach(0, RUNNING, course.hello)
    course.redis.kill()
    course.reach(0, SUCCEEDED, course.end)
    course.redis.start()


def _another_waits(course: Course, _new_site: NewSite) -> None:
    course.submit(then=(JobKind.EXPORT,))
    course.reach(0, RUNNING, course.hello)
    course.hello.unlink()
    course.reach(0, SUCCEEDED, course.end)
    course.reach(1, STARTING)
    assert course.site.job(course.jobs[2]).state == JobState.WAITING
    course.lose()


def _cancelling(course: Course, _new_site: NewSite) -> None:
    course.submit()
    course.reach(0, RUNNING, course.hello)
    course.redis.kill()
    with Client(course.site.settings, course.warnings.append) as client:
        client.cancel(course.jobs[:1])
    course.reach(0, JobState.CANCELLED)
    course.redis.start()
    assert "the jobs are told with their next beat" in course.warnings[-1]
    assert [course.site.job(job).state for job in course.jobs[1:]] == [JobState.SKIPPED]
    course.submit()


STEPS: dict[str, Callable[[Course, NewSite], None]] = {
    "before it is submitted": _before_submit,
    "queued": _queued,
    "assigned on another host": _assigned,
    "starting": _starting,
    "running": _running,
    "at its end": _ending,
    "while another waits for it": _another_waits,
    "while it is cancelled": _cancelling,
}


@pytest.mark.parametrize("step", STEPS)
def test_redis_is_killed(step: str, course: Course, new_site: NewSite) -> None:
    STEPS[step](course, new_site)

    for number, job in enumerate(course.jobs):
        course.reach(number, SUCCEEDED, course.hello, course.end)
        assert len(course.site.attempts(job)) == 1
    course.redis.until_read("here")
    eventually(course.site.idle, "nothing is held")
    assert "Traceback" not in course.site.log
