"""`worker`: this host's worker in the foreground, for a terminal or a service of systemd; and draining it."""

import click

from erfnet_jobs.cli.output import print_json
from erfnet_jobs.cli.parameters import metrics_port_option
from erfnet_jobs.cli.session import Session


@click.command()
@click.option("--devices", type=click.IntRange(1, 1024), default=None, help="CPU slots.  [default: one for each core]")
@metrics_port_option
@click.option("--drain", is_flag=True, help="Take no new job, wait until none runs here, and stop the worker.")
@click.option("--json", "as_json", is_flag=True, help="With --drain: print one JSON document.")
@click.pass_obj
def worker(session: Session, devices: int | None, metrics_port: int | None, drain: bool, as_json: bool) -> None:
    """Run this host's worker in the foreground, until Ctrl-C or SIGTERM; jobs that run here go on without it.

    With --drain the worker that runs here takes no new job; when no job has devices here any more, it is stopped.
    """
    from erfnet_jobs.errors import UsageError
    from erfnet_jobs.local.worker_process import become_worker

    session.give(metrics_port=metrics_port)
    if drain:
        _drain(session, devices, as_json)
    elif as_json:
        raise UsageError("--json tells what --drain has waited for: give both, or neither")
    else:
        become_worker(session.settings, devices)


def _drain(session: Session, devices: int | None, as_json: bool) -> None:
    import signal

    from erfnet_jobs.local.drain import drain_worker, jobs_here
    from erfnet_jobs.local.worker_process import become_worker

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    name = session.settings.host_name
    done = drain_worker(session.client, lambda text: click.echo(text, err=True))
    jobs = list(done.jobs) if done else jobs_here(session.client)
    if as_json:
        print_json({"host": name, "jobs": jobs, "worker_pid": done.worker_pid if done else None})
    if done:
        kept = f"; {name} stays drained: 'erfnet-jobs hosts resume {name}' lets it have jobs again"
        _say(f"No job runs on {name}; its worker is stopped{kept if done.drained else ''}.", as_json)
    elif jobs:
        # Somebody must look after them: a supervisor may end without a word.
        become_worker(session.settings, devices, drain=True)
    else:
        _say(
            f"No worker of {session.settings.home} runs, and no job has devices of {name}: nothing to wait for.",
            as_json,
        )


def _say(text: str, as_json: bool) -> None:
    if not as_json:
        click.echo(text)
