"""What is still free while decisions are made, and which waiting jobs keep some of it."""

from collections.abc import Iterable
from dataclasses import dataclass

from erfnet_jobs.placement.model import HostState

# Of the open hosts one in so many is kept at most, beside those of the first job, and for so many jobs at most: the
# others are to be used meanwhile.
KEPT_SHARE = 4
KEPT_JOBS = 16


@dataclass(frozen=True)
class Spot:
    """A place for some devices: a host, and those of its devices among which any will do."""

    host: HostState
    region: frozenset[int]


class Room:
    """The free devices of the open hosts. What is taken or kept is free no more."""

    def __init__(self, hosts: Iterable[HostState]) -> None:
        self.hosts = [host for host in hosts if host.is_open]
        self._free = {host.name: host.free & host.usable for host in self.hosts}
        self._kept: dict[str, dict[frozenset[int], int]] = {}
        self._keepers: set[int] = set()

    def free(self, spot: Spot) -> frozenset[int]:
        """What is free of a spot."""
        return self._free[spot.host.name] & spot.region

    def free_on(self, host: HostState) -> int:
        """How many devices are free on a host, of whatever region."""
        return len(self._free[host.name])

    @property
    def is_used_up(self) -> bool:
        """Whether nothing is free any more."""
        return not any(self._free.values())

    def take(self, spot: Spot, count: int) -> tuple[int, ...]:
        """The lowest `count` free devices of a spot."""
        devices = tuple(sorted(self.free(spot))[:count])
        self._free[spot.host.name] -= frozenset(devices)
        return devices

    def may_keep(self) -> bool:
        """Whether one more job may keep hosts: the first that waits always may."""
        few = len(self._kept) < len(self.hosts) / KEPT_SHARE and len(self._keepers) < KEPT_JOBS
        return not self._keepers or few

    def keep(self, spots: Iterable[Spot], job: int) -> None:
        """Let later jobs have nothing of these spots."""
        self._keepers.add(job)
        for spot in spots:
            self._free[spot.host.name] -= spot.region
            self._kept.setdefault(spot.host.name, {}).setdefault(spot.region, job)

    def keeper(self, spot: Spot) -> int | None:
        """The job that some of a spot is kept for; the first of several."""
        kept = self._kept.get(spot.host.name, {})
        return next((job for region, job in kept.items() if region & spot.region), None)
