"""`erfnet-jobs devices`: the devices of this host."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from erfnet_jobs.cli.output import Column, Document
    from erfnet_jobs.cli.session import Session


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def devices(session: "Session", as_json: bool) -> None:
    """List the devices of this host.

    On a host without Ascend chips these are CPU slots, one for each core. What the host's tools cannot tell is '-', and
    null in JSON.
    """
    from dataclasses import asdict

    from erfnet_jobs.ascend.discover import host_devices
    from erfnet_jobs.cli.output import fields, print_json, table, warn

    found = host_devices(session.settings)
    rows = [asdict(device) for device in found.devices]
    for trouble in found.troubles:
        warn(trouble)
    if as_json:
        versions = {"driver": found.driver, "cann": found.cann, "troubles": list(found.troubles)}
        print_json({"host": session.settings.host_name, **versions, "devices": rows})
        return
    for line in table(rows, _columns()):
        click.echo(line)
    for line in fields([("driver", found.driver), ("CANN", found.cann)]):
        click.echo(line)


def _columns() -> "list[Column]":
    from erfnet_jobs.cli.output import Column, number

    return [
        Column("id", lambda row: str(row["id"]), right=True),
        Column("npu", _npu, keep=3, right=True),
        Column("davinci", lambda row: number(row["physical_id"], 0), keep=2, right=True),
        Column("kind", lambda row: row["kind"], keep=0),
        Column("name", lambda row: row["name"]),
        Column("gen", lambda row: row["generation"] or "-", keep=4),
        Column("health", _health),
        Column("memory GiB", _memory, keep=6, right=True),
        Column("°C", lambda row: number(row["temperature"], 0), keep=6, right=True),
        Column("W", lambda row: number(row["power"], 1), keep=3, right=True),
        Column("core%", lambda row: number(row["ai_core"], 0), keep=5, right=True),
        Column("address", lambda row: row["device_ip"] or "-", keep=7),
        Column("link", lambda row: row["link"] or "-", keep=7),
        Column("cores", lambda row: row["cores"] or "-", keep=1),
        Column("processes", _processes, keep=8, bends=True, least=9),
    ]


def _npu(row: "Document") -> str:
    return "-" if row["npu_id"] is None else f"{row['npu_id']}/{row['chip_id']}"


def _health(row: "Document") -> str:
    return row["health"] if row["error_code"] is None else f"{row['health']} {row['error_code']}"


def _memory(row: "Document") -> str:
    if row["memory"] is None:
        return "-"
    used = "-" if row["memory_used"] is None else f"{row['memory_used'] / 2**30:.1f}"
    return f"{used}/{row['memory'] / 2**30:.0f}"


def _processes(row: "Document") -> str:
    """'none', or ids and names; '-' where it is not known."""
    if row["processes"] is None:
        return "-"
    return ", ".join(f"{process['pid']} {process['name']}".strip() for process in row["processes"]) or "none"
