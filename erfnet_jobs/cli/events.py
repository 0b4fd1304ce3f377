"""`events`: what happened, as the registry's audit log has it."""

import click

from erfnet_jobs.cli.output import Column, Document, print_json, table
from erfnet_jobs.cli.session import Session


def _where(event: Document) -> str:
    attempt = f".{event['attempt']}" if event["attempt"] else ""
    return f"{event['job']}{attempt}" if event["job"] else ""


COLUMNS = (
    Column("time", lambda event: event["at"]),
    Column("job", _where),
    Column("host", lambda event: event["host"] or "", keep=3, bends=True),
    Column("event", lambda event: event["kind"]),
    Column("what", lambda event: " ".join(event["text"].split()), bends=True, least=20),
    Column("by", lambda event: event["user"] or "", keep=2),
)


@click.command()
@click.argument("job", type=int, required=False)
@click.option("--host", default=None, help="What happened to this host.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def events(session: Session, job: int | None, host: str | None, limit: int, as_json: bool) -> None:
    """List what happened, to JOB or at all, newest last."""
    rows = session.client.events(job, host, limit)
    if as_json:
        print_json(rows)
    elif rows:
        click.echo("\n".join(table(rows, COLUMNS)))
    else:
        click.echo("Nothing has happened yet.")
