"""`up`: start what this machine needs, and say where it is."""

import click

from erfnet_jobs.cli.output import print_json
from erfnet_jobs.cli.parameters import metrics_port_option
from erfnet_jobs.cli.session import Session


@click.command()
@click.option("--devices", type=click.IntRange(1, 1024), default=None, help="CPU slots.  [default: one for each core]")
@metrics_port_option
@click.option("--migrate", is_flag=True, help="Also create or upgrade a registry that is not the embedded one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def up(session: Session, devices: int | None, metrics_port: int | None, migrate: bool, as_json: bool) -> None:
    """Start the embedded Redis, the registry and the worker; safe to repeat.

    With ERFNET_JOBS_BROKER_URL or ERFNET_JOBS_DATABASE_URL set, those are used, and only the worker is started.
    """
    from erfnet_jobs.local.up import bring_up
    from erfnet_jobs.local.worker_process import log_path

    session.give(metrics_port=metrics_port)
    settings = session.settings
    servers = bring_up(settings, devices, _silent if as_json else click.echo, migrate)
    if as_json:
        document = {
            "home": str(settings.home),
            "broker": servers.broker,
            "registry": servers.registry,
            "host": servers.host.name,
            "devices": len(servers.host.usable),
            "worker_pid": servers.worker_pid,
            "started": list(servers.started),
        }
        print_json(document)
        return
    click.echo(f"Logs in {log_path(settings).parent}, runs in {settings.runs}")
    click.echo(ready_text(servers.host.family))


def ready_text(family: str) -> str:
    """What to do next on a host with devices of this family."""
    from erfnet_jobs.placement.families import INFERENCE_FAMILIES

    first = "310-infer --checkpoint C --images D" if family in INFERENCE_FAMILIES else "train --data D"
    return f"Ready: 'erfnet-jobs submit {first}', 'erfnet-jobs status', 'erfnet-jobs down'."


def _silent(_text: str) -> None:
    """With --json the document says it all."""
