"""Rank tables of hosts whose devices are known. Stdlib only."""

from collections.abc import Sequence
from dataclasses import dataclass

from erfnet_jobs.ascend.devices import ASCEND_CHIP, Device
from erfnet_jobs.ascend.group_rule import group_fault, without_table
from erfnet_jobs.ascend.rank_table import RankTable, Server, TableDevice
from erfnet_jobs.ascend.rank_table_fields import address_fault
from erfnet_jobs.errors import NoHostFits, UsageError


@dataclass(frozen=True)
class KnownDevice:
    """What a host knows of a device: its logical and physical id, the address of its network port, its generation."""

    id: int
    physical_id: int | None
    device_ip: str | None
    generation: str | None


@dataclass(frozen=True)
class KnownHost:
    """A host's part of a job: its address, the one by which its ranks reach the scheduler, and its devices.

    `ranks` are those of its devices, in their order.
    """

    address: str
    pod_ip: str
    devices: tuple[KnownDevice, ...]
    ranks: tuple[int, ...]


def in_order(address: str, pod_ip: str, devices: Sequence[KnownDevice], first_rank: int = 0) -> KnownHost:
    """A host whose ranks follow its devices by ascending logical id, as ASCEND_RT_VISIBLE_DEVICES numbers them."""
    ordered = tuple(sorted(devices, key=lambda device: device.id))
    return KnownHost(address, pod_ip, ordered, tuple(range(first_rank, first_rank + len(ordered))))


def known_devices(devices: Sequence[Device], wanted: Sequence[int] | None = None) -> tuple[KnownDevice, ...]:
    """The Ascend devices of this host, or those of them that are wanted by logical id, ascending.

    Raises NoHostFits where it has none, or not those, and UsageError where one is wanted twice.
    """
    chips = {device.id: device for device in devices if device.kind == ASCEND_CHIP}
    if not chips:
        raise NoHostFits(
            "this host has no Ascend devices, and jobs on CPU slots need no rank table: run this on an Ascend host; "
            "where this is one, see with 'npu-smi info' and 'ls /dev/davinci*' whether its driver is loaded"
        )
    if wanted is not None and len(set(wanted)) < len(wanted):
        raise UsageError(f"devices are {','.join(map(str, wanted))}: give each once")
    if missing := sorted(set(wanted or ()) - set(chips)):
        ids = ",".join(map(str, sorted(chips)))
        raise NoHostFits(f"this host has no device {', '.join(map(str, missing))}: it has {ids}")
    chosen = sorted(chips if wanted is None else wanted)
    return tuple(
        KnownDevice(one.id, one.physical_id, one.device_ip, one.generation) for one in (chips[id_] for id_ in chosen)
    )


def make_table(hosts: Sequence[KnownHost]) -> RankTable:
    """The table of these hosts; raises UsageError saying why none can be made."""
    generations = {device.generation for host in hosts for device in host.devices}
    for generation in sorted(generations, key=str):
        if generation is None:
            raise UsageError(
                "the generation of the devices is not known: see 'erfnet-jobs devices'; "
                "'erfnet-jobs rank-table' takes --generation"
            )
        if reason := without_table(generation):
            raise UsageError(reason)
    if len(generations) > 1:
        raise UsageError(f"the devices are of several generations ({', '.join(map(str, generations))}): one is needed")
    return RankTable(tuple(_server(host) for host in hosts))


def _server(host: KnownHost) -> Server:
    for address in (host.address, host.pod_ip):
        if fault := address_fault(address):
            raise UsageError(f"the host's address {fault}: set ERFNET_JOBS_HOST_ADDRESS, or give --server-ip")
    devices = tuple(_device(device, rank) for device, rank in zip(host.devices, host.ranks, strict=True))
    generation = host.devices[0].generation or ""
    if fault := group_fault(generation, [device.device_id for device in devices]):
        raise UsageError(fault)
    return Server(host.address, devices, host.pod_ip)


def _device(device: KnownDevice, rank: int) -> TableDevice:
    if device.physical_id is None:
        raise UsageError(f"the physical id of device {device.id} is not known: see 'erfnet-jobs devices'")
    if device.device_ip is None:
        raise UsageError(
            f"the device IP of device {device.id} is not known: see 'hccn_tool -i {device.physical_id} -ip -g', "
            "and set it there if it has none"
        )
    if fault := address_fault(device.device_ip, of_device=True):
        raise UsageError(f"the device IP of device {device.id} {fault}: see 'hccn_tool -i {device.physical_id} -ip -g'")
    return TableDevice(device.physical_id, device.device_ip, rank)
