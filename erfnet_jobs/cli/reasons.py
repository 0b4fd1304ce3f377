"""Why a job is as it is, in a line, with how long it still waits where that is known."""

from erfnet_jobs.cli.output import Document, shorten
from erfnet_jobs.cli.times import reason_text


def about(seconds: float) -> str:
    """'40 min', '1 h 20 min', '2 d 6 h': whole minutes, and hours only from a day on."""
    minutes = max(1, round(seconds / 60))
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        hours, rest = divmod(minutes, 60)
        return f"{hours} h" + (f" {rest} min" if rest else "")
    days, hours = divmod(round(minutes / 60), 24)
    return f"{days} d" + (f" {hours} h" if hours else "")


def forecast(job: Document) -> str:
    """'first free in about 40 min', or when the jobs end that it waits for; empty where that is not known."""
    seconds = job["wait_seconds"]
    if seconds is None:
        return ""
    if job["state"] == "waiting":
        return f"that should end in about {about(seconds)}"
    return f"first free in about {about(seconds)}"


def why(job: Document, width: int | None = None) -> str:
    """The reason in at most `width` characters; the time at its end is not cut off."""
    reason, time = reason_text(job), forecast(job)
    if not time:
        return reason if width is None else shorten(reason, width)
    room = None if width is None else max(0, width - len(time) - 2)
    return f"{reason if room is None else shorten(reason, room)}; {time}"
