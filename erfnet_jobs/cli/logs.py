"""`logs`: what a job's ranks wrote: the files where this machine sees them, else the ends that the registry keeps."""

import click

from erfnet_jobs.cli.output import print_json
from erfnet_jobs.cli.session import Session


@click.command()
@click.argument("job", type=int)
@click.option("--rank", type=click.IntRange(0), default=None, help="Only this rank.  [default: all]")
@click.option("--attempt", type=click.IntRange(1), default=None, help="Of this attempt.  [default: the newest]")
@click.option("--follow", "-f", is_flag=True, help="Go on until the job ends, over its attempts.")
@click.option("--tail", type=click.IntRange(0), metavar="N", help="Begin with each rank's last N lines.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: path and newest text of each rank.")
@click.pass_obj
def logs(
    session: Session,
    job: int,
    rank: int | None,
    attempt: int | None,
    follow: bool,
    tail: int | None,
    as_json: bool,
) -> None:
    """Print what JOB's ranks wrote."""
    from erfnet_jobs.cli.log_lines import follow_logs, print_logs
    from erfnet_jobs.errors import UsageError

    if as_json and (follow or tail is not None):
        raise UsageError("--json prints one document of what is there now: leave out --follow and --tail")
    if as_json:
        print_json(session.client.log_tails(job, attempt, rank))
    elif follow:
        follow_logs(session.client, job, rank, attempt, tail)
    else:
        print_logs(session.client, job, rank, attempt, tail)
