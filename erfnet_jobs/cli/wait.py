"""`wait`: until jobs have ended; the exit code is the job's."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from erfnet_jobs.choices import MEASURED_PART
from erfnet_jobs.cli.output import Document, duration, number, percent, print_json, warn
from erfnet_jobs.cli.session import Session
from erfnet_jobs.cli.times import reason_text

if TYPE_CHECKING:
    from erfnet_jobs.cli.live import LiveLine

# As timeout(1) has it.
TIMED_OUT = 124


def progress_text(job: Document) -> str:
    """One line on a job that goes on: what it does, how far it is, how fast, how long still."""
    parts = [f"job {job['id']} {job['kind']} {job['state']}"]
    if job["state"] not in ("running", "starting"):
        return f"{parts[0]}: {reason_text(job)}"
    if job["phase"] and job["phase"] != job["kind"]:
        parts.append(str(job["phase"]))
    if job["stage"]:
        parts.append(f"stage {job['stage']} epoch {job['epoch']}/{job['epochs']} step {job['step']}/{job['steps']}")
    if job["progress"] is not None:
        parts.append(percent(job["progress"]))
    if job["loss"] is not None:
        parts.append(f"loss {number(job['loss'], 3)}")
    if job["images_per_second"]:
        parts.append(f"{job['images_per_second']:.1f} images/s")
    if job["eta_seconds"] is not None:
        parts.append(f"ETA {duration(job['eta_seconds'])}")
    return ", ".join(parts)


def show_job(line: "LiveLine", job: Document) -> None:
    """Show how far a job is; how it ended is told by who waits."""
    if job["ended_at"]:
        return
    line.show(progress_text(job), (job["id"], job["state"], job["stage"], job["epoch"]))


def ended_text(job: Document) -> str:
    """How a job ended, in a line."""
    said = job["reason"] if job["state"] != "succeeded" else _part_measured(job)
    why = f": {' '.join(said.split())}" if said else ""
    return f"job {job['id']} {job['kind']} {job['state']}{why}"


def _part_measured(job: Document) -> str | None:
    return job["phase"] if (job["phase"] or "").startswith(MEASURED_PART) else None


@click.command()
@click.argument("jobs", type=int, nargs=-1, required=True, metavar="JOB...")
@click.option("--timeout", type=float, help="Give up after so many seconds in all (exit code 124).")
@click.option("--json", "as_json", is_flag=True, help="Print the jobs as one JSON document at the end.")
@click.pass_context
def wait(ctx: click.Context, jobs: tuple[int, ...], timeout: float | None, as_json: bool) -> None:
    """Wait until all of JOB... have ended.

    The exit code is 0 if all succeeded, 9 if one failed or was skipped, 10 if one was cancelled.
    """
    ended = wait_for(ctx.obj, jobs, timeout)
    if as_json:
        print_json(ended)
    else:
        click.echo("\n".join(ended_text(job) for job in ended))
    ctx.exit(exit_code_of(ended))


def wait_for(session: Session, jobs: Sequence[int], timeout: float | None = None) -> list[Document]:
    """The jobs once all of them have ended, or as they are after `timeout` seconds; raises NotFound at once."""
    from erfnet_jobs.cli.live import LiveLine

    for job in jobs:
        session.client.job(job)
    deadline = None if timeout is None else time.monotonic() + timeout
    line = LiveLine()
    ended = [_ended(session, job, deadline, line) for job in jobs]
    line.end()
    return ended


def _ended(session: Session, job_id: int, deadline: float | None, line: "LiveLine") -> Document:
    from erfnet_jobs.errors import RegistryUnreachable

    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            return session.client.wait(job_id, left, lambda job: show_job(line, job))
        except RegistryUnreachable as error:
            # A registry that was there and is away for a while ends no training, and so no waiting either.
            if left is not None and left <= 0:
                raise
            line.end()
            warn(f"{error}; waiting for it")
            time.sleep(5)


def exit_code_of(jobs: Sequence[Document]) -> int:
    """The exit code of jobs that were waited for."""
    from erfnet_jobs.errors import JobCancelled, JobFailed

    states = {job["state"] for job in jobs}
    if states & {"failed", "skipped"}:
        return JobFailed.exit_code
    if "cancelled" in states:
        return JobCancelled.exit_code
    return 0 if states == {"succeeded"} else TIMED_OUT
