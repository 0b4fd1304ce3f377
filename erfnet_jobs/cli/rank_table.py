"""`erfnet-jobs rank-table`: HCCL's rank tables. Needs neither broker nor registry."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from erfnet_jobs.ascend.group_rule import GENERATIONS
from erfnet_jobs.cli.parameters import DEVICES

if TYPE_CHECKING:
    from erfnet_jobs.ascend.rank_table import RankTable
    from erfnet_jobs.ascend.rank_table_check import Fault, OwnHost
    from erfnet_jobs.cli.session import Session


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--devices", type=DEVICES, default=None, help="Only these, such as 0,1 or 0-3.  [default: all]")
@click.option("--server-ip", default=None, metavar="IP", help="This host's address.  [default: as the settings say]")
@click.option("-o", "--output", default=None, metavar="FILE", help="Write it there.  [default: standard output]")
@click.option("--merge", is_flag=True, help="Make one table of the hosts' tables FILE...")
@click.option("--check", is_flag=True, help="Name every fault of the tables FILE...")
@click.option(
    "--generation", type=click.Choice(GENERATIONS), default=None, help="The chips, where that is not known here."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def rank_table(
    ctx: click.Context,
    files: tuple[str, ...],
    devices: tuple[int, ...] | None,
    server_ip: str | None,
    output: str | None,
    merge: bool,
    check: bool,
    generation: str | None,
    as_json: bool,
) -> None:
    """Print the rank table that a job on devices of this host would get; or merge tables, or check them.

    It has the values that MindSpore's hccl_tools.py writes, and pod_ip. With --merge, servers come in the dictionary
    order of server_id, whatever the order of the files.
    """
    _check_together(files, merge, check, server_ip, devices, output)
    paths = [Path(name).expanduser() for name in files]
    if check:
        _check(ctx, paths, generation, as_json)
        return
    table = _merged(paths, generation) if merge else _made(ctx.obj, devices, server_ip, generation)
    _give(table, output, as_json)


def _check_together(
    files: Sequence[str],
    merge: bool,
    check: bool,
    server_ip: str | None,
    devices: object,
    output: str | None,
) -> None:
    if merge and check:
        raise click.UsageError("give --merge or --check, not both")
    if (merge or check) and not files:
        raise click.UsageError(f"{'--merge' if merge else '--check'} needs the rank tables' files")
    if files and not (merge or check):
        raise click.UsageError("FILE goes with --merge or --check; to write one, use -o FILE")
    if (merge or check) and (server_ip or devices):
        raise click.UsageError("--devices and --server-ip are for a table of this host: leave them out")
    if check and output:
        raise click.UsageError("--check writes no file: leave -o out")


def _made(
    session: "Session", devices: tuple[int, ...] | None, server_ip: str | None, generation: str | None
) -> "RankTable":
    from dataclasses import replace

    from erfnet_jobs.ascend.discover import discover
    from erfnet_jobs.ascend.rank_table_make import in_order, known_devices, make_table
    from erfnet_jobs.cli.output import warn

    found = discover(session.settings)
    for trouble in found.troubles:
        warn(trouble)
    chosen = [
        replace(device, generation=device.generation or generation) for device in known_devices(found.devices, devices)
    ]
    address = server_ip or session.settings.host_address
    return make_table([in_order(address, address, chosen)])


def _merged(paths: Sequence[Path], generation: str | None) -> "RankTable":
    from erfnet_jobs.ascend.rank_table_files import merge
    from erfnet_jobs.cli.output import warn

    table = merge(paths, generation)
    without = [server.server_id for server in table.servers if server.pod_ip is None]
    if without:
        warn(
            f"no pod_ip for {', '.join(without)}: MindSpore then starts the ranks in its own order, not in the table's"
        )
    return table


def _give(table: "RankTable", output: str | None, as_json: bool) -> None:
    from erfnet_jobs.ascend.rank_table import to_document, to_text
    from erfnet_jobs.cli.output import print_json
    from erfnet_jobs.files import write_atomically, written_path
    from erfnet_jobs.launch.foreground import disk_errors

    if output is None:
        click.echo(to_text(table), nl=False)
        return
    path = written_path(output)
    with disk_errors(path.parent):
        write_atomically(path, to_text(table).encode())
    servers = len(table.servers)
    if as_json:
        print_json({"file": str(path), "servers": servers, "ranks": table.world_size, "table": to_document(table)})
        return
    click.echo(f"{path}: {table.world_size} ranks on {servers} server{'s' if servers > 1 else ''}", err=True)


def _own_host(session: "Session", content: bytes) -> "OwnHost | None":
    """Where a table names this host and all its devices are known: it is held to those. Asking its tools takes time."""
    from erfnet_jobs.ascend.discover import discover
    from erfnet_jobs.ascend.rank_table_check import OwnHost

    address = session.settings.host_address
    if f'"{address}"'.encode() not in content:
        return None
    devices = discover(session.settings).devices
    known = frozenset(device.physical_id for device in devices if device.physical_id is not None)
    generations = {device.generation for device in devices}
    if not known or len(known) < len(devices):
        return None
    return OwnHost(address, known, generations.pop() if len(generations) == 1 else None)


def _check(ctx: click.Context, paths: Sequence[Path], generation: str | None, as_json: bool) -> None:
    from dataclasses import asdict

    from erfnet_jobs.cli.output import print_json

    documents = []
    for path in paths:
        found = _faults(ctx.obj, path, generation)
        ok = all(fault.warning for fault in found)
        documents.append({"file": str(path), "ok": ok, "faults": [asdict(fault) for fault in found]})
        if not as_json:
            lines = [f"{'warning' if fault.warning else 'error'}: {fault}" for fault in found]
            click.echo("\n".join(f"{path}: {line}" for line in [*lines, *(["ok"] if ok else [])]))
    if as_json:
        print_json(documents)
    if not all(document["ok"] for document in documents):
        ctx.exit(1)


def _faults(session: "Session", path: Path, generation: str | None) -> "list[Fault]":
    from erfnet_jobs.ascend.rank_table_check import Fault
    from erfnet_jobs.ascend.rank_table_files import check_content, content_of
    from erfnet_jobs.errors import BadData

    try:
        content = content_of(path)
    except BadData as error:
        return [Fault("file", str(error))]
    return check_content(content, generation=generation, own=_own_host(session, content))[1]
