"""Which job gets which devices: a pure decision. Stdlib only.

Jobs are served by priority, then by age. A job gets all its devices or none: on the one host that it fills best, or on
several hosts of one storage where no open host alone could ever hold it. A job that must wait keeps what is free on
the hosts it waits for: later jobs get nothing there that it could use, so a wide job is not starved by narrow ones.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from erfnet_jobs.jobs import Part

CPU_FAMILY = "cpu"


@dataclass(frozen=True)
class HostState:
    """A host as placement sees it.

    `storage` tells which run directory it sees. `usable` are its devices in health, `free` those of them that no
    attempt holds. `is_open`: it has a live worker and is not drained. `family` is what its devices are: 'cpu', or an
    Ascend generation.
    """

    name: str
    storage: str
    usable: frozenset[int]
    free: frozenset[int]
    is_open: bool = True
    family: str = CPU_FAMILY


@dataclass(frozen=True)
class Demand:
    """What a queued job needs.

    `host` and `devices`: these and no others. `storages`: what it reads lies there, so its hosts must see them.
    `pinned`: exactly these devices of these hosts, with ranks in this order. `families`: those it can run on (None:
    all); a gang has one family. `waited` is for how many seconds it could have been placed.
    """

    job: int
    cards: int
    priority: int = 0
    host: str | None = None
    devices: tuple[int, ...] | None = None
    storages: frozenset[str] = frozenset()
    pinned: tuple[Part, ...] | None = None
    families: frozenset[str] | None = None
    waited: float = 0.0


@dataclass(frozen=True)
class Decision:
    """Where a job goes now; no parts: it waits, for `reason`.

    `crowded`: the open hosts have what it needs, and other jobs hold it.
    """

    job: int
    parts: tuple[Part, ...]
    reason: str
    crowded: bool = False


class _Room:
    """What is still free while a pass goes on, and which waiting job keeps a host's rest."""

    def __init__(self, hosts: Iterable[HostState]) -> None:
        self.free = {host.name: set(host.free & host.usable) for host in hosts if host.is_open}
        self.kept_by: dict[str, int] = {}

    def for_demand(self, host: HostState, demand: Demand) -> set[int]:
        """The free devices of an open host that the demand may use."""
        free = self.free[host.name]
        return free if demand.devices is None else free & set(demand.devices)

    def take(self, host: HostState, demand: Demand, count: int, first_rank: int) -> Part:
        devices = tuple(sorted(self.for_demand(host, demand))[:count])
        self.free[host.name].difference_update(devices)
        return Part(host.name, devices, first_rank)

    def keep(self, host: HostState, demand: Demand) -> None:
        self.free[host.name] -= self.for_demand(host, demand)
        self.kept_by.setdefault(host.name, demand.job)


def place(demands: Iterable[Demand], hosts: Sequence[HostState]) -> list[Decision]:
    """A decision for every demand, in the order in which they were served."""
    room = _Room(hosts)
    served = sorted(demands, key=lambda demand: (-demand.priority, demand.job))
    return [_decide(demand, hosts, room) for demand in served]


def can_ever_run(demand: Demand, hosts: Sequence[HostState]) -> str | None:
    """Why the registered hosts, all free, can never run this; None where they can, or where there are none yet.

    Drained hosts and those whose worker is away count: they may come back.
    """
    if not hosts:
        return None
    known = ", ".join(f"{host.name} ({len(host.usable)})" for host in sorted(hosts, key=lambda host: host.name))
    if demand.host is not None and demand.host not in {host.name for host in hosts}:
        return f"host {demand.host!r} is not registered; the hosts (and their devices) are {known}"
    fitting = [host for host in hosts if _may_go_to(host, demand)]
    if demand.devices is not None and not fitting:
        wanted = ",".join(map(str, demand.devices))
        return f"no host has the devices {wanted} that it wants: the hosts (and their devices) are {known}"
    if _single(demand, fitting) or _groups(demand, fitting):
        return None
    if demand.host is not None:
        return f"it wants {demand.cards} devices of {demand.host}, which has {len(fitting[0].usable) if fitting else 0}"
    return f"it wants {demand.cards} devices: the hosts (and their devices) are {known}"


def _may_go_to(host: HostState, demand: Demand) -> bool:
    """Whether the demand allows this host at all, however many of its devices are free."""
    return (
        demand.host in (None, host.name)
        and demand.storages <= {host.storage}
        and (demand.devices is None or host.usable >= set(demand.devices))
    )


