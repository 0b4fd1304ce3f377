"""Gangs over several hosts: which hosts hold one now, and which it had best wait for."""

from collections.abc import Iterable
from dataclasses import dataclass

from erfnet_jobs.placement.families import CPU_FAMILY, GROUP_COUNTS, GROUPED_FAMILY
from erfnet_jobs.placement.model import Demand, HostState
from erfnet_jobs.placement.room import Room, Spot

Group = list[HostState]


@dataclass(frozen=True)
class Spread:
    """Hosts for a gang, and how many devices of each; of a spread to wait for the counts are what it needs there."""

    spots: tuple[Spot, ...]
    counts: tuple[int, ...]


def groups(demand: Demand, hosts: Iterable[HostState]) -> list[Group]:
    """The hosts of each storage and family that hold the demand together, all of them free."""
    if demand.host is not None or demand.devices is not None:
        return []
    found: dict[tuple[str, str], Group] = {}
    for host in hosts:
        if demand.may_go_to(host):
            found.setdefault(host.group, []).append(host)
    return [group for _, group in sorted(found.items()) if _even_counts(demand, group) or _holds(demand, group)]


def _holds(demand: Demand, group: Group) -> bool:
    return group[0].family != GROUPED_FAMILY and sum(len(host.usable) for host in group) >= demand.cards


def _even_counts(demand: Demand, group: Group) -> list[int]:
    """How many devices each host of a grouped family may give, most first: each gives as many as the others."""
    if group[0].family != GROUPED_FAMILY:
        return []
    return [
        count
        for count in GROUP_COUNTS
        if demand.cards % count == 0
        and demand.cards > count
        and sum(bool(demand.regions(host, count)) for host in group) >= demand.cards // count
    ]


def spread_now(demand: Demand, found: Iterable[Group], room: Room) -> Spread | None:
    """The best spread that is free now: Ascend before CPU, then the fewest hosts, then the least left over."""
    spreads = [spread for group in found if (spread := _now(demand, group, room))]
    return min(spreads, key=lambda spread: _cost(spread, room), default=None)


def _cost(spread: Spread, room: Room) -> tuple[object, ...]:
    hosts = [spot.host for spot in spread.spots]
    left = sum(room.free_on(host) for host in hosts) - sum(spread.counts)
    return hosts[0].family == CPU_FAMILY, len(hosts), left, [host.name for host in hosts]


def _now(demand: Demand, group: Group, room: Room) -> Spread | None:
    if group[0].family != GROUPED_FAMILY:
        return _uneven_now(demand, group, room)
    for count in _even_counts(demand, group):
        if spread := _even_now(demand, group, count, room):
            return spread
    return None


def _even_now(demand: Demand, group: Group, count: int, room: Room) -> Spread | None:
    """As many of each host, from the smallest holes."""
    holes = [hole for host in group if (hole := _smallest_hole(demand, host, count, room))]
    holes.sort(key=lambda spot: (len(room.free(spot)), room.free_on(spot.host), spot.host.name))
    needed = demand.cards // count
    return Spread(tuple(holes[:needed]), (count,) * needed) if len(holes) >= needed else None


def _smallest_hole(demand: Demand, host: HostState, count: int, room: Room) -> Spot | None:
    spots = [Spot(host, region) for region in demand.regions(host, count)]
    fitting = [spot for spot in spots if len(room.free(spot)) >= count]
    return min(fitting, key=lambda spot: len(room.free(spot)), default=None)


def _uneven_now(demand: Demand, group: Group, room: Room) -> Spread | None:
    """All of the emptiest hosts, and the rest from the smallest hole that holds it."""
    left = sorted(group, key=lambda host: (-room.free_on(host), host.name))
    if sum(map(room.free_on, left)) < demand.cards:
        return None
    spots: list[Spot] = []
    counts: list[int] = []
    missing = demand.cards
    while missing:
        fitting = [host for host in left if room.free_on(host) >= missing]
        host = min(fitting, key=lambda host: (room.free_on(host), host.name)) if fitting else left[0]
        left.remove(host)
        spots.append(Spot(host, host.usable))
        counts.append(min(missing, room.free_on(host)))
        missing -= counts[-1]
    return Spread(tuple(spots), tuple(counts))


def spread_to_wait_for(demand: Demand, found: Iterable[Group], room: Room) -> Spread:
    """The spread of the fewest hosts of which the most is free already, Ascend before CPU.

    Which hosts come into question does not depend on what is free: so what is kept of them only grows, until it is
    enough.
    """

    def cost(spread: Spread) -> tuple[object, ...]:
        missing = demand.cards - free_of(spread, room)
        return spread.spots[0].host.family == CPU_FAMILY, missing, [spot.host.name for spot in spread.spots]

    return min((_awaited(demand, group, room) for group in found), key=cost)


def free_of(spread: Spread, room: Room) -> int:
    """How many of the devices that a gang needs of its hosts are free."""
    return sum(min(len(room.free(spot)), count) for spot, count in zip(spread.spots, spread.counts, strict=True))


def _awaited(demand: Demand, group: Group, room: Room) -> Spread:
    if even := _even_counts(demand, group):
        each, needed = even[0], demand.cards // even[0]
        spots = [_fullest(demand, host, each, room) for host in group if demand.regions(host, each)]
        spots.sort(key=lambda spot: (-min(len(room.free(spot)), each), spot.host.name))
        return Spread(tuple(spots[:needed]), (each,) * needed)
    sizes = sorted((len(host.usable) for host in group), reverse=True)
    needed = next((rank for rank, size in enumerate(sizes, 1) if size * rank >= demand.cards), len(group))
    least = demand.cards / needed
    able = [host for host in group if len(host.usable) >= least] if sizes[needed - 1] >= least else group
    able = sorted(able, key=lambda host: (-room.free_on(host), host.name))[:needed]
    return Spread(tuple(Spot(host, host.usable) for host in able), tuple(len(host.usable) for host in able))


def _fullest(demand: Demand, host: HostState, count: int, room: Room) -> Spot:
    spots = [Spot(host, region) for region in demand.regions(host, count)]
    return max(spots, key=lambda spot: len(room.free(spot)))
