"""`status`: the list of jobs, or everything about one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from erfnet_jobs.cli.job_details import ENDED, UNSTARTED, details_lines
from erfnet_jobs.cli.output import (
    GAP,
    UNKNOWN,
    Column,
    Document,
    age,
    duration,
    number,
    percent,
    print_json,
    screen_width,
    table,
    warn,
)
from erfnet_jobs.cli.reasons import why
from erfnet_jobs.cli.session import Session

if TYPE_CHECKING:
    from erfnet_jobs.states import JobState


NO_ETA = (*UNSTARTED, *ENDED)
# Seconds between two looks of --watch.
WATCH_INTERVAL = 2.0
# Before a reason on a line of its own.
INDENT = "     `- "


def progress(job: Document) -> str:
    """How far: stage, epoch and per cent while it runs, or what it does instead."""
    if job["state"] in UNSTARTED:
        return UNKNOWN
    if job["state"] in ("running", "starting") and job["phase"] and not job["progress"]:
        return str(job["phase"])
    if job["state"] == "running" and job["stage"]:
        return f"{percent(job['progress'])} s{job['stage']} e{job['epoch']}/{job['epochs']}"
    return percent(job["progress"])


def _reason(job: Document, width: int | None = None) -> str:
    if job["state"] in ("succeeded", "running"):
        return "cancel requested" if job["cancel_requested"] and job["state"] == "running" else ""
    return why(job, width)


def _time(job: Document) -> str:
    return age(job["created_at"])


COLUMNS = (
    Column("id", lambda job: str(job["id"]), right=True),
    Column("kind", lambda job: job["kind"]),
    Column("name", lambda job: job["name"] or "", keep=3, bends=True, least=6),
    Column("state", lambda job: job["state"]),
    Column("cards", lambda job: str(job["cards"]), keep=4, right=True),
    Column("host", lambda job: ",".join(job["hosts"]), keep=2, bends=True, least=8),
    Column("progress", progress),
    Column("loss", lambda job: number(job["loss"], 3), keep=5, right=True),
    Column("mIoU", lambda job: number(job["mean_iou"], 3), keep=7, right=True),
    Column("eta", lambda job: duration(None if job["state"] in NO_ETA else job["eta_seconds"]), keep=6, right=True),
    Column("age", _time, keep=8, right=True),
)


def job_table(jobs: Sequence[Document], width: int | None = None) -> list[str]:
    """The table that `status` prints; the reason of a job's state stands at the line's end, or below if it is long."""
    limit = width or screen_width()
    head, *lines = table(jobs, COLUMNS, limit)
    wide = max(map(len, [head, *lines]))
    room = limit - wide - GAP
    shown = [head]
    for job, line in zip(jobs, lines, strict=True):
        told = _reason(job)
        if len(told) <= max(0, room):
            shown.append(f"{line:<{wide + GAP}}{told}".rstrip())
        else:
            shown += [line, INDENT + _reason(job, limit - len(INDENT))]
    return shown


@click.command()
@click.argument("job", type=int, required=False)
@click.option("--all", "everything", is_flag=True, help="List up to 1000 jobs.  [default: 20]")
@click.option("--state", "states", multiple=True, help="Only jobs in this state; may be repeated.")
@click.option("--watch", "-w", "watching", is_flag=True, help="Show hosts and jobs as they change, until Ctrl-C.")
@click.option("--interval", type=click.FloatRange(0.2, 3600), metavar="SECONDS", help="With --watch.  [default: 2]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; with --watch one a line and change.")
@click.pass_obj
def status(
    session: Session,
    job: int | None,
    everything: bool,
    states: tuple[str, ...],
    watching: bool,
    interval: float | None,
    as_json: bool,
) -> None:
    """List jobs, those that go on first; or tell everything about JOB."""
    client = session.client
    if watching or interval is not None:
        _check_watch(watching, job, bool(everything or states))
        from erfnet_jobs.cli.watch.screen import watch

        watch(client, WATCH_INTERVAL if interval is None else interval, as_json)
        return
    if job is not None:
        document = client.details(job)
        if as_json:
            print_json(document)
        else:
            click.echo("\n".join(details_lines(document)))
            _warn_of_hosts(session, [document])
        return
    found = client.jobs(1000 if everything else 20, _states(states))
    if as_json:
        print_json(found)
    elif not found:
        click.echo("No jobs yet. Hand one in with 'erfnet-jobs submit train --data D'.")
    else:
        click.echo("\n".join(job_table(found)))
        _echo_more(client.counts(), len(found))
        _warn_of_hosts(session, found)


def _check_watch(watching: bool, job: int | None, filtered: bool) -> None:
    from erfnet_jobs.errors import UsageError

    if not watching:
        raise UsageError("--interval is for --watch: add that, or leave it out")
    if job is not None:
        raise UsageError(f"--watch shows all jobs: follow one with 'erfnet-jobs wait {job}' or 'logs {job} --follow'")
    if filtered:
        raise UsageError("--watch shows what goes on and what ended last: leave --all and --state out")


def _warn_of_hosts(session: Session, jobs: Sequence[Document]) -> None:
    """A job's reason is its last worker's word: who looks is told when no worker is left to say more."""
    if any(job["state"] == "queued" for job in jobs) and (closed := session.client.no_host_open()):
        warn(closed)


def _states(names: tuple[str, ...]) -> "list[JobState] | None":
    from erfnet_jobs.errors import UsageError
    from erfnet_jobs.states import JobState

    if wrong := [name for name in names if name not in set(JobState)]:
        raise UsageError(f"--state {wrong[0]}: give one of {', '.join(JobState)}")
    return [JobState(name) for name in names] or None


def _echo_more(counts: dict[str, int], shown: int) -> None:
    going = sum(counts.values())
    if going > shown:
        told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        click.echo(f"\n{going} jobs go on ({told}); 'erfnet-jobs status --all' lists more.")
