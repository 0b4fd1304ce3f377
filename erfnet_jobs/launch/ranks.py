"""Ranks on devices, with the rank table that they get; and those of work in the foreground. Stdlib only."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from erfnet_jobs.ascend.devices import ASCEND_CHIP, HEALTHY, Device, HostDevices
from erfnet_jobs.ascend.discover import host_devices
from erfnet_jobs.ascend.group_rule import GROUP, group_fault
from erfnet_jobs.ascend.health import WARNING
from erfnet_jobs.ascend.rank_table import to_text
from erfnet_jobs.ascend.rank_table_make import in_order, known_devices, make_table
from erfnet_jobs.errors import NoHostFits, UsageError
from erfnet_jobs.launch.gang import LOOPBACK
from erfnet_jobs.plan import ASCEND, CPU, RankPlace
from erfnet_jobs.settings import Settings


@dataclass(frozen=True)
class Ranks:
    """The places of an attempt's ranks by rank, and the text of the rank table they get.

    `target` is what MindSpore calls their devices. `note` says which table it is, or why there is none; None where
    nobody expects one.
    """

    places: tuple[RankPlace, ...]
    target: str
    table: str | None = None
    note: str | None = None


def local_ranks(cards: int, devices: tuple[int, ...] | None, settings: Settings) -> Ranks:
    """`cards` ranks on these devices of this host, or on its first ones that are in health and idle.

    Raises NoHostFits where it has none such, and UsageError for devices that are not `cards` different ones.
    """
    found = visible_devices(settings).devices
    fit = {HEALTHY, WARNING} if settings.warning_runs else {HEALTHY}
    return ranks_on(_named(cards, devices, found) if devices is not None else _idle(cards, found, fit), settings)


def visible_devices(settings: Settings) -> HostDevices:
    """The devices of this host. Raises NoHostFits where it may have chips that cannot be seen."""
    found = host_devices(settings)
    if not found.devices:
        raise NoHostFits(f"no device of this host can be seen: {'; '.join(found.troubles)}")
    return found


def ranks_on(chosen: Sequence[Device], settings: Settings) -> Ranks:
    """Ranks on devices of this host in ascending order."""
    places = tuple(
        RankPlace(rank, settings.host_name, device.id, rank, device.cores) for rank, device in enumerate(chosen)
    )
    if chosen[0].kind != ASCEND_CHIP:
        return Ranks(places, CPU)
    if len(chosen) == 1:
        return Ranks(places, ASCEND)
    try:
        table = make_table([in_order(settings.host_address, LOOPBACK, known_devices(chosen))])
    except UsageError as error:
        return Ranks(places, ASCEND, note=without_note(error))
    return Ranks(places, ASCEND, to_text(table), "a rank table of 1 server")


def without_note(error: UsageError) -> str:
    """What is told where no table can be made: MindSpore's dynamic cluster needs none."""
    return f"without a rank table, as none can be made: {error}"


def _idle(cards: int, devices: Sequence[Device], fit: Collection[str]) -> tuple[Device, ...]:
    idle = [device for device in devices if device.health in fit and not device.processes]
    if cards > len(idle):
        some = f", {len(idle)} of them in health and idle" if len(idle) < len(devices) else ""
        raise NoHostFits(f"{cards} cards are asked for and this host has {len(devices)} devices{some}: ask for fewer")
    groups = ([device for device in idle if device.node // GROUP == half] for half in (0, 1))
    choices = [tuple(choice[:cards]) for choice in (idle, *groups) if len(choice) >= cards]
    faults = [_group_fault(choice) for choice in choices]
    if None not in faults:
        raise NoHostFits(f"{cards} cards are asked for: {faults[-1]}; ask for others, or wait until they are idle")
    return choices[faults.index(None)]


def _group_fault(devices: Sequence[Device]) -> str | None:
    return group_fault(devices[0].generation or "", [device.node for device in devices])


def _named(cards: int, wanted: Sequence[int], devices: Sequence[Device]) -> tuple[Device, ...]:
    known = {device.id: device for device in devices}
    if unknown := sorted(set(wanted) - set(known)):
        raise NoHostFits(f"this host has no device {', '.join(map(str, unknown))}: it has {min(known)}-{max(known)}")
    if len(set(wanted)) != cards or len(wanted) != cards:
        raise UsageError(f"devices are {wanted}: give {cards} different ones, as many as cards")
    # Ascending, as ASCEND_RT_VISIBLE_DEVICES numbers them.
    chosen = tuple(known[number] for number in sorted(wanted))
    if fault := _group_fault(chosen):
        raise NoHostFits(f"{fault}: name others")
    return chosen
