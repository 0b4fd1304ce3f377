"""The devices of this host, from its tools: a full look, and a short one that repeats. Stdlib only.

A call of npu-smi takes a second or more on a host with many cards, so they are counted:

- `discover`: `npu-smi info`, `-m` and `-t topo`; `-l` where neither of the first two gives any chip; `-t board` for
  each chip whose name is masked, until one is masked there too; `-t health` for each chip that is not in health;
  `-t usages` and `-t common` for each whose rows in the table cannot be read; and two calls of hccn_tool for each chip
  with a network port. A host with 8 healthy cards takes 3 calls of npu-smi and 16 of hccn_tool.
- `look_again`: `npu-smi info`, and `-t health` for each chip whose health has become worse or other than it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from erfnet_jobs.ascend.chips import join_chips, listed_chips, node_devices, with_cores, with_nodes, with_readings
from erfnet_jobs.ascend.devices import HEALTHY, UNKNOWN_HEALTH, Device, HostDevices, ascend_nodes, local_devices
from erfnet_jobs.ascend.generation import generation_of
from erfnet_jobs.ascend.lines import Parsed
from erfnet_jobs.ascend.look import Look
from erfnet_jobs.ascend.network import with_network
from erfnet_jobs.ascend.npu_fields import ChipUse, parse_board, parse_common, parse_health, parse_usages
from erfnet_jobs.ascend.npu_info import NpuInfo, parse_info
from erfnet_jobs.ascend.npu_map import NpuList, NpuMap, parse_list, parse_map
from erfnet_jobs.ascend.npu_topo import parse_topo
from erfnet_jobs.ascend.tools import ToolFailed, npu_smi
from erfnet_jobs.ascend.versions import cann_version, driver_version
from erfnet_jobs.settings import Settings

UNSEEN = (
    "this host may have chips that cannot be seen, so CPU slots do not take their place: mend what is said here, or, "
    "if there are none, start the worker with --devices N"
)


def host_devices(settings: Settings, count: int | None = None) -> HostDevices:
    """What jobs of this host run on: `count` CPU slots where given, else its Ascend chips, else a slot for each core.

    Nothing where there may be chips that cannot be seen: jobs that are meant for them would run on the CPU, and say
    nothing of it. Raises UsageError for a count that cannot be meant.
    """
    if count is not None:
        return HostDevices(local_devices(count))
    found = discover(settings)
    if found.devices:
        return found
    return (
        replace(found, troubles=(*found.troubles, UNSEEN))
        if found.troubles
        else replace(found, devices=local_devices())
    )


def discover(settings: Settings) -> HostDevices:
    """The Ascend chips of this host, by a full look; none where it has neither nodes, driver nor npu-smi.

    Raises nothing for what tools cannot tell: that is None, and told in `troubles`. Chips that only the device nodes
    tell of have health 'unknown'.
    """
    nodes = ascend_nodes(settings.dev_dir)
    driver, cann = driver_version(), cann_version()
    try:
        look = Look(npu_smi(settings))
    except ToolFailed as failure:
        missed = nodes or driver is not None or settings.npu_smi is not None
        return HostDevices(node_devices(nodes), driver, cann, (str(failure),) if missed else ())
    info = look.ask(parse_info, "info") or NpuInfo()
    chips = look.ask(parse_map, "info", "-m") or NpuMap()
    joined = join_chips(info, chips)
    if not joined.devices:
        joined = join_chips(info, listed_chips(look.ask(parse_list, "info", "-l") or NpuList()))
    for trouble in joined.troubles:
        look.note(trouble)
    driver = driver or info.driver
    if not joined.devices:
        if not look.troubles:
            look.note("npu-smi info lists no chip, and says nothing of why; see 'dmesg'")
        return HostDevices(node_devices(nodes), driver, cann, look.troubles)
    devices = _named(with_nodes(joined.devices, nodes), look)
    devices = [_with_use(_with_health(device, look), look) for device in devices]
    devices = list(with_cores(devices, look.ask(parse_topo, "info", "-t", "topo", optional=True) or {}))
    devices, network_troubles = with_network(devices, settings)
    return HostDevices(tuple(devices), driver, cann, (*look.troubles, *network_troubles))


def look_again(settings: Settings, before: HostDevices) -> HostDevices:
    """The devices as they are now: health, readings and processes; what cannot change is kept from `before`.

    A chip that the tool no longer lists is not in the result, and a trouble says so. Where the tool gave no answer, or
    a chip's rows cannot be read, its health is 'unknown' and its readings are None. New chips lead to a full look.
    """
    try:
        look = Look(npu_smi(settings))
    except ToolFailed as failure:
        return replace(before, devices=tuple(map(_unknown, before.devices)), troubles=(str(failure),))
    answer = look.ask_lines(parse_info, "info")
    if answer is None:
        return replace(before, devices=tuple(map(_unknown, before.devices)), troubles=look.troubles)
    rows = {(row.npu_id, row.chip_id): row for row in answer.value.chips}
    if not rows.keys() <= {(device.npu_id, device.chip_id) for device in before.devices}:
        return discover(settings)
    devices: list[Device] = []
    for device in before.devices:
        row = rows.get((device.npu_id or 0, device.chip_id or 0)) if device.npu_id is not None else None
        if row is not None:
            devices.append(_worse(with_readings(device, row, answer.value), device, look))
        elif not answer.value.complete:
            devices.append(_unknown(device))
        else:
            look.note(
                f"device {device.id} (NPU {device.npu_id} chip {device.chip_id}) is lost: npu-smi info no longer lists "
                "it; see 'dmesg', and restart the host when its jobs have ended"
            )
    return replace(before, devices=tuple(devices), troubles=look.troubles)


def _unknown(device: Device) -> Device:
    return replace(
        device,
        health=UNKNOWN_HEALTH,
        error_code=None,
        memory_used=None,
        temperature=None,
        power=None,
        ai_core=None,
        processes=None,
    )


def _worse(now: Device, before: Device, look: Look) -> Device:
    """With the error code, which is asked for only when the health has changed."""
    if now.health == HEALTHY:
        return replace(now, error_code=None)
    return now if now.health == before.health else _with_health(now, look)


def _with_health(device: Device, look: Look) -> Device:
    """With the error code of a chip that is not in health, and its health where the table had none for it."""
    if device.health == HEALTHY:
        return device
    question = ("info", "-t", "health", "-i", str(device.npu_id), "-c", str(device.chip_id))
    answer = look.ask(parse_health, *question, optional=True)
    told = next((chip for chip in answer or () if chip.chip_id in (None, device.chip_id)), None)
    if told is None:
        return device
    return replace(
        device,
        health=told.health if device.health == UNKNOWN_HEALTH else device.health,
        error_code=told.error_code,
    )


def _with_use(device: Device, look: Look) -> Device:
    """With the readings that the card tells by itself, of a chip whose rows in the table are missing or unreadable."""
    if device.memory is not None or device.temperature is not None:
        return device
    questions: tuple[tuple[str, Callable[[str], Parsed[tuple[ChipUse, ...]]]], ...]
    questions = (("usages", parse_usages), ("common", parse_common))
    for kind, parse in questions:
        answer = look.ask(parse, "info", "-t", kind, "-i", str(device.npu_id), optional=True) or ()
        for use in (use for use in answer if use.chip_id == device.chip_id):
            device = replace(
                device,
                memory=use.hbm or use.memory or device.memory,
                temperature=use.temperature if device.temperature is None else device.temperature,
                power=use.power if device.power is None else device.power,
                ai_core=use.ai_core if device.ai_core is None else device.ai_core,
            )
    return device


def _named(devices: Sequence[Device], look: Look) -> list[Device]:
    """With names and generations from the boards where the other answers mask them, until a board masks its too."""
    named = list(devices)
    for place, device in enumerate(named):
        if device.generation is not None:
            continue
        question = ("info", "-t", "board", "-i", str(device.npu_id), "-c", str(device.chip_id))
        boards = look.ask(parse_board, *question, optional=True) or ()
        name = next((name for board in boards if (name := board.text("Chip Name"))), device.name)
        if (generation := generation_of(name)) is None:
            break
        named[place] = replace(device, name=name, generation=generation)
    return named
