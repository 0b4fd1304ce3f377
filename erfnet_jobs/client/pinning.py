"""A user's own rank table: which devices of which registered hosts it means."""

from dataclasses import replace

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from erfnet_jobs.ascend.rank_table import RankTable, Server, TableDevice
from erfnet_jobs.ascend.rank_table_files import sound_table
from erfnet_jobs.errors import BadData, UsageError
from erfnet_jobs.jobs import Part, Request
from erfnet_jobs.registry.tables import Device, Host


def check_rank_table(request: Request) -> RankTable | None:
    """The request's own rank table, where it has one.

    Raises BadData for its faults, and UsageError for what it leaves no room for.
    """
    if request.rank_table is None:
        return None
    table = _sound(request.rank_table)
    if request.devices is not None or request.host is not None:
        raise UsageError("the rank table says which devices of which hosts a job gets: leave --devices and --host out")
    if request.spec.cards != table.world_size:
        raise UsageError(
            f"cards is {request.spec.cards}, and the rank table has {table.world_size} devices: leave --cards out"
        )
    return table


def with_pinned(session: Session, request: Request) -> Request:
    """The request with what its rank table means here.

    Raises BadData for servers, devices and addresses that the registered hosts do not have.
    """
    table = check_rank_table(request)
    if table is None:
        return request
    generations: set[str] = set()
    parts: list[Part] = []
    for server in table.servers:
        host = _host(session, server)
        devices = [_device(session, host, server, one) for one in server.devices]
        generations |= {device.generation for device in devices if device.generation is not None}
        parts.append(Part(host.name, tuple(sorted(device.id for device in devices)), server.ranks[0]))
    for generation in generations:
        _sound(request.rank_table or "", generation)
    if len({part.host for part in parts}) < len(parts):
        raise BadData("two servers of the rank table are the same registered host: give each host one entry")
    return replace(request, pinned=tuple(parts))


def _sound(text: str, generation: str | None = None) -> RankTable:
    return sound_table(text.encode("utf-8", "surrogatepass"), "of the job", generation=generation)


def _host(session: Session, server: Server) -> Host:
    names = [name for name in (server.server_id, server.pod_ip) if name is not None]
    found = session.scalars(select(Host).where(Host.address.in_(names)).order_by(Host.name)).all()
    if len(found) == 1:
        return found[0]
    if found:
        hosts = ", ".join(f"{host.name} ({host.address})" for host in found)
        raise BadData(
            f"server {server.server_id!r} of the rank table may be {hosts}: give hosts addresses of their own"
        )
    known = ", ".join(f"{name} ({address})" for name, address in session.execute(select(Host.name, Host.address)))
    raise BadData(
        f"no registered host has the address of server {server.server_id!r} of the rank table; "
        f"there are {known or 'none yet: start their workers first'}"
    )


def _device(session: Session, host: Host, server: Server, wanted: TableDevice) -> Device:
    same = or_(Device.physical_id == wanted.device_id, Device.physical_id.is_(None) & (Device.id == wanted.device_id))
    device = session.scalars(select(Device).where(Device.host_name == host.name, Device.present, same)).one_or_none()
    where = f"device_id {wanted.device_id} of server {server.server_id!r} of the rank table"
    if device is None:
        raise BadData(f"{where}: {host.name} has no such device; 'erfnet-jobs hosts' lists those it has")
    if device.device_ip not in (None, wanted.device_ip):
        raise BadData(
            f"{where} has the device_ip {wanted.device_ip}, and {host.name} has found {device.device_ip} there"
        )
    return device
