"""`erfnet-jobs devices`: the devices of this host."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from erfnet_jobs.cli.session import Session


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def devices(session: "Session", as_json: bool) -> None:
    """List the devices of this host.

    On a host without Ascend chips these are CPU slots, one for each core.
    """
    from dataclasses import asdict

    from erfnet_jobs.ascend.devices import local_devices, unused_ascend_note
    from erfnet_jobs.cli.output import Column, print_json, table, warn

    if note := unused_ascend_note(session.settings.dev_dir):
        warn(note)
    rows = [asdict(device) for device in local_devices()]
    if as_json:
        print_json({"host": session.settings.host_name, "devices": rows})
        return
    columns = [
        Column("id", lambda row: str(row["id"]), right=True),
        Column("kind", lambda row: row["kind"]),
        Column("name", lambda row: row["name"]),
        Column("health", lambda row: row["health"]),
    ]
    for line in table(rows, columns):
        click.echo(line)
