"""The audit log: who did what to which job or host, and when."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy import ColumnElement, Table, func, insert, literal, select
from sqlalchemy.orm import Session

from erfnet_jobs.registry.tables import Event, UtcTime

_INSERT = insert(cast("Table", Event.__table__))


@dataclass(frozen=True)
class Actor:
    """A person at a shell, as the operating system names them."""

    user: str
    host: str


def now(session: Session) -> datetime:
    """The registry's clock: one for all hosts. SQLite has one host, and its own clock counts whole seconds only."""
    if session.get_bind().dialect.name == "sqlite":
        return datetime.now(UTC)
    at: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return at


def clock(session: Session, ahead: float = 0.0) -> ColumnElement[datetime]:
    """`now`, or `ahead` seconds later, for use within another question."""
    if session.get_bind().dialect.name == "sqlite":
        return literal(now(session) + timedelta(seconds=ahead), UtcTime())
    at: ColumnElement[datetime] = func.clock_timestamp()
    return at + literal(timedelta(seconds=ahead)) if ahead else at


def record_event(
    session: Session,
    kind: str,
    text: str,
    *,
    job: int | None = None,
    attempt: int | None = None,
    host: str | None = None,
    actor: Actor | None = None,
) -> None:
    """Append one row to the audit log, in the transaction of what it tells."""
    row = {
        "at": now(session),
        "kind": kind,
        "text": text,
        "job_id": job,
        "attempt": attempt,
        "host_name": host,
        "user_name": actor.user if actor else None,
        "user_host": actor.host if actor else None,
    }
    # Not through the session's unit of work, which takes longer than the rest of a submit.
    session.connection().execute(_INSERT, row)
