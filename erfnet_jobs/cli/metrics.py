"""`metrics`: the numbers that a job's ranks reported."""

import click

from erfnet_jobs.cli.output import Column, print_json, table
from erfnet_jobs.cli.session import Session

COLUMNS = (
    Column("name", lambda row: row["name"]),
    Column("stage", lambda row: str(row["stage"]), right=True),
    Column("epoch", lambda row: str(row["epoch"]), right=True),
    Column("step", lambda row: str(row["step"]), right=True),
    Column("value", lambda row: f"{row['value']:.6g}", right=True),
    Column("attempt", lambda row: str(row["attempt"]), right=True, keep=1),
)


@click.command()
@click.argument("job", type=int)
@click.option("--name", default=None, help="All values of this metric, such as loss.  [default: the newest of each]")
@click.option("--limit", type=click.IntRange(1), default=None, help="Only the newest so many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def metrics(session: Session, job: int, name: str | None, limit: int | None, as_json: bool) -> None:
    """Print JOB's metrics; steps count within a stage."""
    rows = session.client.metrics(job, name, limit) if name else session.client.newest_metrics(job)
    if as_json:
        print_json(rows)
    elif rows:
        click.echo("\n".join(table(rows, COLUMNS)))
    else:
        click.echo(f"Job {job} has reported no metrics yet.")
