"""What is to be believed of a host's devices, look after look: which jobs may have, and which are lost. Stdlib only.

A tool that does not answer says nothing of the devices, so silence never ends what runs. What it does say counts for
new jobs at once, and for the job that has the device when two looks have said it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from erfnet_jobs.ascend.devices import ASCEND_CHIP, HEALTHY, UNKNOWN_HEALTH, Device, DeviceProcess, HostDevices

WARNING = "warning"
RUINED = frozenset({"alarm", "critical", UNKNOWN_HEALTH})
LOST_LOOKS = 2
SILENT_LOOKS = 2


class Whose(StrEnum):
    """Whose a process on a device is; one that is gone may have been ours a moment ago."""

    OURS = "ours"
    FOREIGN = "foreign"
    GONE = "gone"


Judge = Callable[[int, DeviceProcess], Whose]


@dataclass(frozen=True)
class Seen:
    """A device as its host knows it.

    `present`: the host's tools list it. `fit`: its health lets jobs have it, by its host's settings. `busy` says which
    processes that are none of ours are on it.
    """

    device: Device
    present: bool = True
    fit: bool = True
    busy: str | None = None

    @property
    def state(self) -> str:
        """Its health with the error code, as 'alarm (error code 80E01801)', or 'gone'."""
        if not self.present:
            return "gone"
        code = self.device.error_code
        told = code is not None and self.device.health != HEALTHY
        return f"{self.device.health} (error code {code})" if told else self.device.health


class DeviceStates:
    """The devices of one host by id, renewed with every look.

    `known` is what was believed before, by the worker before this one. With `warning_runs` jobs may have devices in
    health Warning.
    """

    def __init__(self, known: Mapping[int, Seen], warning_runs: bool) -> None:
        self.seen = dict(known)
        self._warning_runs = warning_runs
        self._first = True
        self._ruined: dict[int, int] = {}
        self._silent: dict[int, int] = {}
        self._pids: dict[int, frozenset[int]] = {}

    @property
    def lost(self) -> dict[int, str]:
        """The chips that no job can go on with, as two looks have said, and what they said."""
        return {number: self.seen[number].state for number, looks in self._ruined.items() if looks >= LOST_LOOKS}

    def take(self, look: HostDevices, whose: Judge) -> None:
        """Believe a look; `whose` tells of a process on a device, named by its id, whose it is."""
        listed = self._listed(look)
        self._first = False
        for number in sorted(self.seen.keys() | listed.keys()):
            before, device = self.seen.get(number), listed.get(number)
            if before and device and before.device.kind != device.kind:
                before = None  # what was known of a CPU slot tells nothing of a chip
            silent = bool(look.troubles) and (_is_untold(device) if device else not listed)
            self._silent[number] = self._silent.get(number, 0) + 1 if silent else 0
            if silent:
                self._keep(number, before, device)
                continue
            now = self._told(before, device, look, whose) if device else replace(_there(before), present=False)
            self.seen[number] = now
            self._count_ruin(number, now)

    def _listed(self, look: HostDevices) -> dict[int, Device]:
        """Where chips do not show, a host is found to have CPU slots: those are not the chips that were known.

        Only a worker that starts, and finds nothing wrong with the tools, takes them instead.
        """
        chips = any(seen.device.kind == ASCEND_CHIP for seen in self.seen.values())
        only_chips = chips and not (self._first and not look.troubles)
        return {device.id: device for device in look.devices if device.kind == ASCEND_CHIP or not only_chips}

    def _keep(self, number: int, before: Seen | None, device: Device | None) -> None:
        """Silence once is nothing; twice, nobody knows the chip's health. A slot may hide a chip: no job gets it."""
        known = before or (Seen(device) if device else None)
        patient = before is not None and before.device.kind == ASCEND_CHIP and self._silent[number] < SILENT_LOOKS
        if known is None or patient:
            return
        self.seen[number] = replace(
            known, device=replace(known.device, health=UNKNOWN_HEALTH, error_code=None), fit=False
        )

    def _told(self, before: Seen | None, device: Device, look: HostDevices, whose: Judge) -> Seen:
        if before is not None and look.troubles:
            device = _filled(device, before.device)
        fit = device.health == HEALTHY or (device.health == WARNING and self._warning_runs)
        return Seen(device, present=True, fit=fit, busy=self._busy(device, before, whose))

    def _busy(self, device: Device, before: Seen | None, whose: Judge) -> str | None:
        if device.processes is None:
            return before.busy if before else None
        pids = frozenset(process.pid for process in device.processes)
        earlier = self._pids.get(device.id, pids)
        self._pids[device.id] = pids
        foreign = [process for process in device.processes if _is_foreign(process, whose(device.id, process), earlier)]
        return ", ".join(map(_process_text, foreign)) or None

    def _count_ruin(self, number: int, now: Seen) -> None:
        ruined = not now.present or now.device.health in RUINED
        # A slot of a CPU cannot break; a worker may be started with fewer of them.
        if ruined and now.device.kind == ASCEND_CHIP:
            self._ruined[number] = self._ruined.get(number, 0) + 1
        else:
            self._ruined.pop(number, None)


def _there(before: Seen | None) -> Seen:
    assert before is not None  # noqa: S101 - a device that is not listed is one that was known
    return before


def _is_untold(device: Device) -> bool:
    """Whether the health is unknown because nobody told anything; a tool that says UNKNOWN has readings, too."""
    return device.health == UNKNOWN_HEALTH and device.memory_used is None and device.temperature is None


def _filled(device: Device, before: Device) -> Device:
    """With what was known before, where a tool has failed to tell it now; a state is not among that."""
    states = {"health", "error_code", "processes", "link"}
    known = {entry.name: getattr(before, entry.name) for entry in fields(Device) if entry.name not in states}
    return replace(device, **{name: value for name, value in known.items() if getattr(device, name) is None})


def _process_text(process: DeviceProcess) -> str:
    return f"process {process.pid} ({process.name})" if process.name else f"process {process.pid}"


def _is_foreign(process: DeviceProcess, whose: Whose, earlier: frozenset[int]) -> bool:
    """One that does not show here may have just ended; in a second look, or the very first, it is a container's."""
    return whose is Whose.FOREIGN or (whose is Whose.GONE and process.pid in earlier)
