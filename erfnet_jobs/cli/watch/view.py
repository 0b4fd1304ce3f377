"""The whole view as lines for a screen of a given size."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from erfnet_jobs.cli.output import GAP, Column, Document, shorten, table
from erfnet_jobs.cli.reasons import why
from erfnet_jobs.cli.times import clock
from erfnet_jobs.cli.watch.cells import totals
from erfnet_jobs.cli.watch.columns import ENDED, RUNNING, WAITING
from erfnet_jobs.cli.watch.hosts import host_lines, wanted_lines
from erfnet_jobs.cli.watch.room import cut, share

PLACED = ("running", "starting", "assigned")
QUEUED = ("queued", "waiting")
MOST_ENDED = 5
INDENT = "     `- "
STATE_STYLES = {"failed": "red", "cancelled": "yellow", "skipped": "yellow"}


@dataclass(frozen=True)
class Part:
    """A table of jobs: its title, the lines of each job, and how many jobs more there are."""

    title: str
    entries: list[list[str]]
    hidden: int

    @property
    def wanted(self) -> int:
        """How many lines show all of it."""
        return sum(map(len, self.entries)) + 1 + bool(self.hidden) if self.entries else 0

    def lines(self, room: int) -> list[Text]:
        """A blank line, the title, and `room` - 1 lines of jobs; nothing where not one job has room."""
        if room < 2:
            return []
        return [Text(), Text(self.title, "bold"), *map(_job_line, cut(self.entries, room - 1, self.hidden))]


def view_lines(overview: Document, width: int, height: int, interval: float, trouble: str | None = None) -> list[Text]:
    """At most `height` lines of at most `width` characters; `trouble` is why the registry does not answer, if so."""
    head = _head(overview, width, interval, trouble)
    parts = _parts(overview, width)
    wanted = [wanted_lines(overview["hosts"], width), *(part.wanted for part in parts)]
    blank = sum(map(bool, wanted))
    of_hosts, *rooms = share(wanted, height - len(head) - blank)
    lines = [*head, Text(), *host_lines(overview["hosts"], width, of_hosts)]
    for part, room in zip(parts, rooms, strict=True):
        lines += part.lines(room)
    for line in lines:
        line.truncate(width)
    return lines[:height]


def _parts(overview: Document, width: int) -> list[Part]:
    jobs, counts = overview["jobs"], overview["counts"]
    placed = [job for job in jobs if job["state"] in PLACED]
    queued = [job for job in jobs if job["state"] in QUEUED]
    ended = [job for job in jobs if job["ended_at"]][:MOST_ENDED]
    return [
        _part(placed, RUNNING, width, sum(counts[state] for state in PLACED)),
        _part(queued, WAITING, width, sum(counts[state] for state in QUEUED)),
        _part(ended, ENDED, width, len(ended)),
    ]


def _part(jobs: Sequence[Document], columns: Sequence[Column], width: int, total: int) -> Part:
    """A line for each job with why it is so at its end, or below it where there is no room."""
    title, *lines = table(jobs, columns, width)
    wide = max(map(len, [title, *lines])) + GAP
    entries = []
    for job, line in zip(jobs, lines, strict=True):
        told = "" if job["state"] in (*PLACED, "succeeded") else why(job)
        if len(told) <= max(0, width - wide):
            entries.append([f"{line:<{wide}}{told}".rstrip()])
        else:
            entries.append([line, INDENT + why(job, width - len(INDENT))])
    return Part(title, entries, max(0, total - len(jobs)))


def _job_line(text: str) -> Text:
    line = Text(text, "dim" if text.startswith((INDENT, "…")) else "")
    for state, style in STATE_STYLES.items():
        line.highlight_words([f" {state} "], style)
    return line


def _head(overview: Document, width: int, interval: float, trouble: str | None) -> list[Text]:
    counts = ", ".join(f"{count} {state}" for state, count in overview["counts"].items() if count)
    jobs, at = f"Jobs     {counts or 'none goes on'}", f"{clock(overview['at'])}, every {interval:g} s"
    beside = len(jobs) + len(at) + GAP <= width
    lines = [Text(jobs + at.rjust(width - len(jobs)) if beside else jobs)]
    lines.append(Text(f"Devices  {totals(overview['hosts'])}"))
    if trouble:
        since = f"The registry does not answer: this is how it was at {clock(overview['at'])}. Trying again. {trouble}"
        lines.append(Text(shorten(since, width), "bold red"))
    return lines
