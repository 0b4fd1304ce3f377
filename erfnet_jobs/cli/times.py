"""Times for people: in the terminal's own zone (TZ), with the day where that is not today. `--json` has them in UTC."""

from datetime import UTC, datetime

from erfnet_jobs.cli.output import UNKNOWN, Document, age


def _local(at: str) -> datetime:
    return datetime.fromisoformat(at).astimezone()


def _here() -> datetime:
    return datetime.now(UTC).astimezone()


def clock(at: str | None, now: datetime | None = None) -> str:
    """A document's time as '14:03:05', 'Nov 24 14:03' on another day of this year, '2025-11-24 14:03' in another year.

    The day is left out where it is today's in the terminal's zone. `at` is ISO 8601; '-' where there is none.
    """
    if at is None:
        return UNKNOWN
    local, today = _local(at), now.astimezone() if now else _here()
    if local.date() == today.date():
        return f"{local:%H:%M:%S}"
    return f"{local:%b %d %H:%M}" if local.year == today.year else f"{local:%Y-%m-%d %H:%M}"


def zone() -> str:
    """The terminal's zone, for the head of a column of times: 'CET', or '+0545' where it has no name."""
    return f"{_here():%Z}"


def moment(at: str | None) -> str | None:
    """'Nov 24 14:03 CET, 19h12m ago', the zone as it was then; None where there is no time."""
    if at is None:
        return None
    local = _local(at)
    ago = "" if local > _here() else f", {age(at)} ago"
    return f"{clock(at)} {local:%Z}{ago}"


def reason_text(job: Document) -> str:
    """Why a job is as it is, in one line, with the time of its next try where that is to come."""
    why = " ".join((job["reason"] or "").split())
    if job["not_before"] is None or _local(job["not_before"]) <= _here():
        return why
    return f"{why}; next try at {clock(job['not_before'])}"
