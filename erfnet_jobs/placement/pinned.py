"""Demands for exactly these devices of exactly these hosts."""

from collections.abc import Iterable

from erfnet_jobs.placement.model import Demand, HostState
from erfnet_jobs.placement.room import Spot


def pinned_spots(demand: Demand, hosts: Iterable[HostState]) -> tuple[Spot, ...] | None:
    """The spots of a pinned demand, by rank; None where these hosts do not have them for it."""
    by_name = {host.name: host for host in hosts}
    spots = []
    for part in demand.pinned or ():
        host, devices = by_name.get(part.host), frozenset(part.devices)
        if host is None or not demand.may_go_to(host):
            return None
        if not devices <= host.usable or not host.allows(devices):
            return None
        spots.append(Spot(host, devices))
    return tuple(spots) if len({spot.host.group for spot in spots}) == 1 else None
