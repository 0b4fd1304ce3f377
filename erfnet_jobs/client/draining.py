"""Waiting until no job has devices of a host that gets no new ones."""

import time
from collections.abc import Callable, Iterable
from enum import StrEnum

from sqlalchemy.orm import Session

from erfnet_jobs.client.document import Document
from erfnet_jobs.client.job_documents import job_document
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.parts import held_parts
from erfnet_jobs.registry.tables import Host

# Between two lines that say the same jobs.
SAY_SECONDS = 60.0
# A placement pass that began before the host was drained may still place a job there.
EMPTY_LOOKS = 2


class Drained(StrEnum):
    """How far a drain is: jobs have devices still, none has, or somebody has let the host have jobs again."""

    WAITING = "waiting"
    EMPTY = "empty"
    RESUMED = "resumed"


class Drain:
    """Follows a drained host, and says what it waits for: when that changes, and each minute."""

    def __init__(self, host: str, say: Callable[[str], None]) -> None:
        self._host = host
        self._say = say
        self._said: list[int] | None = None
        self._said_at = 0.0
        self._empty = 0

    def look(self, session: Session) -> Drained:
        """How far it is, asked in a transaction of its own."""
        host = session.get(Host, self._host)
        if host is None or not host.drained:
            return Drained.RESUMED
        jobs = jobs_on(session, self._host)
        self._empty = 0 if jobs else self._empty + 1
        if jobs:
            self._tell(jobs)
        return Drained.EMPTY if self._empty >= EMPTY_LOOKS else Drained.WAITING

    def _tell(self, jobs: list[Document]) -> None:
        numbers = [job["id"] for job in jobs]
        if numbers != self._said or time.monotonic() - self._said_at >= SAY_SECONDS:
            self._say(f"{self._host} is drained; waiting for {waiting_text(jobs)}")
            self._said, self._said_at = numbers, time.monotonic()


def jobs_on(session: Session, host: str) -> list[Document]:
    """The jobs that have devices of a host, in order."""
    numbers = sorted({part.key.job for part in held_parts(session, host)})
    return [job_document(get_job(session, number)) for number in numbers]


def waiting_text(jobs: Iterable[Document]) -> str:
    """The jobs with their kinds and how far they are, for people."""
    return ", ".join(f"job {job['id']} ({job['kind']}, {_how_far(job)})" for job in jobs)


def _how_far(job: Document) -> str:
    state, fraction = str(job["state"]), job["progress"]
    return state if fraction is None else f"{state}, {fraction:.0%}"
