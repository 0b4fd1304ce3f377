"""The devices of this host in the registry: what each look changes, and whose the processes on them are."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace

from erfnet_jobs.ascend.devices import ASCEND_CHIP, Device, DeviceProcess, HostDevices
from erfnet_jobs.ascend.discover import host_devices
from erfnet_jobs.ascend.health import DeviceStates, Judge, Seen, Whose
from erfnet_jobs.launch.processes import has_mark
from erfnet_jobs.local.processes import parent_of, start_of
from erfnet_jobs.registry.devices import kept, seen_devices, store_devices
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.hosts import store_software
from erfnet_jobs.registry.parts import HeldPart, held_parts
from erfnet_jobs.settings import Settings
from workers.device_watch import DeviceWatch
from workers.reaper import mark_of

log = logging.getLogger(__name__)


def whose_process(pid: int, marks: Collection[str]) -> Whose:
    """Ours is what has a mark of an attempt on this host, and what such a process has started."""
    if start_of(pid) is None:
        return Whose.GONE
    ancestor: int | None = pid
    while ancestor is not None and ancestor > 1:
        if any(has_mark(ancestor, mark) for mark in marks):
            return Whose.OURS
        ancestor = parent_of(ancestor)
    return Whose.FOREIGN


@dataclass(frozen=True)
class FirstLook:
    """What a worker that starts believes of its host's devices, and what the tools told of the host itself."""

    states: DeviceStates
    found: HostDevices

    @property
    def watched(self) -> bool:
        """Whether devices may change: chips do, and what could not be seen yet; CPU slots do not."""
        return bool(self.found.troubles) or any(device.kind == ASCEND_CHIP for device in self.found.devices)


def first_look(settings: Settings, registry: Registry, count: int | None) -> FirstLook:
    """Look at the devices before the host is registered; raises UsageError."""
    found = host_devices(settings, count)
    with registry.read() as session:
        known = seen_devices(session, settings.host_name)
    states = DeviceStates(known, settings.warning_runs)
    states.take(found, _judge(registry, settings.host_name))
    return FirstLook(states, found)


def _judge(registry: Registry, host: str) -> Judge:
    with registry.read() as session:
        parts = held_parts(session, host)
    marks = {mark_of(part) for part in parts}
    held = {device for part in parts for device in part.devices}

    def whose(device: int, process: DeviceProcess) -> Whose:
        found = whose_process(process.pid_in_container or process.pid, marks)
        # In a container the tool may name processes, ours too, by ids that are not known here.
        return Whose.OURS if found is Whose.GONE and device in held else found

    return whose


class OwnDevices:
    """The devices of the worker's host; `watch` is None where they do not change."""

    def __init__(self, settings: Settings, registry: Registry, first: FirstLook, watch: DeviceWatch | None) -> None:
        self._host = settings.host_name
        self._registry = registry
        self._states = first.states
        self._watch = watch
        self._first = first.found
        self._found = self._stored_found = _software(first.found, first.found)
        self._stored = self._rows()

    def renew(self) -> None:
        """Take what the watch has seen, and write what has changed; raises RegistryUnreachable, to be tried again."""
        for look in self._watch.looks() if self._watch else ():
            self._states.take(look, _judge(self._registry, self._host))
            self._found = _software(look, self._found)
        rows = self._rows()
        changed = [seen for number, seen in self._states.seen.items() if rows[number] != self._stored.get(number)]
        if not changed and self._found == self._stored_found:
            return
        with self._registry.write() as session:
            changes = store_devices(session, self._host, changed) if changed else []
            store_software(session, self._host, self._found)
        for change in changes:
            log.warning("%s", change)
        if self._found.troubles != self._stored_found.troubles:
            log.warning("looking at the devices: %s", "; ".join(self._found.troubles) or "the tools answer again")
        self._stored, self._stored_found = rows, self._found

    @property
    def seen(self) -> dict[int, Seen]:
        """What is believed of the devices, by id; may be asked for from any thread."""
        return dict(self._states.seen)

    @property
    def newest(self) -> tuple[Device, ...]:
        """The devices of the newest look, with its readings; may be asked for from any thread."""
        last = self._watch.last if self._watch else None
        return (last or self._first).devices

    @property
    def told(self) -> str:
        """How many devices there are, and how many of them jobs could have but for cordons, for people."""
        seen = self.seen.values()
        fit = sum(one.present and one.fit and one.busy is None for one in seen)
        return f"{fit} of {len(seen)} devices fit"

    def loss(self, part: HeldPart) -> str | None:
        """Why a part cannot go on: which of its devices is lost, and how; None where none is."""
        lost = self._states.lost
        told = [f"device {number} of {self._host}: {lost[number]}" for number in part.devices if number in lost]
        return "; ".join(told) or None

    def _rows(self) -> dict[int, tuple[object, ...]]:
        return {number: kept(seen) for number, seen in self._states.seen.items()}


def _software(found: HostDevices, before: HostDevices) -> HostDevices:
    """What a look tells of the host itself; a version that a tool has failed to tell now is the one from before."""
    if not found.troubles:
        return replace(found, devices=())
    return replace(found, devices=(), driver=found.driver or before.driver, cann=found.cann or before.cann)
