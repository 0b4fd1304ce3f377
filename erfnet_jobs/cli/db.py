"""`db upgrade|current|backup|restore|copy`: the registry's database, its version, and all of it elsewhere."""

from pathlib import Path

import click

from erfnet_jobs.cli.output import Document, file_size, print_json
from erfnet_jobs.cli.progress import progress_line
from erfnet_jobs.cli.session import Session


@click.group()
def db() -> None:
    """Create, upgrade, back up, restore or move the registry's database."""


@db.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def upgrade(session: Session, as_json: bool) -> None:
    """Create the registry, or bring it to this program's version; safe to repeat."""
    from erfnet_jobs.client.api import this_user
    from erfnet_jobs.registry.migrate import upgrade as migrate

    url = session.settings.resolved_database_url
    before, after = migrate(url, actor=this_user())
    if as_json:
        print_json({"database": _shown(url), "before": before, "version": after})
    elif before == after:
        click.echo(f"The registry {_shown(url)} is at version {after} already.")
    else:
        click.echo(f"The registry {_shown(url)} is at version {after} now; it was {before or 'empty'}.")


FILE = click.argument("file", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@db.command()
@FILE
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@JSON
@click.pass_obj
def backup(session: Session, file: Path, force: bool, as_json: bool) -> None:
    """Write all of the registry into FILE, a SQLite database, while it is in use as well.

    Run folders (checkpoints, logs) are no part of it.
    """
    from erfnet_jobs.client.transfers import backup as write

    with progress_line("rows written and compared", quiet=as_json) as told:
        done = write(session.client, file, told, force=force)
    _print(done, as_json, f"{done['to']}: {file_size(done['size'])}, {done['rows']} rows of {done['from']}.")


@db.command()
@FILE
@JSON
@click.pass_obj
def restore(session: Session, file: Path, as_json: bool) -> None:
    """Bring FILE, which `db backup` wrote, into the registry, which must be empty or not there yet.

    Stop all workers before, and start them after: attempts that ran at the time of the backup are found lost then, and
    their jobs go on from the newest checkpoint.
    """
    from erfnet_jobs.local.restore import restore_here

    with progress_line("rows written and compared", quiet=as_json) as told:
        done = restore_here(session.client, file, told)
    _print(done, as_json, f"{done['to']} has the {done['rows']} rows of {done['from']}: start the workers now.")


@db.command()
@click.option("--to", "target", required=True, metavar="URL", help="The other database, which must be empty.")
@click.option("--while-used", is_flag=True, help="Although workers or jobs write; what they write later is missing.")
@JSON
@click.pass_obj
def copy(session: Session, target: str, while_used: bool, as_json: bool) -> None:
    """Copy the registry into another database, to use that from then on.

    Leave a password out of URL: libpq takes it from PGPASSWORD or ~/.pgpass, where other users of this machine do not
    see it.
    """
    from erfnet_jobs.client.transfers import move

    with progress_line("rows written and compared", quiet=as_json) as told:
        done = move(session.client, target, told, while_used=while_used)
    then = "set ERFNET_JOBS_DATABASE_URL to it on every host and client, then start the workers"
    _print(done, as_json, f"{done['to']} has the {done['rows']} rows of {done['from']}: {then}.")


def _print(document: Document, as_json: bool, text: str) -> None:
    if as_json:
        print_json(document)
    else:
        click.echo(text)


@db.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def current(session: Session, as_json: bool) -> None:
    """Print the registry's version, and the one that this program needs."""
    from erfnet_jobs.registry.engine import HEAD
    from erfnet_jobs.registry.migrate import current as version_of

    url = session.settings.resolved_database_url
    version = version_of(url)
    if as_json:
        print_json({"database": _shown(url), "version": version, "needed": HEAD})
    else:
        state = (
            "as this program needs it" if version == HEAD else f"this program needs {HEAD}: 'erfnet-jobs db upgrade'"
        )
        click.echo(f"The registry {_shown(url)} is at version {version or 'none'}; {state}.")


def _shown(url: str) -> str:
    from erfnet_jobs.registry.url import parse_url, shown_url

    return shown_url(parse_url(url))
