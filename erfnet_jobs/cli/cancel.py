"""`cancel`: end jobs, whatever state they are in."""

import click

from erfnet_jobs.cli.job_details import ENDED
from erfnet_jobs.cli.output import Document, print_json, warn
from erfnet_jobs.cli.session import Session


@click.command()
@click.argument("jobs", type=int, nargs=-1, required=True, metavar="JOB...")
@click.option("--json", "as_json", is_flag=True, help="Print the jobs as one JSON document.")
@click.pass_obj
def cancel(session: Session, jobs: tuple[int, ...], as_json: bool) -> None:
    """Cancel JOB..., and skip the jobs that wait for them.

    What waits is cancelled at once; what runs is told to end, and has ended when 'wait' says so.
    """
    session.client.warn = warn
    cancelled = session.client.cancel(jobs)
    if as_json:
        print_json(cancelled)
    else:
        click.echo("\n".join(_told(job) for job in cancelled))


def _told(job: Document) -> str:
    if job["state"] == "cancelled":
        return f"job {job['id']} is cancelled"
    if job["state"] not in ENDED:
        where = f" on {', '.join(job['hosts'])}" if job["hosts"] else ""
        return f"job {job['id']} is told to end{where}, in some seconds; 'erfnet-jobs wait {job['id']}' waits for it"
    return f"job {job['id']} had ended before, and stays as it is: {job['state']}"
