"""The broker's client on a real Redis: what is sent, and what is told when Redis is away or hangs."""

import base64
import json
import os
import signal
import time

import pytest

from erfnet_jobs.broker import MESSAGE_VERSION, TIMEOUT_SECONDS, Broker, kind_queue
from erfnet_jobs.errors import BrokerUnreachable
from erfnet_jobs.states import JobKind
from tests.services import RedisServer


def test_messages_go_to_the_queue_of_their_kind_and_of_their_host(redis_server: RedisServer) -> None:
    broker = Broker(redis_server.url)
    broker.ping()
    broker.wake_place(7, JobKind.EVAL)
    broker.wake_start(7, 1, "host-1")
    broker.wake_cancel(7, 1, "host-1")
    broker.close()

    client = redis_server.client()
    place = json.loads(client.lindex("erfnet-jobs.eval", 0))
    assert place["headers"]["task"] == "erfnet_jobs.place"
    assert place["content-type"] == "application/json"
    arguments, named, _ = json.loads(base64.b64decode(place["body"]))
    assert (arguments, named) == ([7], {"version": MESSAGE_VERSION})
    tasks = [json.loads(entry)["headers"]["task"] for entry in client.lrange("erfnet-jobs.host.host-1", 0, -1)]
    assert sorted(tasks) == ["erfnet_jobs.cancel", "erfnet_jobs.start"]


def test_a_redis_that_came_back_empty_gets_the_next_message(own_redis: RedisServer) -> None:
    own_redis.start()
    broker = Broker(own_redis.url)
    broker.wake_place(1, JobKind.TRAIN)
    own_redis.client().flushall()
    broker.wake_place(2, JobKind.TRAIN)
    assert own_redis.client().llen(kind_queue(JobKind.TRAIN)) == 1

    own_redis.kill()
    with pytest.raises(BrokerUnreachable, match="erfnet-jobs up"):
        broker.wake_place(3, JobKind.TRAIN)
    own_redis.start()
    broker.wake_place(4, JobKind.TRAIN)
    assert own_redis.client().llen(kind_queue(JobKind.TRAIN)) == 1
    broker.close()


def test_a_redis_that_hangs_holds_nobody_for_long(own_redis: RedisServer) -> None:
    own_redis.start()
    broker = Broker(own_redis.url)
    broker.ping()
    os.kill(own_redis.pid, signal.SIGSTOP)

    began = time.monotonic()
    with pytest.raises(BrokerUnreachable):
        broker.wake_place(1, JobKind.TRAIN)

    # Not a speed: without a bound this would never end.
    assert time.monotonic() - began < 10 * TIMEOUT_SECONDS


def test_an_error_shows_the_url_without_its_password() -> None:
    with pytest.raises(BrokerUnreachable, match="ERFNET_JOBS_BROKER_URL") as caught:
        Broker("redis://:secret@127.0.0.1:1/0").ping()
    assert "secret" not in str(caught.value)
