"""What this worker knows without the registry: its rounds, its host's devices as last looked at, its disk."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from erfnet_jobs.ascend.devices import CPU_SLOT, Device
from workers.metrics.fresh import Fresh
from workers.metrics.of_registry import OWN
from workers.own_devices import OwnDevices
from workers.tally import Tally

PERCENT = 100.0
# name, help, and the value in base units; None: not known.
READINGS: tuple[tuple[str, str, Callable[[Device], float | None]], ...] = (
    ("temperature_celsius", "Temperature of the chip.", lambda device: device.temperature),
    ("power_watts", "Power that the chip takes.", lambda device: device.power),
    ("ai_core_ratio", "Use of the AI cores, from 0 to 1.", lambda device: _ratio(device.ai_core)),
    ("memory_bytes", "Memory that models use (HBM where there is any).", lambda device: device.memory),
    ("memory_used_bytes", "How much of that memory is in use.", lambda device: device.memory_used),
)


def _ratio(percent: float | None) -> float | None:
    return None if percent is None else percent / PERCENT


class OfRounds(Collector):
    """What the rounds have done since the worker started."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        """All families; none has labels but the histogram's bounds."""
        counts = self._tally.counts()
        yield CounterMetricFamily(
            "erfnet_jobs_worker_rounds", f"Rounds that have come to their end. {OWN}", counts.rounds
        )
        text = f"Rounds in which something went wrong, mostly because the registry did not answer. {OWN}"
        yield CounterMetricFamily("erfnet_jobs_worker_rounds_failed", text, counts.failed)
        text = f"Seconds since the last round in which nothing went wrong, or since the start. {OWN}"
        yield GaugeMetricFamily("erfnet_jobs_worker_round_age_seconds", text, counts.succeeded_ago)
        text = f"Duration of the placement passes that this worker has made. {OWN}"
        passes = HistogramMetricFamily("erfnet_jobs_worker_placement_pass_seconds", text)
        passes.add_metric([], counts.passes, counts.pass_seconds)
        yield passes
        text = f"Jobs that this worker's passes have placed, on any host. {OWN}"
        yield CounterMetricFamily("erfnet_jobs_worker_placed_jobs", text, counts.placed)


class OfDevices(Collector):
    """The devices of this host. What the tools do not tell has no series; readings are those of the newest look."""

    def __init__(self, devices: OwnDevices) -> None:
        self._devices = devices

    def collect(self) -> Iterator[Metric]:
        """All families, with a series for each device."""
        text = f"1 for the health that is believed: ok, warning, alarm, critical, unknown, or gone. {OWN}"
        health = GaugeMetricFamily("erfnet_jobs_device_health", text, labels=["device", "health"])
        for number, seen in sorted(self._devices.seen.items()):
            # A CPU slot is not lost where a worker was started with fewer of them.
            if seen.present or seen.device.kind != CPU_SLOT:
                health.add_metric([str(number), seen.device.health if seen.present else "gone"], 1.0)
        yield health
        newest = self._devices.newest
        for name, told, value in READINGS:
            family = GaugeMetricFamily(f"erfnet_jobs_device_{name}", f"{told} {OWN}", labels=["device"])
            for device in newest:
                if (reading := value(device)) is not None:
                    family.add_metric([str(device.id)], reading)
            yield family


class OfDisk(Collector):
    """The file system of the runs, which may hang where it is another machine's."""

    def __init__(self, runs: Path) -> None:
        self._usage = Fresh(lambda: shutil.disk_usage(runs))

    def collect(self) -> Iterator[Metric]:
        """Both families; none while the file system does not answer."""
        usage = self._usage.get()
        if usage is not None:
            text = f"Free space for runs. {OWN}"
            yield GaugeMetricFamily("erfnet_jobs_runs_free_bytes", text, usage.free)
            text = f"Size of the file system of the runs. {OWN}"
            yield GaugeMetricFamily("erfnet_jobs_runs_size_bytes", text, usage.total)
