"""What has changed from one look to the next: a line for each thing, for pipes and for programs."""

import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from erfnet_jobs.cli.output import Document
from erfnet_jobs.cli.reasons import why
from erfnet_jobs.cli.wait import ended_text, progress_text
from erfnet_jobs.cli.watch.cells import HELD, cells_of, host_state
from erfnet_jobs.cli.watch.look import Look

_COUNT = re.compile(r" \d+ of \d+$")


@dataclass(frozen=True)
class Change:
    """A job, a host or the registry as it is now: in words, and as the document that --json prints."""

    text: str
    document: dict[str, Any]


class Changes:
    """Remembers what was said. `exact`: every change of a document counts, not only what a reader would be told."""

    def __init__(self, exact: bool = False) -> None:
        self._exact = exact
        self._said: dict[tuple[str, Hashable], Hashable] = {}
        self._going: set[int] = set()
        self._trouble: str | None = None
        self._is_first = True

    def going(self) -> frozenset[int]:
        """The jobs that had not ended when they were last seen: their ends are still to be told."""
        return frozenset(self._going)

    def of(self, look: Look) -> list[Change]:
        """What is new in a look; in the first one, all that goes on."""
        if look.trouble:
            changes = [] if self._trouble else [_registry(look.trouble)]
            self._trouble = look.trouble
            return changes
        changes = [_registry(None)] if self._trouble else []
        self._trouble = None
        changes += [
            Change(_host_text(host), {"host": host}) for host in look.overview["hosts"] if self._is_new_host(host)
        ]
        changes += [Change(_job_text(job), {"job": job}) for job in look.overview["jobs"] if self._is_new_job(job)]
        self._is_first = False
        return changes

    def _is_new_host(self, host: Document) -> bool:
        exact = repr({**host, "seen_at": None})
        return self._is_new(
            "host", host["name"], exact if self._exact else (host["state"], host["drained"], _row(host))
        )

    def _is_new_job(self, job: Document) -> bool:
        (self._going.discard if job["ended_at"] else self._going.add)(job["id"])
        is_new = self._is_new("job", job["id"], repr(job) if self._exact else _told_of(job))
        return is_new and (self._exact or not (job["ended_at"] and self._is_first))

    def _is_new(self, kind: str, name: Hashable, about: Hashable) -> bool:
        before = self._said.get((kind, name))
        self._said[kind, name] = about
        return about != before


def _registry(trouble: str | None) -> Change:
    text = f"the registry does not answer; trying again: {trouble}" if trouble else "the registry answers again"
    return Change(text, {"registry": {"answers": trouble is None, "error": trouble}})


def _told_of(job: Document) -> Hashable:
    """What of a job is worth a line."""
    going = job["state"] in ("running", "starting")
    phase = _COUNT.sub("", job["phase"] or "") if going else ""
    return job["state"], job["attempt"], job["stage"], job["epoch"], phase, "" if going else job["reason"]


def _job_text(job: Document) -> str:
    if job["ended_at"]:
        return ended_text(job)
    if job["state"] in ("running", "starting"):
        return progress_text(job)
    return f"job {job['id']} {job['kind']} {job['state']}: {why(job)}"


def _row(host: Document) -> str:
    return "".join("" if cell.short == HELD else cell.short for cell in cells_of(host) if cell.sign != ".")


def _host_text(host: Document) -> str:
    cells = " ".join(cell.text for cell in cells_of(host)) or "no devices"
    return f"host {host['name']} {host_state(host) or 'up'}: {cells}"
