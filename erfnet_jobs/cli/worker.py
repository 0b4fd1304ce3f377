"""`worker`: this host's worker in the foreground, for a terminal or a service of systemd."""

import click

from erfnet_jobs.cli.session import Session


@click.command()
@click.option("--devices", type=click.IntRange(1, 1024), default=None, help="CPU slots.  [default: one for each core]")
@click.pass_obj
def worker(session: Session, devices: int | None) -> None:
    """Run this host's worker in the foreground, until Ctrl-C or SIGTERM; jobs that run here go on without it."""
    from erfnet_jobs.local.worker_process import become_worker

    become_worker(session.settings, devices)
