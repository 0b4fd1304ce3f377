"""Cordons of devices by users: checked first, and told of what is left on them."""

from collections.abc import Callable, Sequence

from sqlalchemy.orm import Session

from erfnet_jobs.errors import NotFound
from erfnet_jobs.registry.devices import set_cordon
from erfnet_jobs.registry.events import Actor
from erfnet_jobs.registry.hosts import DeviceSummary, get_host
from erfnet_jobs.registry.parts import held_parts


def cordon_devices(session: Session, host: str, devices: Sequence[int], reason: str, actor: Actor) -> None:
    """Keep new jobs from devices, instead of whatever cordon they had; raises NotFound, and then none is cordoned."""
    _known(session, host, devices)
    set_cordon(session, host, devices, reason, actor)


def uncordon_devices(
    session: Session, host: str, devices: Sequence[int], actor: Actor, warn: Callable[[str], None]
) -> None:
    """Lift any cordon; raises NotFound, and then none is lifted. What no cordon keeps from jobs is told of."""
    known = _known(session, host, devices)
    set_cordon(session, host, devices, None, actor)
    for part in held_parts(session, host):
        left = sorted(set(part.devices) & set(devices))
        if part.ended and left:
            warn(
                f"devices {', '.join(map(str, left))} of {host}: job {part.key.job} has ended, and processes of it are "
                "still there: no job gets them, and they are cordoned again, until these have ended"
            )
    for device in known:
        if device.busy:
            warn(f"device {device.id} of {host} is busy with {device.busy}: no job gets it until that has ended")
        if not device.present or not device.fit:
            state = device.health if device.present else "gone"
            warn(f"device {device.id} of {host} is {state}: no job gets it until that is mended")


def _known(session: Session, host: str, devices: Sequence[int]) -> list[DeviceSummary]:
    found = {device.id: device for device in get_host(session, host).devices}
    unknown = [number for number in devices if number not in found]
    if unknown:
        there = ", ".join(map(str, found)) or "none"
        raise NotFound(f"host {host!r} has no device {', '.join(map(str, unknown))}: it has {there}")
    return [found[number] for number in devices]
