"""A Redis and a PostgreSQL that want TLS and a password.

They are built without TLS here, so a proxy that ends it stands before them (tests/tls.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.conftest import PostgresServer
from tests.services import RedisServer
from tests.tls import NAME, Authority, authority, tls_before

PASSWORD = "open.sesame"
USER = "guarded"


@dataclass(frozen=True)
class Guarded:
    """A server that wants TLS and a password: its port, and the file of the authority that it is known by."""

    port: int
    ca: Path
    other_ca: Path

    def text(self, template: str) -> str:
        """A URL, or what is to be told of it."""
        words = {"port": self.port, "ca": self.ca, "other_ca": self.other_ca, "password": PASSWORD, "name": NAME}
        return template.format(**words)

    @property
    def broker_url(self) -> str:
        """The URL by which the Redis is reached with its name and certificate checked."""
        return self.text("rediss://:{password}@{name}:{port}/0?ssl_ca_certs={ca}")

    def database_url(self, plain_url: str) -> str:
        """The URL by which a database of the server is reached with its name and certificate checked."""
        rest = f"{self.port}/{make_url(plain_url).database}?sslmode=verify-full&sslrootcert={self.ca}"
        return f"postgresql+psycopg://{USER}:{PASSWORD}@{NAME}:{rest}"


@pytest.fixture(scope="session")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:
    folder = tmp_path_factory.mktemp("authorities")
    return authority(folder / "ca.pem"), authority(folder / "other.pem")


@pytest.fixture
def guarded_redis(own_redis: RedisServer, authorities: tuple[Authority, Authority]) -> Iterator[Guarded]:
    own_redis.start()
    own_redis.client().config_set("requirepass", PASSWORD)
    ours, other = authorities
    with tls_before(own_redis.socket, ours.context(NAME)) as port:
        yield Guarded(port, ours.file, other.file)


@pytest.fixture(scope="session")
def guarded_postgres(postgres_server: PostgresServer, authorities: tuple[Authority, Authority]) -> Iterator[Guarded]:
    postgres_server.add_guarded_user(USER, PASSWORD)
    ours, other = authorities
    with tls_before(postgres_server.socket, ours.context(NAME), is_postgres=True) as port:
        yield Guarded(port, ours.file, other.file)
