"""`events`: the audit log: what happened, when, and which user on which machine asked for it."""

import click

from erfnet_jobs.cli.output import Column, Document, print_json, table
from erfnet_jobs.cli.parameters import DURATION
from erfnet_jobs.cli.session import Session
from erfnet_jobs.cli.times import clock, zone


def _where(event: Document) -> str:
    attempt = f".{event['attempt']}" if event["attempt"] else ""
    return f"{event['job']}{attempt}" if event["job"] else ""


def _columns() -> tuple[Column, ...]:
    return (
        Column(f"time ({zone()})", lambda event: clock(event["at"])),
        Column("job", _where),
        Column("host", lambda event: event["host"] or "", keep=3, bends=True),
        Column("event", lambda event: event["kind"]),
        Column("by", lambda event: event["user"] or "", bends=True),
        Column("what", lambda event: " ".join(event["text"].split()), bends=True, least=20),
    )


@click.command()
@click.argument("job", type=int, required=False)
@click.option("--host", default=None, help="What happened to this host.")
@click.option("--since", type=DURATION, default=None, help="The last so long, such as 90m, 12h or 2d.")
@click.option("--user", default=None, metavar="NAME", help="What this user asked for: NAME, or NAME@HOST.")
@click.option("--kind", "kinds", multiple=True, help="Only events of this kind, such as cordoned; may be repeated.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def events(
    session: Session,
    job: int | None,
    host: str | None,
    since: float | None,
    user: str | None,
    kinds: tuple[str, ...],
    limit: int,
    as_json: bool,
) -> None:
    """List what happened, to JOB or at all, and who asked for it (user and machine), newest last.

    What has nobody in the column BY was done by workers.
    """
    rows = session.client.events(job, host, limit, since=since, user=user, kinds=kinds)
    if as_json:
        print_json(rows)
    elif rows:
        click.echo("\n".join(table(rows, _columns())))
        if len(rows) == limit:
            click.echo(f"The newest {limit}; --limit, --since, --user, --kind and --host choose others.")
    else:
        click.echo("Nothing of that kind has happened." if since or user or kinds or host else "Nothing has happened.")
