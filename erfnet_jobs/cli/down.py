"""`down`: stop what `up` started."""

import click

from erfnet_jobs.cli.output import print_json
from erfnet_jobs.cli.session import Session


@click.command()
@click.option("--cancel", is_flag=True, help="Cancel the jobs that run here first, and wait for their end.")
@click.option("--leave", is_flag=True, help="Let the jobs that run here go on; 'up' takes them on again.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def down(session: Session, cancel: bool, leave: bool, as_json: bool) -> None:
    """Stop the worker and the embedded Redis.

    Jobs that run here keep it from stopping, unless --cancel or --leave says what becomes of them.
    """
    from erfnet_jobs.errors import UsageError
    from erfnet_jobs.local.down import Running, take_down

    if cancel and leave:
        raise UsageError("--cancel and --leave say the opposite: give one of them")
    running = Running.CANCEL if cancel else Running.LEAVE if leave else Running.REFUSE
    stopped = take_down(session.settings, running, lambda text: click.echo(text, err=True))
    if as_json:
        print_json({"home": str(session.settings.home), "stopped": stopped})
    elif stopped:
        click.echo(f"Stopped: {', '.join(stopped)}.")
    else:
        click.echo(f"Nothing was up in {session.settings.home}.")
