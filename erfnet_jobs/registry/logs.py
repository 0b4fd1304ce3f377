"""What happened and what was said: events of a job or a host, and the ends of the ranks' logs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from erfnet_jobs.errors import NotFound
from erfnet_jobs.registry.attempts import get_attempt
from erfnet_jobs.registry.events import clock
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.tables import Event, Host, LogTail

EVENT_LIMIT = 50


def log_tails(session: Session, job_id: int, attempt: int | None = None, rank: int | None = None) -> list[LogTail]:
    """The kept ends of a job's logs, by rank: of one attempt (None: the newest), of one rank (None: all).

    A rank that has said nothing yet has none. Raises NotFound for an unknown job or attempt.
    """
    number = get_job(session, job_id).attempt if attempt is None else get_attempt(session, job_id, attempt).number
    tails = select(LogTail).where(LogTail.job_id == job_id, LogTail.attempt == number)
    if rank is not None:
        tails = tails.where(LogTail.rank == rank)
    return list(session.scalars(tails.order_by(LogTail.rank)))


def log_texts(session: Session, job_id: int, attempt: int, ranks: Collection[int]) -> list[LogTail]:
    """The kept ends of some ranks' logs, by rank."""
    tails = select(LogTail).where(LogTail.job_id == job_id, LogTail.attempt == attempt, LogTail.rank.in_(ranks))
    return list(session.scalars(tails.order_by(LogTail.rank)))


def log_lengths(session: Session, job_id: int, attempt: int) -> dict[int, int]:
    """How many bytes each rank of an attempt has written, as far as its supervisor has told."""
    lengths = select(LogTail.rank, LogTail.log_bytes).where(LogTail.job_id == job_id, LogTail.attempt == attempt)
    return dict(session.execute(lengths.order_by(LogTail.rank)).tuples().all())


def job_events(session: Session, job_id: int, limit: int = EVENT_LIMIT) -> list[Event]:
    """What happened to a job, newest first. Raises NotFound."""
    return newest_events(session, EventFilter(job=job_id), limit)


def host_events(session: Session, host: str, limit: int = EVENT_LIMIT) -> list[Event]:
    """What happened to a host, newest first. Raises NotFound."""
    return newest_events(session, EventFilter(host=host), limit)


@dataclass(frozen=True)
class EventFilter:
    """Which events are asked for; None stands for all.

    `since` is seconds back from the registry's clock, `user` is a name or NAME@HOST, `kinds` are kinds of events.
    """

    job: int | None = None
    host: str | None = None
    since: float | None = None
    user: str | None = None
    kinds: tuple[str, ...] = ()


def newest_events(session: Session, wanted: EventFilter = EventFilter(), limit: int = EVENT_LIMIT) -> list[Event]:
    """What happened, newest first. Raises NotFound for an unknown job, host or kind."""
    if wanted.job is not None:
        get_job(session, wanted.job)
    if wanted.host is not None and session.get(Host, wanted.host) is None:
        raise NotFound(f"host {wanted.host!r} is unknown to this registry: 'erfnet-jobs hosts' lists the hosts")
    found = list(session.scalars(_filtered(session, wanted).order_by(Event.id.desc()).limit(limit)))
    if wanted.kinds and not found:
        _check_kinds(session, wanted.kinds)
    return found


def _filtered(session: Session, wanted: EventFilter) -> Select[tuple[Event]]:
    events = select(Event)
    if wanted.job is not None:
        events = events.where(Event.job_id == wanted.job)
    if wanted.host is not None:
        events = events.where(Event.host_name == wanted.host)
    if wanted.since is not None:
        events = events.where(Event.at >= clock(session, ahead=-wanted.since))
    if wanted.user is not None:
        name, _, host = wanted.user.partition("@")
        events = events.where(Event.user_name == name, *([Event.user_host == host] if host else []))
    return events.where(Event.kind.in_(wanted.kinds)) if wanted.kinds else events


def _check_kinds(session: Session, kinds: Sequence[str]) -> None:
    """A mistyped kind would be as if it had never happened."""
    there = sorted(session.scalars(select(Event.kind).distinct()))
    if unknown := [kind for kind in kinds if kind not in there]:
        raise NotFound(f"no event of kind {unknown[0]!r} has happened: there are {', '.join(there) or 'none'}")
