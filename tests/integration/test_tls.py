"""Redis and PostgreSQL with passwords and TLS, all by URL: what works, and what is told where something is wrong."""

import uuid

import pytest
import redis

from erfnet_jobs.broker import Broker, kind_queue
from erfnet_jobs.errors import BrokerUnreachable, ErfnetJobsError, RegistryUnreachable
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.hosts import list_hosts
from erfnet_jobs.states import JobKind
from tests.conftest import PostgresServer
from tests.guarded import PASSWORD, USER, Guarded
from tests.services import RedisServer


def told(caught: pytest.ExceptionInfo[ErfnetJobsError]) -> str:
    text = str(caught.value)
    assert PASSWORD not in text
    assert "wrong.one" not in text
    return text


def test_redis_with_a_password_over_tls(guarded_redis: Guarded, own_redis: RedisServer) -> None:
    broker = Broker(guarded_redis.broker_url)
    broker.ping()
    broker.wake_place(7, JobKind.TRAIN)
    broker.close()
    client = redis.Redis(unix_socket_path=str(own_redis.socket), password=PASSWORD)
    assert client.llen(kind_queue(JobKind.TRAIN)) == 1


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("rediss://:{password}@{name}:{port}/0?ssl_ca_certs={other_ca}", "ssl_ca_certs in ERFNET_JOBS_BROKER_URL must"),
        ("rediss://:{password}@{name}:{port}/0", "ssl_ca_certs in ERFNET_JOBS_BROKER_URL must"),
        ("rediss://:{password}@127.0.0.1:{port}/0?ssl_ca_certs={ca}", "must hold the host's name"),
        ("rediss://:wrong.one@{name}:{port}/0?ssl_ca_certs={ca}", "correct the password"),
        ("rediss://{name}:{port}/0?ssl_ca_certs={ca}", "it wants a password"),
        ("redis://:{password}@{name}:{port}/0", "must begin with rediss://"),
    ],
)
def test_redis_that_refuses_or_is_refused(guarded_redis: Guarded, url: str, remedy: str) -> None:
    broker = Broker(guarded_redis.text(url))
    with pytest.raises(BrokerUnreachable) as caught:
        broker.ping()
    assert remedy in told(caught)


def test_postgresql_with_a_password_over_tls(guarded_postgres: Guarded, postgres_server: PostgresServer) -> None:
    url = guarded_postgres.database_url(postgres_server.create("template_registry"))
    with Registry(url) as registry:
        with registry.read() as session:
            assert list_hosts(session) == []
        assert PASSWORD not in registry.shown_url


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        (
            "{user}:{password}@{name}:{port}/{db}?sslmode=verify-full&sslrootcert={other_ca}",
            "sslrootcert in ERFNET_JOBS",
        ),
        ("{user}:{password}@127.0.0.1:{port}/{db}?sslmode=verify-full&sslrootcert={ca}", "must hold the host's name"),
        ("{user}:wrong.one@{name}:{port}/{db}?sslmode=verify-full&sslrootcert={ca}", "correct user and password"),
        ("{user}@{name}:{port}/{db}?sslmode=verify-full&sslrootcert={ca}", "correct user and password"),
        ("{user}:{password}@{name}:{port}/{db}?sslmode=verify-full&sslrootcert=/no/such/file", "/no/such/file"),
    ],
)
def test_postgresql_that_refuses_or_is_refused(guarded_postgres: Guarded, url: str, remedy: str) -> None:
    words = {"{user}": USER, "{db}": uuid.uuid4().hex}
    for word, value in words.items():
        url = url.replace(word, value)
    with (
        Registry(guarded_postgres.text(f"postgresql+psycopg://{url}")) as registry,
        pytest.raises(RegistryUnreachable) as caught,
        registry.read(),
    ):
        pass
    assert remedy in told(caught)
