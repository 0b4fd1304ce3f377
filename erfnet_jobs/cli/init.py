"""`init`: a config.toml to read and edit."""

import click

from erfnet_jobs.cli.output import print_json
from erfnet_jobs.cli.session import Session


@click.command()
@click.option("--broker-url", metavar="URL", help="Set the Redis of the queues.")
@click.option("--database-url", metavar="URL", help="Set the registry.")
@click.option("--runs", metavar="DIR", help="Set where runs are written.")
@click.option("--force", is_flag=True, help="Replace a config.toml that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def init(
    session: Session, broker_url: str | None, database_url: str | None, runs: str | None, force: bool, as_json: bool
) -> None:
    """Write a config.toml into the home, with every setting, its meaning and its default; it asks nothing.

    What is given here (or as a global option) is set, everything else commented out.
    """
    from erfnet_jobs.local.config_file import write_config
    from erfnet_jobs.settings import home_of

    here = {"broker_url": broker_url, "database_url": database_url, "runs": runs}
    found = {name: value or session.flags.get(name) for name, value in here.items()}
    given = {name: str(value) for name, value in found.items() if value}
    path = write_config(home_of(session.flags), given, force=force)
    if as_json:
        print_json({"path": str(path), "set": sorted(given)})
    else:
        click.echo(f"Written: {path}" + (f" ({', '.join(sorted(given))} set)" if given else ""))
