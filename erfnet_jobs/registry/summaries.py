"""Each host in one row: its family, its usable devices and the free ones, so that a placement pass reads no more.

Whoever changes a host's devices or placements calls `refresh_summary` in the same transaction. The summary is made from
the rows just before the commit, under the lock of the host's row: of two transactions side by side the later one sees
what the earlier one did. Host rows are locked last of all rows, and in order of their names, so nobody waits in a
circle.
"""

import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from erfnet_jobs.ascend.group_rule import FIRST_910, GROUP
from erfnet_jobs.id_ranges import to_ranges
from erfnet_jobs.registry.tables import Device, Host, Placement
from erfnet_jobs.states import PartState

HELD = (PartState.ASSIGNED, PartState.STARTING, PartState.RUNNING)
_SUMMARY = (Host.family, Host.present, Host.usable, Host.free, Host.second_half)
_STALE = "hosts whose summary is stale"


class DeviceState(Protocol):
    """What decides whether a job may have a device."""

    @property
    def present(self) -> bool:
        """Whether its host has it still."""

    @property
    def fit(self) -> bool:
        """Whether its health lets jobs have it."""

    @property
    def cordoned(self) -> str | None:
        """Why no job may have it."""

    @property
    def busy(self) -> str | None:
        """Which processes that are none of ours are on it."""


@dataclass(frozen=True)
class Summary:
    """What a placement pass needs to know of a host's devices; all but `family` are ranges of device ids.

    `second_half`: those of a 910A host that are in the second of its groups, which their physical ids tell.
    """

    family: str
    present: str
    usable: str
    free: str
    second_half: str = ""


@dataclass(frozen=True)
class HostRow:
    """A host as a placement pass reads it. `infers_310`: it has the C++ program of 310-infer jobs."""

    name: str
    address: str
    storage: str
    drained: bool
    stopped_at: datetime | None
    infers_310: bool
    summary: Summary

    def closed(self, silent: Container[str] = ()) -> str | None:
        """Why it gets no jobs, and what to do; `silent` are the hosts whose worker is not heard of."""
        away = None
        if self.stopped_at is not None:
            away = "its worker was stopped: start it with 'erfnet-jobs up' there"
        elif self.name in silent:
            away = "its worker is not heard of: start it with 'erfnet-jobs up' there"
        drained = f"drained: 'erfnet-jobs hosts resume {self.name}'" if self.drained else None
        return ", and ".join(filter(None, (away, drained))) or None


def host_rows(session: Session) -> list[HostRow]:
    """All hosts by name: one question, one row a host."""
    columns = (Host.name, Host.address, Host.storage_id, Host.drained, Host.stopped_at, Host.infers_310)
    rows = session.execute(select(*columns, *_SUMMARY).order_by(Host.name)).tuples()
    return [
        HostRow(name, address, storage, drained, stopped_at, infers_310, Summary(*summary))
        for name, address, storage, drained, stopped_at, infers_310, *summary in rows
    ]


def is_usable(device: DeviceState) -> bool:
    """Whether a job may have a device at all: it is there, its health fits, and it is not cordoned and not busy."""
    return device.present and device.fit and device.cordoned is None and device.busy is None


def refresh_summary(session: Session, host: str) -> None:
    """Have the host's summary made anew at the end of this transaction of `Registry.write`."""
    session.info.setdefault(_STALE, set()).add(host)


def refresh_stale(session: Session) -> None:
    """Make the summaries anew that are stale; `Registry.write` does it just before it commits."""
    names = session.info.pop(_STALE, None)
    if not names:
        return
    session.flush()
    locked = select(Host.name).where(Host.name.in_(names)).order_by(Host.name).with_for_update(key_share=True)
    session.execute(locked).all()
    found = summaries_of(session, names)
    rows = [{"host": name, **vars(summary)} for name, summary in sorted(found.items())]
    made = update(Host).where(Host.name == bindparam("host"))
    made = made.values({column: bindparam(column.key) for column in _SUMMARY})
    session.connection().execute(made, rows)


def summary_of(session: Session, host: str) -> Summary:
    """What the rows of its devices and placements say of a host now."""
    return summaries_of(session, [host])[host]


def wrong_summaries(session: Session) -> dict[str, tuple[Summary, Summary]]:
    """The hosts whose summary is not what the rows say: (as it stands, as it should be); there must be none."""
    stored = {name: Summary(*summary) for name, *summary in session.execute(select(Host.name, *_SUMMARY))}
    right = summaries_of(session, stored)
    return {name: (stored[name], right[name]) for name in stored if stored[name] != right[name]}


def summaries_of(session: Session, hosts: Iterable[str]) -> dict[str, Summary]:
    """What the rows of their devices and placements say of some hosts."""
    names = list(hosts)
    devices: dict[str, list[Device]] = {name: [] for name in names}
    rows = select(Device).where(Device.host_name.in_(names)).order_by(Device.host_name, Device.id)
    for device in session.scalars(rows.execution_options(populate_existing=True)):
        devices[device.host_name].append(device)
    held: dict[str, set[int]] = {}
    for host, device_id in held_devices(session, names):
        held.setdefault(host, set()).add(device_id)
    return {name: _summary(found, held.get(name, set())) for name, found in devices.items()}


def held_devices(session: Session, hosts: Iterable[str] | None = None) -> Mapping[tuple[str, int], int]:
    """The job that holds each device, of some hosts or of all: placements that have not ended hold theirs."""
    rows = select(Placement.host_name, Placement.devices, Placement.job_id).where(Placement.state.in_(HELD))
    if hosts is not None:
        rows = rows.where(Placement.host_name.in_(list(hosts)))
    return {(host, device): job for host, devices, job in session.execute(rows) for device in json.loads(devices)}


def _summary(devices: list[Device], held: set[int]) -> Summary:
    family = _family(devices)
    present = [device for device in devices if device.present and _kin(device) == family]
    usable = {device.id for device in present if is_usable(device)}
    second = [device.id for device in present if family == FIRST_910 and table_id(device) >= GROUP]
    ids = ([device.id for device in present], usable, usable - held, second)
    return Summary(family, *map(to_ranges, ids))


def table_id(device: Device) -> int:
    """By which number rank tables know a device: its physical id; its own where that is unknown, as a CPU slot's."""
    return device.id if device.physical_id is None else device.physical_id


def _family(devices: list[Device]) -> str:
    """What most of the present devices are; a gang has one family, so others of the same host get no jobs."""
    kin = [_kin(device) for device in devices if device.present] or [_kin(device) for device in devices]
    return min(kin, key=lambda name: (-kin.count(name), name)) if kin else "cpu"


def _kin(device: Device) -> str:
    return device.generation or device.kind
