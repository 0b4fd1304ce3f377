"""Why jobs wait, in a line for people."""

from collections.abc import Sequence
from dataclasses import replace

from erfnet_jobs.id_ranges import to_ranges
from erfnet_jobs.placement.ever import can_ever_run, holds
from erfnet_jobs.placement.families import GROUPED_FAMILY
from erfnet_jobs.placement.gangs import Spread, free_of
from erfnet_jobs.placement.model import Demand, HostState
from erfnet_jobs.placement.room import Room, Spot

KEPT = "; it has waited long, and what becomes free there is kept for it"
NAMES_TOLD = 3


def one_host(demand: Demand, spot: Spot, room: Room) -> str:
    """It waits for devices of one host."""
    if demand.devices is not None:
        return exact_devices((spot,), room)
    if behind := _behind((spot,), room):
        return behind
    halved = spot.host.family == GROUPED_FAMILY and spot.region != spot.host.usable
    where = f"devices {to_ranges(spot.region)} of {spot.host.name}" if halved else spot.host.name
    within = "one half (0-3 or 4-7) of a host" if halved and demand.cards > 1 else "one host"
    free = f"{len(room.free(spot))} of {len(spot.region)} free on {where}"
    return f"needs {demand.cards} free device{'s' if demand.cards > 1 else ''} on {within}: {free}"


def several_hosts(demand: Demand, spread: Spread, room: Room) -> str:
    """It waits for devices of several hosts."""
    if behind := _behind(spread.spots, room):
        return behind
    names = _listed([spot.host.name for spot in spread.spots])
    each = f", {spread.counts[0]} of each," if spread.spots[0].host.family == GROUPED_FAMILY else ""
    total = sum(spread.counts)
    return f"needs {demand.cards} free devices{each} on {names}: {free_of(spread, room)} of {total} free"


def exact_devices(spots: Sequence[Spot], room: Room) -> str:
    """It waits for these very devices."""
    if behind := _behind(spots, room):
        return behind
    held = [(devices, spot.host.name) for spot in spots if (devices := spot.region - room.free(spot))]
    texts = [f"{to_ranges(devices)} of {name}" for devices, name in held]
    many = sum(len(devices) for devices, _ in held) > 1
    return f"waits for device{'s' if many else ''} {_listed(texts)}: held by other jobs"


def _behind(spots: Sequence[Spot], room: Room) -> str | None:
    for spot in spots:
        if (keeper := room.keeper(spot)) is not None:
            return f"waits for devices of {spot.host.name} behind job {keeper}"
    return None


def closed(demand: Demand, hosts: Sequence[HostState]) -> str:
    """Why the open hosts could not take it even if they were free."""
    if not hosts:
        return "waits for a host: none is registered; start one with 'erfnet-jobs up'"
    if why := can_ever_run(demand, hosts):
        return f"no registered host can run it: {why}"
    healed = [replace(host, usable=host.usable | host.present) for host in hosts]
    if holds(demand, [host for host in healed if host.is_open]):
        return _in_health(demand, hosts)
    return _to_come_back(demand, healed)


def none_open(hosts: Sequence[HostState]) -> str | None:
    """Why no host at all takes jobs now; None where one does, or there are none yet."""
    if not hosts or any(host.is_open for host in hosts):
        return None
    return f"no host takes jobs now: {_listed([f'{host.name} ({host.closed})' for host in hosts])}"


def _in_health(demand: Demand, hosts: Sequence[HostState]) -> str:
    pinned = {part.host: frozenset(part.devices) for part in demand.pinned or ()}
    exactly = None if demand.devices is None else frozenset(demand.devices)
    ill: list[str] = []
    for host in hosts:
        wanted = pinned.get(host.name, frozenset()) if pinned else exactly
        gone = host.present - host.usable if wanted is None else wanted & host.present - host.usable
        if host.is_open and demand.may_go_to(host) and gone:
            ill.append(f"{to_ranges(gone)} of {host.name}")
    return f"waits for devices that get no jobs now, see 'erfnet-jobs hosts': {_listed(ill)}"


def _to_come_back(demand: Demand, hosts: Sequence[HostState]) -> str:
    wanted = {part.host for part in demand.pinned or ()}
    away = [
        host for host in hosts if not host.is_open and demand.may_go_to(host) and (not wanted or host.name in wanted)
    ]
    alone = [host for host in away if holds(demand, [host])] or away
    texts = [f"{host.name} ({host.closed})" for host in alone]
    return f"waits for host{'s' if len(texts) > 1 else ''} {_listed(texts, 'or' if alone != away else 'and')}"


def _listed(texts: Sequence[str], word: str = "and") -> str:
    told = list(texts[:NAMES_TOLD])
    if len(texts) > NAMES_TOLD:
        told.append(f"{len(texts) - NAMES_TOLD} more")
    return f"{', '.join(told[:-1])} {word} {told[-1]}" if len(told) > 1 else "".join(told)
