"""A registry kept in a file, brought back from it, and moved to another database. Needs no broker.

A backup is a SQLite registry whatever it was made from, so all three are one thing: all rows into an empty registry.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.client.api import Client
from erfnet_jobs.client.document import Document
from erfnet_jobs.errors import BadData, DiskFull, NotFound, UsageError
from erfnet_jobs.files import open_private, sync_file, sync_folder, written_path
from erfnet_jobs.registry.engine import HEAD
from erfnet_jobs.registry.events import clock, record_event
from erfnet_jobs.registry.rows import Told
from erfnet_jobs.registry.tables import Host, Lease
from erfnet_jobs.registry.transfer import Transfer, transfer
from erfnet_jobs.registry.url import parse_url, shown_url

# What SQLite keeps beside a database while it is open.
BESIDE = ("-wal", "-shm", "-journal")
# In a URL these would begin what is no part of the path.
UNFIT = "?#"


def backup(client: Client, file: Path, told: Told, *, force: bool = False) -> Document:
    """Write all of the registry into a SQLite file that only its user may read, while it is in use as well.

    The file is whole or not there. Raises UsageError where it is there already, unless `force` says to replace it, or
    cannot be written; DiskFull; and as `transfer`.
    """
    path = _new_file(file, force)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    url = client.settings.resolved_database_url
    try:
        open_private(temporary).close()
        rows = transfer(Transfer(url, _url_of(temporary), client.actor, "registry backed up", served=False), told)
        _finish(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}): give a path where you may write") from error
    finally:
        for leftover in (temporary, *(Path(f"{temporary}{end}") for end in BESIDE)):
            leftover.unlink(missing_ok=True)
    return _document(client.registry.shown_url, str(path), rows) | {"size": path.stat().st_size}


def restore(client: Client, file: Path, told: Told, highest_job: int = 0) -> Document:
    """Bring a backup into the registry of the settings, which must be empty, or not there yet.

    New jobs get numbers after `highest_job` too. Raises NotFound or BadData for what is no backup, and as `transfer`.
    """
    path = file.absolute()
    _check_path(path)
    _check_sound(path)
    target = client.settings.resolved_database_url
    wanted = Transfer(_url_of(path), target, client.actor, "registry restored", highest={"job": highest_job})
    return _document(str(path), client.registry.shown_url, transfer(wanted, told))


def move(client: Client, database_url: str, told: Told, *, while_used: bool = False) -> Document:
    """Copy the registry into another database, which must be empty, so that it can be used instead.

    Raises UsageError while workers or jobs write to the registry, unless `while_used`: what they write after the copy
    has begun is not in it. Raises as `transfer`.
    """
    shown = shown_url(parse_url(database_url))
    if not while_used and (writers := _writers(client)):
        raise UsageError(
            f"{client.registry.shown_url} is in use by {', '.join(writers)}, and what they write from now on would be "
            "missing in the copy: stop the workers and let their jobs end first ('erfnet-jobs worker --drain' on each "
            "host), or say --while-used for a copy of what is there now"
        )
    source = client.settings.resolved_database_url
    document = _document(
        client.registry.shown_url,
        shown,
        transfer(Transfer(source, database_url, client.actor, "registry copied"), told),
    )
    with client.registry.write() as session:
        record_event(session, "registry copied", f"{document['rows']} rows to {shown}", actor=client.actor)
    return document


def _document(source: str, target: str, tables: dict[str, int]) -> Document:
    return {"from": source, "to": target, "version": HEAD, "rows": sum(tables.values()), "tables": tables}


def _url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def _check_path(path: Path) -> None:
    if any(sign in str(path) for sign in UNFIT):
        raise UsageError(f"{path} has one of {' '.join(UNFIT)} in it, which no registry's path can have: give another")


def _new_file(file: Path, force: bool) -> Path:
    path = written_path(file)
    _check_path(path)
    if not path.parent.is_dir():
        raise UsageError(f"the folder of {path} is not there: make it, or give another path")
    if path.is_dir() or (path.exists() and not force):
        raise UsageError(f"{path} is there already: give another path, or say --force to replace it")
    return path


def _finish(temporary: Path) -> None:
    """One sound file on disk, with nothing beside it."""
    with closing(sqlite3.connect(temporary)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    _check_sound(temporary)
    sync_file(temporary)


def _check_sound(path: Path) -> None:
    if not path.is_file():
        raise NotFound(f"there is no file {path}: give the path of a backup that 'erfnet-jobs db backup' wrote")
    try:
        with closing(sqlite3.connect(path)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise DiskFull(f"no space is left for {path}: make room, and try again") from error
        raise UsageError(f"{path} cannot be read ({error}): give a path that you may read") from error
    except sqlite3.DatabaseError as error:
        raise BadData(f"{path} is no backup of a registry ({error}): give another") from error
    if found != ["ok"]:
        raise BadData(f"{path} is damaged ({'; '.join(found)}): take an older backup")


def _writers(client: Client) -> list[str]:
    """The hosts whose workers, and the jobs whose supervisors, have been heard of within the lease time-out."""
    with client.registry.read() as session:
        since = clock(session, ahead=-client.settings.lease_timeout)
        hosts = select(Host.name).where(Host.stopped_at.is_(None), Host.seen_at > since).order_by(Host.name)
        return [f"the worker of {name}" for name in session.scalars(hosts)] + _jobs_at_work(session, client)


def _jobs_at_work(session: Session, client: Client) -> list[str]:
    since = clock(session, ahead=-client.settings.lease_timeout)
    jobs = select(Lease.job_id).where(Lease.beaten_at > since).distinct().order_by(Lease.job_id)
    return [f"job {number}" for number in session.scalars(jobs)]
