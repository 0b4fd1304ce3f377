"""`hosts`: the registry's machines, their devices and what runs there."""

import click

from erfnet_jobs.cli.output import Column, Document, age, print_json, table
from erfnet_jobs.cli.session import Session


def _devices(host: Document) -> str:
    kinds = dict.fromkeys(device["name"] for device in host["devices"] if device["present"])
    return f"{host['usable']} x {'/'.join(kinds)}" if kinds else "none"


def _faults(host: Document) -> str:
    found = []
    for device in host["devices"]:
        if device["cordoned"]:
            found.append(f"{device['id']} cordoned ({device['cordoned']})")
        elif not device["present"]:
            found.append(f"{device['id']} gone")
        elif device["health"] != "ok":
            found.append(f"{device['id']} {device['health']}")
    return ", ".join(found)


COLUMNS = (
    Column("host", lambda host: host["name"]),
    Column("state", lambda host: host["state"]),
    Column("devices", _devices),
    Column("free", lambda host: str(host["free"]), right=True),
    Column("jobs", lambda host: ",".join(map(str, host["jobs"]))),
    Column("seen", lambda host: f"{age(host['seen_at'])} ago", keep=5),
    Column("address", lambda host: host["address"], keep=2),
    Column("version", lambda host: host["version"], keep=1),
    Column("faults", _faults, bends=True),
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def hosts(session: Session, as_json: bool) -> None:
    """List the registry's hosts, their devices and what runs there."""
    rows = session.client.hosts()
    if as_json:
        print_json(rows)
    elif rows:
        click.echo("\n".join(table(rows, COLUMNS)))
    else:
        click.echo("No host is registered yet. Start one with 'erfnet-jobs up', or 'erfnet-jobs worker' on each host.")
