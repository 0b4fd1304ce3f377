"""`hosts`: the registry's machines, their devices and what runs there."""

from collections.abc import Sequence

import click

from erfnet_jobs.cli.output import Column, Document, age, print_json, table, warn
from erfnet_jobs.cli.parameters import HostDevicesType
from erfnet_jobs.cli.session import Session


def _devices(host: Document) -> str:
    names = [device["name"] for device in host["devices"] if device["present"]]
    usable = "" if host["usable"] == len(names) else f", {host['usable']} usable"
    return f"{len(names)} x {'/'.join(dict.fromkeys(names))}{usable}" if names else "none"


def _state(host: Document) -> str:
    heard = f"not heard of for {age(host['seen_at'])}" if host["state"] == "silent" else host["state"]
    return f"{heard}, drained" if host["drained"] and host["state"] != "drained" else heard


def _faults(host: Document) -> list[tuple[int, str]]:
    return [(device["id"], fault) for device in host["devices"] if (fault := _fault(device))]


def _fault(device: Document) -> str:
    """What keeps jobs from a device, or should be known of it; empty where it is as it should be."""
    found = []
    if not device["present"]:
        found.append("gone")
    elif device["health"] != "ok":
        code = f" (error code {device['error_code']})" if device["error_code"] else ""
        found.append(f"{device['health']}{code}")
    if device["link"] == "down":
        found.append("link down")
    if device["busy"]:
        found.append(f"busy: {device['busy']}")
    if device["cordoned"]:
        found.append(f"cordoned ({device['cordoned']})")
    return ", ".join(found)


COLUMNS = (
    Column("host", lambda host: host["name"]),
    Column("state", _state),
    Column("devices", _devices),
    Column("free", lambda host: str(host["free"]), right=True),
    Column("jobs", lambda host: ",".join(map(str, host["jobs"]))),
    Column("seen", lambda host: f"{age(host['seen_at'])} ago", keep=5),
    Column("address", lambda host: host["address"], keep=2),
    Column("version", lambda host: host["version"], keep=1),
    Column("faults", lambda host: ",".join(str(number) for number, _ in _faults(host)), bends=True),
)


JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group(invoke_without_command=True)
@JSON
@click.pass_context
def hosts(context: click.Context, as_json: bool) -> None:
    """List the registry's hosts, their devices and what runs there; or keep jobs from them."""
    if context.invoked_subcommand is not None:
        return
    rows = context.obj.client.hosts()
    if as_json:
        print_json(rows)
    elif rows:
        click.echo("\n".join(table(rows, COLUMNS)))
        for row in rows:
            for number, fault in _faults(row):
                click.echo(f"{row['name']}, device {number}: {fault}")
            if row["trouble"]:
                warn(f"{row['name']}: {'; '.join(row['trouble'].splitlines())}")
    else:
        click.echo("No host is registered yet. Start one with 'erfnet-jobs up', or 'erfnet-jobs worker' on each host.")


@hosts.command()
@click.argument("host")
@JSON
@click.pass_obj
def drain(session: Session, host: str, as_json: bool) -> None:
    """Keep new jobs from HOST; those that run there go on."""
    row = session.client.drain(host)
    _print(row, as_json, f"{host} gets no new job until 'erfnet-jobs hosts resume {host}'{_going_on(row['jobs'])}.")


@hosts.command()
@click.argument("host")
@JSON
@click.pass_obj
def resume(session: Session, host: str, as_json: bool) -> None:
    """Let HOST have jobs again, after 'hosts drain' or 'worker --drain'."""
    row = session.client.resume(host)
    stopped = (
        "; its worker is not up: start it with 'erfnet-jobs worker'" if row["state"] in ("stopped", "silent") else ""
    )
    _print(row, as_json, f"{host} gets jobs again: {row['free']} of {row['usable']} devices are free{stopped}.")


@hosts.command()
@click.argument("devices", type=HostDevicesType(), metavar="HOST:ID[,ID]")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for those who read 'hosts' later.")
@JSON
@click.pass_obj
def cordon(session: Session, devices: tuple[str, tuple[int, ...]], reason: str, as_json: bool) -> None:
    """Keep new jobs from devices of a host; those that run on them go on."""
    host, ids = devices
    row = session.client.cordon(host, ids, reason)
    jobs = sorted({device["job"] for device in row["devices"] if device["id"] in ids and device["job"] is not None})
    _print(row, as_json, f"{_named(host, ids)}: no new job until 'erfnet-jobs hosts uncordon'{_going_on(jobs)}.")


@hosts.command()
@click.argument("devices", type=HostDevicesType(), metavar="HOST:ID[,ID]")
@JSON
@click.pass_obj
def uncordon(session: Session, devices: tuple[str, tuple[int, ...]], as_json: bool) -> None:
    """Lift any cordon of devices of a host, also one that was set because processes would not end."""
    host, ids = devices
    session.client.warn = warn
    row = session.client.uncordon(host, ids)
    _print(row, as_json, f"{_named(host, ids)}: no cordon; {row['usable']} devices of {host} may have jobs.")


def _print(row: Document, as_json: bool, text: str) -> None:
    if as_json:
        print_json(row)
    else:
        click.echo(text)


def _named(host: str, ids: Sequence[int]) -> str:
    return f"device{'s' if len(ids) > 1 else ''} {', '.join(map(str, ids))} of {host}"


def _going_on(jobs: Sequence[int]) -> str:
    if not jobs:
        return ""
    return f"; jobs {', '.join(map(str, jobs))} go on there" if len(jobs) > 1 else f"; job {jobs[0]} goes on there"
