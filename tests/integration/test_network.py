"""The link between a worker and Redis is lost, in each way that a network has: jobs go on, and messages come again."""

from collections.abc import Callable, Iterator

import pytest

from erfnet_jobs.client.api import Client
from erfnet_jobs.jobs import Request
from erfnet_jobs.states import JobState
from erfnet_jobs.train_spec import TrainSpec
from tests.services import NewSite, RedisServer, Site
from tests.tcp_proxy import TcpProxy

RUNNING, SUCCEEDED = JobState.RUNNING, JobState.SUCCEEDED
Step = Callable[[TcpProxy], None]


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[TcpProxy]:
    with TcpProxy(redis_server.socket) as made:
        yield made


@pytest.fixture
def site(new_site: NewSite, sqlite_url: str, proxy: TcpProxy) -> Site:
    """A host that reaches Redis through the proxy."""
    made = new_site(sqlite_url, broker_url=proxy.url)
    made.start_worker()
    return made


@pytest.mark.parametrize(
    ("lose", "find"),
    [
        pytest.param(TcpProxy.cut, TcpProxy.mend, id="cut"),
        pytest.param(TcpProxy.drop, TcpProxy.mend, id="silent for a while"),
        pytest.param(TcpProxy.drop, TcpProxy.forget, id="silent, and half open for ever"),
    ],
)
def test_a_link_that_is_lost(site: Site, proxy: TcpProxy, redis_server: RedisServer, lose: Step, find: Step) -> None:
    redis_server.until_read("here")
    go = site.folder / "go"
    site.script({"default": [["hello"], ["wait_for", str(go)], ["done"]]})
    first = site.train()
    site.until(first, RUNNING)

    lose(proxy)
    second = site.train()
    site.until(second, RUNNING)
    go.touch()
    for job in (first, second):
        site.until(job, SUCCEEDED)
        assert len(site.attempts(job)) == 1
    find(proxy)

    redis_server.until_read("here")
    assert "Traceback" not in site.log


def test_a_slow_link(site: Site, proxy: TcpProxy, redis_server: RedisServer) -> None:
    proxy.slow(0.05)
    with Client(site.settings) as client:
        (job,) = client.submit(Request(TrainSpec(str(site.data))), evaluate=False)

    site.until(job["id"], SUCCEEDED)
    redis_server.until_read("here")
