"""On which device of this host a 310-infer in the foreground runs. Stdlib only."""

from erfnet_jobs.ascend.devices import ASCEND_CHIP, HEALTHY, Device, local_devices
from erfnet_jobs.ascend.generation import INFERENCE_ONLY
from erfnet_jobs.ascend.health import WARNING
from erfnet_jobs.errors import NoHostFits
from erfnet_jobs.launch.ranks import Ranks, ranks_on, visible_devices
from erfnet_jobs.lite.infer import CPU_DEVICE
from erfnet_jobs.settings import Settings


def rank_310(device: str | None, settings: Settings) -> Ranks:
    """One rank on `device` ('cpu', or 'ascend:ID' with the logical id, of whichever generation it is).

    None is the first 310 or 310P that is in health and idle, or the CPU where this host has no Ascend chips. Raises
    NoHostFits where there is no such device, all those chips are busy or ill, or the host's tools do not tell what its
    chips are: the CPU would take many times as long.
    """
    if device == CPU_DEVICE:
        return ranks_on(local_devices(1), settings)
    host = visible_devices(settings)
    chips = [found for found in host.devices if found.kind == ASCEND_CHIP]
    if device is not None:
        return ranks_on([_named(int(device.partition(":")[2]), chips)], settings)
    own = [chip for chip in chips if chip.generation in INFERENCE_ONLY]
    if not own and host.troubles and any(chip.generation is None for chip in chips):
        told = "; ".join(host.troubles)
        raise NoHostFits(f"this host has chips, and what they are cannot be seen ({told}): mend that, or give cpu")
    return ranks_on([_idle(own, settings)] if own else local_devices(1), settings)


def _named(number: int, chips: list[Device]) -> Device:
    found = next((chip for chip in chips if chip.id == number), None)
    if found is None:
        has = f"it has {', '.join(str(chip.id) for chip in chips)}" if chips else "it has no Ascend chips; give cpu"
        raise NoHostFits(f"this host has no Ascend chip {number}: {has}")
    return found


def _idle(chips: list[Device], settings: Settings) -> Device:
    fit = {HEALTHY, WARNING} if settings.warning_runs else {HEALTHY}
    found = next((chip for chip in chips if chip.health in fit and not chip.processes), None)
    if found is None:
        raise NoHostFits(
            f"none of the {len(chips)} chips for inference is in health and idle: see 'erfnet-jobs devices', wait, or "
            "name one with --device ascend:N, or --device cpu"
        )
    return found
