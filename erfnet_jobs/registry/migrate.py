"""Making a registry, and bringing an old one to this program's version. The only module that loads Alembic."""

import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

import erfnet_jobs
from erfnet_jobs.errors import RegistryNotMigrated, RegistryUnreachable, UsageError
from erfnet_jobs.files import make_private_folder, open_private
from erfnet_jobs.registry.engine import BUSY_SECONDS, explain, make_engine
from erfnet_jobs.registry.events import Actor, now, record_event
from erfnet_jobs.registry.tables import RegistryIdentity
from erfnet_jobs.registry.url import parse_url, shown_url

# Any number, as long as all programs that migrate a registry take the same.
ADVISORY_LOCK = 0x4552464E
WAL_PAUSE_SECONDS = 0.02


def scripts() -> Path:
    """The folder of the migrations: in an installed package inside it, in a checkout beside it."""
    package = Path(erfnet_jobs.__file__).parent
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The newest revision of the migrations."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def upgrade(database_url: str, revision: str = "head", actor: Actor | None = None) -> tuple[str | None, str]:
    """Bring a registry to `revision`, all or nothing; (revision before, revision after), None before the first.

    The audit log has it as done by `actor`, where one is given. Makes a SQLite file, and its folder, that is not there
    yet. When several do it at once, one does and the others
    wait. Raises RegistryUnreachable; RegistryNotMigrated for a registry that is newer than this program; UsageError
    for a database that belongs to something else.
    """
    url = parse_url(database_url)
    _make_file(url)
    before, after = _run(database_url, lambda config: command.upgrade(config, revision), actor)
    return before, str(after)


def downgrade(database_url: str, revision: str = "base") -> tuple[str | None, str | None]:
    """Bring a registry back to an older revision; what the newer ones held is lost. Raises as `upgrade`."""
    return _run(database_url, lambda config: command.downgrade(config, revision))


def current(database_url: str) -> str | None:
    """The registry's revision, None for none. Raises RegistryUnreachable."""
    url = parse_url(database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return None
    with connected(database_url) as connection:
        return _revision(connection)


def _make_file(url: URL) -> None:
    """Make a SQLite file, empty and its user's alone, where there is none."""
    if url.get_backend_name() != "sqlite":
        return
    if not url.database or url.database == ":memory:":
        raise UsageError("the registry's URL names no file: give sqlite:///PATH")
    folder = Path(url.database).parent
    try:
        make_private_folder(folder)
        if not Path(url.database).exists():
            open_private(Path(url.database)).close()
    except OSError as error:
        raise RegistryUnreachable(
            f"the registry {url.database} cannot be made ({error.strerror}): give a path where you may write"
        ) from error


@contextmanager
def connected(database_url: str, *, write: bool = False) -> Iterator[Connection]:
    """A connection in one transaction, which to write holds the lock of migrations."""
    engine = make_engine(database_url).execution_options(registry_write=write)
    shown = shown_url(engine.url)
    try:
        with engine.connect() as connection:
            if write:
                _prepare(connection)
            with connection.begin():
                if write and connection.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
                yield connection
    except DBAPIError as error:
        raise explain(error, shown) from error
    finally:
        engine.dispose()


def _prepare(connection: Connection) -> None:
    """SQLite's settings that cannot change inside a transaction."""
    driver = connection.connection.driver_connection
    if connection.dialect.name != "sqlite" or driver is None:
        return
    # Copying a table (batch mode) drops it for a moment; what refers to it is checked at the end instead.
    driver.execute("PRAGMA foreign_keys=OFF")
    _switch_to_wal(driver, time.monotonic() + BUSY_SECONDS)


def _switch_to_wal(driver: Any, deadline: float) -> None:
    """SQLite's own waiting for a lock does not cover this switch, which the first of several upgrades makes."""
    while True:
        try:
            driver.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            if time.monotonic() >= deadline:
                raise RegistryUnreachable(
                    f"the registry stayed locked for {BUSY_SECONDS} s ({error}): another process holds it; find it "
                    "with 'fuser', end it, and try again"
                ) from error
            time.sleep(WAL_PAUSE_SECONDS)
        else:
            return


def _run(
    database_url: str, migrate: Callable[[Config], None], actor: Actor | None = None
) -> tuple[str | None, str | None]:
    with connected(database_url, write=True) as connection:
        before = _revision(connection)
        _refuse_foreign(connection, before)
        migrate(_config(connection))
        if connection.dialect.name == "sqlite" and (
            broken := connection.execute(text("PRAGMA foreign_key_check")).all()
        ):
            raise RegistryNotMigrated(
                f"{len(broken)} rows would refer to nothing, so nothing was changed: {broken[:5]}"
            )
        after = _revision(connection)
        if after is not None:
            _name_once(connection)
        if actor is not None and before != after:
            with Session(connection, join_transaction_mode="create_savepoint") as session, session.begin():
                record_event(session, "registry upgraded", f"from {before or 'nothing'} to {after}", actor=actor)
        return before, after


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_foreign(connection: Connection, revision: str | None) -> None:
    shown = shown_url(connection.engine.url)
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise RegistryNotMigrated(
            f"the registry {shown} is at version {revision}, which this program does not know: "
            "it is newer, so install the program that fits; nothing was changed"
        )
    others = sorted(set(inspect(connection).get_table_names()) - {"alembic_version"})
    if revision is None and others:
        raise UsageError(
            f"the database {shown} belongs to something else (it has tables {', '.join(others[:5])}): "
            "give an empty database of its own to the registry"
        )


def _name_once(connection: Connection) -> None:
    with Session(connection, join_transaction_mode="create_savepoint") as session:
        if session.scalar(select(RegistryIdentity.id)) is None:
            session.add(RegistryIdentity(id=1, uuid=str(uuid.uuid4()), created_at=now(session)))
            session.commit()
