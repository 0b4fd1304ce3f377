"""Which rank runs where: from placements, devices and a user's rank table into places and the table that ranks get."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.ascend.devices import ASCEND_CHIP
from erfnet_jobs.ascend.rank_table import RankTable, Server, from_document, to_text
from erfnet_jobs.ascend.rank_table_make import KnownDevice, KnownHost, make_table
from erfnet_jobs.errors import UsageError
from erfnet_jobs.launch.gang import LOOPBACK
from erfnet_jobs.launch.ranks import Ranks, without_note
from erfnet_jobs.plan import ASCEND, CPU, RankPlace
from erfnet_jobs.registry.parts import PartKey, parts_of_attempt
from erfnet_jobs.registry.summaries import table_id
from erfnet_jobs.registry.tables import Device, Host, Job


@dataclass(frozen=True)
class _Seats:
    """A host's part of an attempt: its devices by ascending id, and the rank of each."""

    host: Host
    devices: tuple[Device, ...]
    ranks: tuple[int, ...]


def ranks_of(session: Session, key: PartKey) -> Ranks:
    """All ranks of the attempt of this part. Raises UsageError where the user's table no longer fits the devices."""
    text = session.get_one(Job, key.job).rank_table
    own = None if text is None else from_document(json.loads(text))
    seats = [
        _seats(session, host, devices, first, own)
        for host, devices, first in parts_of_attempt(session, key.job, key.attempt)
    ]
    places = tuple(sorted(_places(seats), key=lambda place: place.rank))
    target = ASCEND if seats[0].devices[0].kind == ASCEND_CHIP else CPU
    if len(places) == 1 or (own is None and target == CPU):
        return Ranks(places, target)
    try:
        table = make_table(_known(seats)) if own is None else _with_addresses(own, seats)
    except UsageError as error:
        return Ranks(places, target, note=without_note(error))
    note = "the user's own rank table" if own else f"a rank table of {len(seats)} server{'s'[: len(seats) > 1]}"
    return Ranks(places, target, to_text(table), note)


def _seats(session: Session, name: str, ids: Sequence[int], first: int, own: RankTable | None) -> _Seats:
    host = session.get_one(Host, name)
    rows = select(Device).where(Device.host_name == name, Device.id.in_(ids)).order_by(Device.id)
    devices = tuple(session.scalars(rows))
    if own is None:
        return _Seats(host, devices, tuple(range(first, first + len(devices))))
    rank_of = {one.device_id: one.rank for one in _server_with(own, first).devices}
    try:
        return _Seats(host, devices, tuple(rank_of[table_id(device)] for device in devices))
    except KeyError as error:
        raise UsageError(
            f"the devices of {name} have changed since the job was submitted: none of its has the physical id {error}; "
            "submit it again with a rank table of the devices as they are now"
        ) from error


def _server_with(table: RankTable, rank: int) -> Server:
    return next(server for server in table.servers if rank in server.ranks)


def _places(seats: Sequence[_Seats]) -> list[RankPlace]:
    return [
        RankPlace(rank, seat.host.name, device.id, local, device.cores)
        for seat in seats
        for local, (device, rank) in enumerate(zip(seat.devices, seat.ranks, strict=True))
    ]


def _known(seats: Sequence[_Seats]) -> list[KnownHost]:
    pods = _pod_ips(seats)
    return [
        KnownHost(
            address=seat.host.address,
            pod_ip=pods[seat.host.name],
            devices=tuple(KnownDevice(one.id, one.physical_id, one.device_ip, one.generation) for one in seat.devices),
            ranks=seat.ranks,
        )
        for seat in seats
    ]


def _with_addresses(own: RankTable, seats: Sequence[_Seats]) -> RankTable:
    """The user's table with its devices as MindSpore counts them, and the addresses by which the ranks will meet."""
    pods = _pod_ips(seats)
    servers = []
    for seat in seats:
        server = _server_with(own, seat.ranks[0])
        by_rank = {one.rank: one for one in server.devices}
        servers.append(Server(server.server_id, tuple(by_rank[rank] for rank in seat.ranks), pods[seat.host.name]))
    return RankTable(tuple(servers))


def _pod_ips(seats: Sequence[_Seats]) -> Mapping[str, str]:
    """From where each host's ranks reach MindSpore's scheduler, which on one host listens on loopback only."""
    return {seat.host.name: LOOPBACK if len(seats) == 1 else seat.host.address for seat in seats}
