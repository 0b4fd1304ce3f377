"""A registry into an empty one, in one transaction on either side: what backup, restore and moving are made of."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, ExceptionContext, event, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from erfnet_jobs.errors import RegistryNotMigrated, UsageError
from erfnet_jobs.registry.engine import HEAD, explain, make_engine
from erfnet_jobs.registry.events import Actor, record_event
from erfnet_jobs.registry.migrate import connected, current, upgrade
from erfnet_jobs.registry.rows import TABLES, Told, check_empty, continue_ids, copy_all
from erfnet_jobs.registry.tables import Host
from erfnet_jobs.registry.url import parse_url, shown_url


@dataclass(frozen=True)
class Transfer:
    """From which registry to which, as URLs; who asks for it, and as what the target's audit log has it.

    `served`: workers are to use the target, and SQLite serves one host only. `highest` are ids given away already.
    """

    source: str
    target: str
    actor: Actor
    kind: str
    served: bool = True
    highest: Mapping[str, int] = field(default_factory=dict)


def transfer(wanted: Transfer, told: Told) -> dict[str, int]:
    """Copy all rows, all or none; how many of each table. The target is made or migrated where it is empty.

    The source is read as it was at one moment, whatever is written to it meanwhile. Raises UsageError for a target that
    is not empty, RegistryNotMigrated for either of another version, RegistryUnreachable, and ErfnetJobsError where what
    was written is not what was read.
    """
    shown = shown_url(parse_url(wanted.source))
    if parse_url(wanted.source) == parse_url(wanted.target):
        raise UsageError(f"{shown} would be copied into itself: name another registry")
    _check_version(wanted.source, current(wanted.source))
    if current(wanted.target) is None:
        upgrade(wanted.target)
    _check_version(wanted.target, current(wanted.target))
    with _snapshot(wanted.source) as source:
        if wanted.served:
            _check_one_host(source, wanted.target)
        with connected(wanted.target, write=True) as target:
            _lock(target)
            check_empty(target, shown_url(parse_url(wanted.target)))
            counts = copy_all(source, target, told)
            continue_ids(target, wanted.highest)
            _check_references(target)
            with Session(target, join_transaction_mode="create_savepoint") as session, session.begin():
                record_event(session, wanted.kind, f"{sum(counts.values())} rows from {shown}", actor=wanted.actor)
    return counts


@contextmanager
def _snapshot(database_url: str) -> Iterator[Connection]:
    """A connection that sees the registry as it is at its first question, and keeps nobody from writing."""
    engine = make_engine(database_url)
    shown = shown_url(engine.url)

    # What is read while another database is written passes through that one's translation of errors: told here, it
    # is told of the database in which it happened.
    @event.listens_for(engine, "handle_error", retval=True)
    def _told(context: ExceptionContext) -> BaseException | None:
        error = context.sqlalchemy_exception
        return explain(error, shown) if isinstance(error, DBAPIError) else None

    options = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    try:
        with engine.connect().execution_options(**options) as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                # It holds no row, so that it may stand still while the other database is slow.
                connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            yield connection
    finally:
        engine.dispose()


def _check_version(database_url: str, version: str | None) -> None:
    if version == HEAD:
        return
    shown = shown_url(parse_url(database_url))
    if version is None:
        raise RegistryNotMigrated(f"{shown} is no registry: name one, or make it with 'erfnet-jobs db upgrade'")
    if version > HEAD:
        raise RegistryNotMigrated(
            f"{shown} is at version {version}, and this program knows {HEAD}: install the program that fits"
        )
    raise RegistryNotMigrated(
        f"{shown} is at version {version}, and this program needs {HEAD}: use the program of that version, or bring it "
        "(of a backup a copy of it) to this one with 'erfnet-jobs --database-url URL db upgrade'"
    )


def _check_one_host(source: Connection, target: str) -> None:
    hosts = source.execute(select(func.count()).select_from(Host)).scalar_one()
    if parse_url(target).get_backend_name() == "sqlite" and hosts > 1:
        raise UsageError(
            f"{shown_url(parse_url(target))} is a SQLite file, which serves one host, and this registry has {hosts}: "
            "give a postgresql+psycopg:// URL; 'erfnet-jobs db backup FILE' keeps a copy of it in a file"
        )


def _lock(target: Connection) -> None:
    """Keep all others from writing; SQLite's transaction does."""
    if target.dialect.name == "postgresql":
        names = ", ".join(table.name for table in TABLES)
        target.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))


def _check_references(target: Connection) -> None:
    """SQLite's own checks are off while a connection migrates; PostgreSQL makes them row by row."""
    if target.dialect.name != "sqlite":
        return
    broken = target.execute(text("PRAGMA foreign_key_check")).all()
    if broken:
        raise UsageError(f"{len(broken)} rows refer to nothing, so nothing was copied: {broken[:5]}")
