"""What a device is, CPU slots, and the nodes of Ascend chips. Stdlib only."""

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from erfnet_jobs.choices import MAX_CARDS
from erfnet_jobs.errors import UsageError

CPU_SLOT = "cpu"
ASCEND_CHIP = "ascend"
HEALTHY = "ok"
UNKNOWN_HEALTH = "unknown"
# Beside the chips' nodes lie davinci_manager, devmm_svm and hisi_hdc, which are no devices.
NODE_PATTERN = re.compile(r"davinci(\d+)")


@dataclass(frozen=True)
class DeviceProcess:
    """A process on a device, as `npu-smi info` tells it. `memory` is in bytes.

    `name` may be cut short or empty. `pid` is the host's; where the tool knows the container's own, it is
    `pid_in_container`.
    """

    pid: int
    name: str
    memory: int | None = None
    pid_in_container: int | None = None


@dataclass(frozen=True)
class Device:
    """One device; what the host's tools cannot tell is None.

    `id` is the logic id on this host, by which jobs are placed, and ASCEND_RT_VISIBLE_DEVICES names it;
    `physical_id` is N of /dev/davinciN, by which rank tables name it. `health` is 'ok', 'warning', 'alarm',
    'critical' or 'unknown'. `memory` and `memory_used` are bytes of the memory that models use, `temperature` is in
    degrees Celsius, `power` in watts, `ai_core` the use of its AI cores in percent. `link` is 'up' or 'down'. `cores`
    are the host's cores near it, as '0-23,48-71'. `processes` of None: unknown, which is not 'none'.
    """

    id: int
    kind: str
    name: str
    health: str = HEALTHY
    generation: str | None = None
    memory: int | None = None
    memory_used: int | None = None
    npu_id: int | None = None
    chip_id: int | None = None
    physical_id: int | None = None
    error_code: str | None = None
    temperature: float | None = None
    power: float | None = None
    ai_core: float | None = None
    processes: tuple[DeviceProcess, ...] | None = None
    device_ip: str | None = None
    link: str | None = None
    cores: str | None = None

    @property
    def node(self) -> int:
        """By which number rank tables, hccn_tool and hccn.conf know it: the physical id, the logic id without one."""
        return self.id if self.physical_id is None else self.physical_id


@dataclass(frozen=True)
class HostDevices:
    """The devices of this host by id, the versions of its driver and of CANN, and what its tools could not tell.

    `troubles` are sentences for people: which tool failed, why, and what to do.
    """

    devices: tuple[Device, ...]
    driver: str | None = None
    cann: str | None = None
    troubles: tuple[str, ...] = ()


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def local_devices(count: int | None = None) -> tuple[Device, ...]:
    """CPU slots: `count`, or one for each core this process may use. Raises UsageError."""
    if count is None:
        count = usable_cores()
    if not 1 <= count <= MAX_CARDS:
        raise UsageError(f"devices is {count}: give how many CPU slots this host has, from 1 to {MAX_CARDS}")
    return tuple(Device(number, CPU_SLOT, f"{platform.machine()} slot") for number in range(count))


def ascend_nodes(dev_dir: Path) -> tuple[int, ...]:
    """The numbers N of the nodes davinciN in the device folder, in ascending order."""
    try:
        names = [entry.name for entry in dev_dir.iterdir()]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return ()
    return tuple(sorted(int(found[1]) for name in names if (found := NODE_PATTERN.fullmatch(name))))


def threads_per_rank(ranks: int) -> int:
    """CPU threads for each of `ranks` ranks on this host: the cores, shared out."""
    return max(1, usable_cores() // ranks)
