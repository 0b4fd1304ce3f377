"""Opening, locking and losing the registry's database."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from erfnet_jobs.errors import DiskFull, RegistryUnreachable, UsageError
from erfnet_jobs.registry import engine as engine_module
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.migrate import current
from erfnet_jobs.registry.status import list_jobs
from tests.conftest import PostgresServer
from tests.registry_steps import submit


@contextmanager
def _locked(database_url: str) -> Iterator[sqlite3.Connection]:
    path = database_url.removeprefix("sqlite:///")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other
    finally:
        other.close()


def _submit(registry: Registry, first: str = "SELECT 1", then: str = "SELECT 1") -> None:
    with registry.write() as session:
        session.execute(text(first))
        submit(session)
        session.execute(text(then))


def test_a_write_waits_for_another_writer(sqlite_url: str) -> None:
    with _locked(sqlite_url) as other, Registry(sqlite_url) as registry:
        unlock = threading.Timer(2.0, other.rollback)
        unlock.start()
        with registry.write() as session:
            assert not unlock.is_alive()
            job = submit(session)
        with registry.read() as session:
            assert get_job(session, job).state == "queued"
        unlock.join()


def test_a_read_does_not_wait_for_a_writer(sqlite_url: str) -> None:
    with _locked(sqlite_url), Registry(sqlite_url) as registry, registry.read() as session:
        assert list_jobs(session) == []


def test_a_database_that_stays_locked(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "BUSY_SECONDS", 1)
    message = "stayed locked for 1 s .*another process holds it"
    with _locked(sqlite_url), Registry(sqlite_url) as registry, pytest.raises(RegistryUnreachable, match=message):
        _submit(registry)


def test_a_disk_that_is_full(sqlite_url: str) -> None:
    with Registry(sqlite_url) as registry, pytest.raises(DiskFull, match="no space is left"):
        # SQLite's own way to run out of space: no more pages than the file has.
        _submit(registry, "PRAGMA max_page_count=1", "CREATE TABLE big AS SELECT zeroblob(1000000)")


def test_a_write_that_fails_leaves_nothing(registry: Registry) -> None:
    with pytest.raises(Exception, match=r"nonsense"):
        _submit(registry, then="SELECT nonsense")
    with registry.read() as session:
        assert list_jobs(session) == []


def test_rows_may_be_looked_at_after_the_transaction(registry: Registry) -> None:
    with registry.write() as session:
        job = get_job(session, submit(session))
    assert (job.state, job.created_at.tzname()) == ("queued", "UTC")


def test_what_a_read_sees_stays_until_its_end(sqlite_url: str) -> None:
    with Registry(sqlite_url) as registry, registry.read() as session:
        assert list_jobs(session) == []
        with registry.write() as writing:
            submit(writing)
        assert list_jobs(session) == []


def test_faults_of_ours_are_not_told_as_the_database_s(registry: Registry) -> None:
    with pytest.raises(DBAPIError, match="nonsense"):
        _submit(registry, then="SELECT * FROM job WHERE nonsense = 1")


def test_postgresql_that_goes_away_and_comes_back(postgres_server: PostgresServer, postgres_url: str) -> None:
    with Registry(postgres_url) as registry:
        _submit(registry)
        with pytest.raises(RegistryUnreachable, match="does not answer"):
            _submit(registry, then="SELECT pg_terminate_backend(pg_backend_pid())")
        with registry.read() as session:
            assert len(list_jobs(session)) == 1


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/db", "sqlite:/x", "postgresql://host/db"])
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(UsageError, match="give sqlite:///PATH"):
        Registry(url)


def test_a_shown_url_has_no_secrets() -> None:
    with Registry("postgresql+psycopg://me:secret@host/db?sslmode=verify-full&sslpassword=secret") as registry:
        assert registry.shown_url == "postgresql+psycopg://me:***@host/db?sslmode=verify-full&sslpassword=%2A%2A%2A"
        assert not registry.sqlite


def test_what_asks_for_the_version_shows_no_secrets() -> None:
    with pytest.raises(RegistryUnreachable) as caught:
        current("postgresql+psycopg://me:secret@127.0.0.1:1/db?sslmode=disable&sslpassword=secret")
    assert "127.0.0.1:1/db" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:one@secret@host/db",
        "postgresql+psycopg://me:secret@host:secret/db",
        "postgresql+psycopg://me:pass#secret/word@host/db@",
        "postgresql+psycopg://host/db?password=secret",
    ],
)
def test_a_url_that_cannot_be_meant_is_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="ERFNET_JOBS_DATABASE_URL") as caught:
        Registry(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("code", ["40P01", "40001"])
def test_a_deadlock_is_no_silence(postgres_url: str, code: str) -> None:
    with Registry(postgres_url) as registry, pytest.raises(RegistryUnreachable, match=r"was in the way.*try again"):
        _submit(registry, then=f"DO $$ BEGIN RAISE EXCEPTION 'in a circle' USING ERRCODE = '{code}'; END $$")


def test_who_stands_still_in_a_transaction_lets_go(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "IDLE_SECONDS", 1)
    with Registry(postgres_url) as frozen, Registry(postgres_url) as other:
        _submit(frozen)

        def stand_still() -> None:
            with frozen.write() as session:
                get_job(session, 1, lock=True)
                with other.write() as waiting:  # waits for the row until the server has ended the session above
                    get_job(waiting, 1, lock=True)
                session.execute(text("SELECT 1"))

        with pytest.raises(RegistryUnreachable, match="this process stood still for 1 s: try again"):
            stand_still()
        with frozen.write() as session:  # who wakes goes on
            get_job(session, 1, lock=True)
