"""`db upgrade|current`: the registry's database and its version."""

import click

from erfnet_jobs.cli.output import print_json
from erfnet_jobs.cli.session import Session


@click.group()
def db() -> None:
    """Create or upgrade the registry's database."""


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
