"""What happened and what was said: events of a job or a host, and the ends of the ranks' logs."""

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from erfnet_jobs.errors import NotFound
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.tables import Event, Host, LogTail

EVENT_LIMIT = 50


def log_tails(session: Session, job_id: int, attempt: int | None = None, rank: int | None = None) -> list[LogTail]:
    """The kept ends of a job's logs, by rank: of one attempt (None: the newest), of one rank (None: all).

    A rank that has said nothing yet has none. Raises NotFound for an unknown job or attempt.
    """
    job = get_job(session, job_id)
    number = job.attempt if attempt is None else attempt
    if attempt is not None and not 1 <= attempt <= job.attempt:
        raise NotFound(f"job {job_id} has no attempt {attempt}: 'erfnet-jobs status {job_id}' lists its attempts")
    tails = select(LogTail).where(LogTail.job_id == job_id, LogTail.attempt == number)
    if rank is not None:
        tails = tails.where(LogTail.rank == rank)
    return list(session.scalars(tails.order_by(LogTail.rank)))


def job_events(session: Session, job_id: int, limit: int = EVENT_LIMIT) -> list[Event]:
    """What happened to a job, newest first. Raises NotFound."""
    get_job(session, job_id)
    return _newest(session, select(Event).where(Event.job_id == job_id), limit)


def host_events(session: Session, host: str, limit: int = EVENT_LIMIT) -> list[Event]:
    """What happened to a host, newest first. Raises NotFound."""
    if session.get(Host, host) is None:
        raise NotFound(f"host {host!r} is unknown to this registry: 'erfnet-jobs hosts' lists the hosts")
    return _newest(session, select(Event).where(Event.host_name == host), limit)


def newest_events(session: Session, limit: int = EVENT_LIMIT) -> list[Event]:
    """What happened at all, newest first."""
    return _newest(session, select(Event), limit)


def _newest(session: Session, events: Select[tuple[Event]], limit: int) -> list[Event]:
    return list(session.scalars(events.order_by(Event.id.desc()).limit(limit)))
