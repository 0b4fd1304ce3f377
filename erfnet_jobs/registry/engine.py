"""Opening the registry: one engine per process, read and write transactions, errors in our own words."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session

from erfnet_jobs.errors import DiskFull, MissingDependency, RegistryNotMigrated, RegistryUnreachable, UsageError
from erfnet_jobs.registry.summaries import refresh_stale
from erfnet_jobs.registry.url import parse_url, shown_url

# The newest migration; a test compares it with the migration scripts, so that commands need not load Alembic.
HEAD = "0004"
BUSY_SECONDS = 15
CONNECT_SECONDS = 5
# A link that is dead without a word must not hold a supervisor for ever (libpq, "Parameter Key Words").
POSTGRESQL_WAITS = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
# A process that is stopped or cut off in the middle of a transaction must not hold its rows from all others: the server
# ends its session, well before a lease counts as lost.
IDLE_SECONDS = 10


def _configure_postgresql(engine: Engine) -> None:
    # Not as an option of the connection: poolers refuse those.
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
        connection.commit()


def _configure_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        # The driver's own BEGIN comes too late for reads that decide; ours is sent below.
        connection.isolation_level = None
        for pragma in ("foreign_keys=ON", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        write = connection.get_execution_options().get("registry_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def make_engine(database_url: str) -> Engine:
    """An engine for the URL, with bounded waits; raises UsageError or MissingDependency."""
    url = parse_url(database_url)
    try:
        if url.get_backend_name() == "sqlite":
            engine = create_engine(url, connect_args={"timeout": _busy_seconds(url)})
        else:
            engine = create_engine(url, pool_pre_ping=True, connect_args=POSTGRESQL_WAITS)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise MissingDependency(
            f"the registry's URL needs the package psycopg ({error}): pip install 'erfnet-jobs[postgresql]'"
        ) from error
    if engine.dialect.name == "sqlite":
        _configure_sqlite(engine)
    else:
        _configure_postgresql(engine)
    return engine


def _busy_seconds(url: URL) -> float:
    """How long to wait for other writers of a SQLite file: the URL's `?timeout=`, else a default."""
    given = url.query.get("timeout", str(BUSY_SECONDS))
    try:
        return float(str(given))
    except ValueError as error:
        raise UsageError(f"the registry's URL has the timeout {given!r}: give seconds, such as ?timeout=30") from error


def explain(error: DBAPIError, shown: str) -> Exception:
    """The database's error in our own words; itself where it is a fault of ours."""
    said = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
    if "no such table" in said or "UndefinedTable" in type(error.orig).__name__:
        return RegistryNotMigrated(f"{shown} has no tables of ours ({said}): run 'erfnet-jobs db upgrade'")
    if undone := _undone(type(error.orig).__name__, shown, said):
        return RegistryUnreachable(undone)
    if "locked" in said:
        return RegistryUnreachable(
            f"{shown} stayed locked for {_busy_seconds(make_url(shown)):g} s ({said}): another process holds it; "
            "find it with 'fuser', end it, and try again"
        )
    if "not a database" in said:
        return UsageError(f"{shown} is no SQLite database ({said}): give the path of the registry or of a new file")
    if "disk is full" in said or "DiskFull" in type(error.orig).__name__:
        return DiskFull(f"no space is left for the registry {shown} ({said}): make room, and try again")
    if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
        return error
    if type(error).__name__ in {"OperationalError", "InterfaceError", "DatabaseError"}:
        return RegistryUnreachable(f"the registry {shown} does not answer ({said}): {_server_remedy(said)}")
    return error


def _undone(kind: str, shown: str, said: str) -> str | None:
    """Why PostgreSQL has undone a change that may be tried again; None for other errors than these."""
    if kind in {"DeadlockDetected", "SerializationFailure"}:
        return f"another change of {shown} was in the way ({said}): try again"
    if kind == "IdleInTransactionSessionTimeout":
        return f"{shown} undid a change in the middle of which this process stood still for {IDLE_SECONDS} s: try again"
    return None


def _server_remedy(said: str) -> str:
    """What to do about what libpq said of a server that it could not use."""
    variable = "ERFNET_JOBS_DATABASE_URL"
    if "authentication failed" in said or "no password supplied" in said:
        return f"correct user and password in {variable}"
    if "certificate" in said:
        return (
            f"sslrootcert in {variable} must name the authority that signed the server's certificate, and with "
            "sslmode=verify-full the certificate must hold the host's name as the URL has it"
        )
    if "SSL" in said:
        return f"the server and sslmode in {variable} must agree on TLS; see the server's log"
    return "is it up, and is the URL right?"


class Registry:
    """The registry of one database URL.

    `read()` and `write()` give a Session in one transaction, whose rows may be looked at after its end; `write`
    commits at its end, with the summaries of the hosts that it changed, and takes SQLite's write lock at its beginning,
    so that what it reads stays true. Both raise RegistryUnreachable when the database does not answer or stays locked,
    and the first of them RegistryNotMigrated when its schema is not this program's.
    """

    def __init__(self, database_url: str) -> None:
        self.url = parse_url(database_url)
        self._engine = make_engine(database_url)
        self._write_engine = self._engine.execution_options(registry_write=True)
        self._checked = False

    @property
    def sqlite(self) -> bool:
        """Whether the database is a SQLite file, which serves one host only."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return shown_url(self.url)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for questions only."""
        with self._translated(), Session(self._engine, expire_on_commit=False) as session, session.begin():
            self._check(session)
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose changes are committed at the end, or none of them."""
        with self._translated(), Session(self._write_engine, expire_on_commit=False) as session, session.begin():
            self._check(session)
            yield session
            refresh_stale(session)

    def check_version(self) -> None:
        """Look again whether the schema is this program's: somebody may have upgraded it. Raises as `read`."""
        self._checked = False
        with self.read():
            pass

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        if self.sqlite and not self._checked and not Path(self.url.database or "").is_file():
            raise RegistryNotMigrated(
                f"there is no registry at {self.shown_url}: run 'erfnet-jobs up' (one machine) or "
                "'erfnet-jobs db upgrade', or set ERFNET_JOBS_HOME or ERFNET_JOBS_DATABASE_URL to where it is"
            )
        try:
            yield
        except DBAPIError as error:
            raise explain(error, self.shown_url) from error

    def _check(self, session: Session) -> None:
        if self._checked:
            return
        found = session.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
        if found != HEAD:
            raise RegistryNotMigrated(
                f"the registry {self.shown_url} is at version {found}, this program needs {HEAD}: {_remedy(found)}"
            )
        self._checked = True


def _remedy(found: str | None) -> str:
    """What to do about a registry of another version; versions are numbers that grow."""
    if found is not None and found > HEAD:
        return "the registry is newer, so install the program that fits; nothing was changed"
    return "run 'erfnet-jobs db upgrade' (or install the program that fits)"