def _single(demand: Demand, hosts: Iterable[HostState]) -> list[HostState]:
    return [host for host in hosts if len(host.usable) >= demand.cards]


def _groups(demand: Demand, hosts: Iterable[HostState]) -> list[list[HostState]]:
    """The hosts of each storage, where they have enough devices together."""
    if demand.host is not None or demand.devices is not None:
        return []
    by_storage: dict[str, list[HostState]] = {}
    for host in hosts:
        by_storage.setdefault(host.storage, []).append(host)
    return [group for group in by_storage.values() if sum(len(host.usable) for host in group) >= demand.cards]


def _decide(demand: Demand, hosts: Sequence[HostState], room: _Room) -> Decision:
    fitting = [host for host in hosts if host.is_open and _may_go_to(host, demand)]
    if single := _single(demand, fitting):
        return _on_one(demand, single, room)
    if groups := _groups(demand, fitting):
        return _on_several(demand, groups, room)
    return Decision(demand.job, (), _closed(demand, hosts))


def _on_one(demand: Demand, hosts: list[HostState], room: _Room) -> Decision:
    now = [host for host in hosts if len(room.for_demand(host, demand)) >= demand.cards]
    if now:
        best = min(now, key=lambda host: (len(room.free[host.name]), host.name))
        return _placed(demand, (room.take(best, demand, demand.cards, 0),))
    # Where most is free already, a job waits shortest.
    awaited = min(hosts, key=lambda host: (-len(room.for_demand(host, demand)), host.name))
    reason = _short_of(demand, awaited, room)
    room.keep(awaited, demand)
    return Decision(demand.job, (), reason, crowded=True)


def _on_several(demand: Demand, groups: list[list[HostState]], room: _Room) -> Decision:
    def free(host: HostState) -> int:
        return len(room.for_demand(host, demand))

    group = max(groups, key=lambda group: (sum(map(free, group)), -len(group)))
    ordered = sorted(group, key=lambda host: (-free(host), -len(host.usable), host.name))
    total = sum(map(free, ordered))
    if total >= demand.cards:
        parts: list[Part] = []
        missing = demand.cards
        for host in ordered:
            if count := min(missing, free(host)):
                parts.append(room.take(host, demand, count, demand.cards - missing))
                missing -= count
        return _placed(demand, tuple(parts))
    usable = sum(len(host.usable) for host in ordered)
    for host in ordered:
        room.keep(host, demand)
    names = ", ".join(sorted(host.name for host in ordered))
    reason = f"needs {demand.cards} free devices on {names}: {total} of {usable} free"
    return Decision(demand.job, (), reason, crowded=True)


def _placed(demand: Demand, parts: tuple[Part, ...]) -> Decision:
    return Decision(demand.job, parts, f"assigned to {', '.join(part.host for part in parts)}")


def _short_of(demand: Demand, host: HostState, room: _Room) -> str:
    if (keeper := room.kept_by.get(host.name)) is not None:
        return f"waits for devices of {host.name} behind job {keeper}"
    if demand.devices is not None:
        busy = sorted(set(demand.devices) - room.free[host.name])
        return f"waits for device {', '.join(map(str, busy))} of {host.name}, which another job holds"
    free = f"{len(room.free[host.name])} of {len(host.usable)} free on {host.name}"
    many = "devices" if demand.cards > 1 else "device"
    return f"needs {demand.cards} free {many} on one host: {free}"


def _closed(demand: Demand, hosts: Sequence[HostState]) -> str:
    """Why no open host could take it even if all were free."""
    if not any(host.is_open for host in hosts):
        return "waits for a host: no worker is up and undrained; start one with 'erfnet-jobs worker'"
    if demand.host is not None and not any(host.is_open and host.name == demand.host for host in hosts):
        return f"waits for host {demand.host}: its worker is not up, or it is drained"
    if demand.storages and not any(host.is_open and demand.storages <= {host.storage} for host in hosts):
        return "waits for a host that sees the files it needs: none of those is up and undrained"
    wanted = f"devices {','.join(map(str, demand.devices))}" if demand.devices else f"{demand.cards} devices"
    return f"waits for {wanted}: the hosts that are up and undrained have too few in health"
