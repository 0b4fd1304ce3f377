"""Printing logs: once, rank by rank; or as they grow, all ranks together, from attempt to attempt."""

import time
from collections.abc import Callable, Iterable

import click

from erfnet_jobs.cli.output import Document, warn
from erfnet_jobs.cli.reasons import why
from erfnet_jobs.cli.wait import ended_text
from erfnet_jobs.client.api import Client
from erfnet_jobs.client.log_reader import AttemptLogs, Line
from erfnet_jobs.errors import NotFound, RegistryUnreachable

INTERVAL = 0.5
# Between two tries while the registry does not answer.
AWAY_INTERVAL = 5.0
ENDED = ("succeeded", "failed", "cancelled", "skipped")
STARTED = ("running", "starting", *ENDED)


def print_logs(client: Client, job_id: int, rank: int | None, attempt: int | None, tail: int | None) -> None:
    """Print what there is; several ranks one after another, each under a head. Raises NotFound."""
    job = client.job(job_id)
    tails = client.log_tails(job_id, attempt, rank)
    heads = {found["rank"]: f"==> rank {found['rank']} on {found['host']}: {found['path']} <==" for found in tails}
    shown: int | None = None
    for line in AttemptLogs(client, job_id, attempt or job["attempt"], rank, tail).new_lines(last=True):
        if len(heads) > 1 and line.rank != shown:
            click.echo(heads.get(line.rank, f"==> rank {line.rank} <=="))
        shown = line.rank
        click.echo(line.text)
    if shown is None:
        click.echo(f"job {job_id} has written nothing yet: it is {job['state']} ({why(job)})", err=True)


def follow_logs(
    client: Client,
    job_id: int,
    rank: int | None,
    attempt: int | None,
    tail: int | None,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Print lines as they are written until the job ends, or the `attempt` that was asked for. Raises NotFound."""
    if attempt is not None:
        client.attempt(job_id, attempt)
    following = Following(client, client.job(job_id), rank, attempt, tail)
    away = False
    while True:
        try:
            if following.step():
                return
        except RegistryUnreachable as error:
            # A registry that was there and is away for a while ends no training, and so no following either.
            if not away:
                warn(f"{error}; waiting for it")
            away = True
            wait(AWAY_INTERVAL)
        else:
            away = False
            wait(INTERVAL)


class Following:
    """How far a job's logs have been printed."""

    def __init__(self, client: Client, job: Document, rank: int | None, attempt: int | None, tail: int | None) -> None:
        self._client = client
        self._job = job["id"]
        self._rank = rank
        self._only = attempt
        self._prefixed = rank is None and job["cards"] > 1
        self._logs = self._of_attempt(attempt or job["attempt"], tail)
        self._said = ""
        self._printed = False

    def _of_attempt(self, number: int, tail: int | None = None) -> AttemptLogs:
        if number > 1:
            self._head(number)
        return AttemptLogs(self._client, self._job, number, self._rank, tail)

    def step(self) -> bool:
        """Print what is new; whether that was the end."""
        job = self._client.job(self._job)
        over = self._is_over(job)
        self._say_why_it_waits(job)
        while self._only is None and self._logs.attempt < job["attempt"]:
            self._print(self._logs.new_lines(last=True))
            self._logs = self._of_attempt(self._logs.attempt + 1)
        self._print(self._logs.new_lines(last=over))
        if over and not self._printed:
            click.echo(f"job {self._job} has written nothing here", err=True)
        if job["ended_at"]:
            click.echo(ended_text(job), err=True)
        return over

    def _is_over(self, job: Document) -> bool:
        if job["state"] in ENDED:
            return True
        return self._only is not None and self._client.attempt(self._job, self._only)["outcome"] is not None

    def _say_why_it_waits(self, job: Document) -> None:
        told = "" if job["state"] in STARTED else f"job {job['id']} is {job['state']}: {why(job)}"
        if told and told != self._said:
            click.echo(told, err=True)
        self._said = told

    def _head(self, number: int) -> None:
        try:
            before = self._client.attempt(self._job, number - 1)
        except NotFound:
            return
        after = " ".join(f"{before['outcome'] or 'unknown'}: {before['reason'] or ''}".split())
        click.echo(f"--- attempt {number} (after: {after}) ---")

    def _print(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self._printed = True
            click.echo(f"rank {line.rank} | {line.text}" if self._prefixed else line.text)
