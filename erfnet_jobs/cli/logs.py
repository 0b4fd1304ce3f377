"""`logs`: what a job's ranks wrote: the file where this machine sees it, else the end that the registry keeps."""

import time
from pathlib import Path

import click

from erfnet_jobs.cli.output import Document, print_json
from erfnet_jobs.cli.session import Session

FOLLOW_INTERVAL = 0.5
ENDED = ("succeeded", "failed", "cancelled", "skipped")


@click.command()
@click.argument("job", type=int)
@click.option("--rank", type=click.IntRange(0), default=None, help="Only this rank.  [default: all]")
@click.option("--attempt", type=click.IntRange(1), default=None, help="Of this attempt.  [default: the newest]")
@click.option("--follow", "-f", is_flag=True, help="Go on until the job ends.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: path and newest text of each rank.")
@click.pass_obj
def logs(session: Session, job: int, rank: int | None, attempt: int | None, follow: bool, as_json: bool) -> None:
    """Print what JOB's ranks wrote."""
    if as_json:
        print_json(session.client.log_tails(job, attempt, rank))
        return
    reader = _Reader(session, job, rank, attempt)
    printed = reader.print_new()
    while follow and not reader.over():
        time.sleep(FOLLOW_INTERVAL)
        printed = reader.print_new() or printed
    if follow:
        printed = reader.print_new() or printed
    if not printed:
        click.echo(_nothing(session, job), err=True)


def _nothing(session: Session, job_id: int) -> str:
    job = session.client.job(job_id)
    why = " ".join((job["reason"] or "").split())
    return f"job {job_id} has written nothing yet: it is {job['state']} ({why})"


class _Reader:
    """Prints what is new in the logs of an attempt, each rank's under a head of its own."""

    def __init__(self, session: Session, job: int, rank: int | None, attempt: int | None) -> None:
        self._session = session
        self._job = job
        self._rank = rank
        self._attempt = attempt
        self._offsets: dict[tuple[int, int], int] = {}
        self._head: tuple[int, int] | None = None

    def over(self) -> bool:
        """Whether the job has ended, or has gone on to another attempt than the one asked for."""
        job = self._session.client.job(self._job)
        return job["state"] in ENDED or (self._attempt is not None and job["attempt"] > self._attempt)

    def print_new(self) -> bool:
        """Print what was written since the last time; whether there was anything."""
        tails = self._session.client.log_tails(self._job, self._attempt, self._rank)
        told = [self._print_tail(tail, several=len(tails) > 1) for tail in tails]
        return any(told)

    def _print_tail(self, tail: Document, several: bool) -> bool:
        key = (tail["attempt"], tail["rank"])
        text, self._offsets[key] = _new_text(tail, self._offsets.get(key, 0))
        if not text:
            return False
        if several and self._head != key:
            click.echo(f"==> rank {tail['rank']} on {tail['host']}: {tail['path']} <==")
            self._head = key
        click.echo(text, nl=not text.endswith("\n"))
        return True


def _new_text(tail: Document, offset: int) -> tuple[str, int]:
    """The text from byte `offset` of the log on, as far as whole lines go, and the offset after it."""
    try:
        with Path(tail["path"]).open("rb") as file:
            file.seek(offset)
            block = file.read()
    except OSError:
        return _kept_text(tail, offset)
    return block.decode(errors="replace"), offset + len(block)


def _kept_text(tail: Document, offset: int) -> tuple[str, int]:
    """The same from the end that the registry keeps; what lies before it stays on the host."""
    kept = tail["text"].encode()
    start = max(0, tail["bytes"] - len(kept))
    new = kept[max(0, offset - start) :].decode(errors="replace")
    missing = f"[the first {start} bytes are on {tail['host']} only, in {tail['path']}]\n" if start > offset else ""
    return (missing + new if new else ""), max(offset, tail["bytes"])
