"""Chips as devices: the rows of `npu-smi info` joined with the ids of `npu-smi info -m`. Pure; stdlib only."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from erfnet_jobs.ascend.devices import ASCEND_CHIP, UNKNOWN_HEALTH, Device
from erfnet_jobs.ascend.generation import generation_of
from erfnet_jobs.ascend.npu_info import ChipRow, Key, NpuInfo
from erfnet_jobs.ascend.npu_map import MappedChip, NpuList, NpuMap

NAMELESS = "Ascend"


@dataclass(frozen=True)
class Joined:
    """The devices by logic id, and what did not fit together."""

    devices: tuple[Device, ...]
    troubles: tuple[str, ...] = ()


def join_chips(info: NpuInfo, chips: NpuMap) -> Joined:
    """The devices of both answers, either of which may be empty.

    The logic id is that of -m, which MindSpore goes by too. Without -m it is the column Device where the table has it,
    else the chip's place in the table, as the driver counts the chips it lists.
    """
    rows = {(row.npu_id, row.chip_id): row for row in info.chips}
    mapped = {(chip.npu_id, chip.chip_id): chip for chip in chips.chips}
    devices: dict[int, Device] = {}
    troubles: list[str] = []
    physical_ids = info.physical_ids or chips.physical_ids
    for key in sorted(rows.keys() | mapped.keys()):
        row, chip = rows.get(key), mapped.get(key)
        where = f"NPU {key[0]} chip {key[1]}"
        number = _logic_id(row, chip, mapped)
        if number is None or number in devices:
            troubles.append(
                f"{where} is left out: no tool tells its logic id" if number is None else _twice(where, number)
            )
            continue
        if row is not None and row.device not in (None, number):
            troubles.append(f"{where} is device {number} by -m and {row.device} in the table; -m counts")
        if row is None and rows:
            troubles.append(f"device {number} ({where}): its rows in npu-smi info are missing or cannot be read")
        devices[number] = _device(number, key, row, chip, info, physical_ids)
    return Joined(tuple(devices[number] for number in sorted(devices)), tuple(troubles))


def listed_chips(cards: NpuList) -> NpuMap:
    """The chips of `npu-smi info -l` in its order, which is the driver's; none where a card's chips are not counted."""
    keys = [(npu, chip) for npu, count in cards.chips for chip in range(count or 0)]
    if cards.count != len(cards.chips) or None in dict(cards.chips).values():
        return NpuMap()
    return NpuMap(tuple(MappedChip(npu, chip, NAMELESS, number, None) for number, (npu, chip) in enumerate(keys)))


def _twice(where: str, number: int) -> str:
    return f"{where} is left out: logic id {number} is told for two chips"


def _logic_id(row: ChipRow | None, chip: MappedChip | None, mapped: Mapping[Key, MappedChip]) -> int | None:
    if chip is not None and chip.logic_id is not None:
        return chip.logic_id
    if row is None or any(other.logic_id is not None for other in mapped.values()):
        return None
    return row.position if row.device is None else row.device


def _device(
    number: int, key: Key, row: ChipRow | None, chip: MappedChip | None, info: NpuInfo, physical_ids: bool
) -> Device:
    names = [one.name for one in (row, chip) if one is not None]
    generations = [generation for name in names if (generation := generation_of(name, physical_ids))]
    known = [name for name in names if generation_of(name, physical_ids)]
    physical = [id_ for id_ in (row.physical if row else None, chip.physical_id if chip else None) if id_ is not None]
    device = Device(
        id=number,
        kind=ASCEND_CHIP,
        name=(known or names)[0],
        health=UNKNOWN_HEALTH,
        generation=generations[0] if len(set(generations)) == 1 else None,
        npu_id=key[0],
        chip_id=key[1],
        physical_id=physical[0] if len(set(physical)) == 1 else None,
    )
    return device if row is None else with_readings(device, row, info)


def with_readings(device: Device, row: ChipRow, info: NpuInfo) -> Device:
    """The device with what its rows tell, and its processes."""
    used, total = next((pair for pair in (row.hbm, row.memory) if pair is not None and pair[1] > 0), (None, None))
    return replace(
        device,
        health=row.health,
        memory=total,
        memory_used=used,
        temperature=row.temperature,
        power=row.power,
        ai_core=row.ai_core,
        processes=info.processes.get((row.npu_id, row.chip_id)),
    )


def with_nodes(devices: Sequence[Device], nodes: Sequence[int]) -> tuple[Device, ...]:
    """The devices with physical ids from the nodes davinciN, where each has one.

    The driver counts the chips that it shows in the order of their physical ids, so the lowest node is the lowest
    device's, as long as there are as many of them.
    """
    if len(nodes) != len(devices):
        return tuple(devices)
    pairs = zip(sorted(devices, key=lambda device: device.id), sorted(nodes), strict=True)
    return tuple(
        device if device.physical_id is not None else replace(device, physical_id=node) for device, node in pairs
    )


def node_devices(nodes: Collection[int]) -> tuple[Device, ...]:
    """What the nodes alone tell: that there are chips."""
    return tuple(
        Device(number, ASCEND_CHIP, f"davinci{node}", health=UNKNOWN_HEALTH, physical_id=node)
        for number, node in enumerate(sorted(nodes))
    )


def with_cores(devices: Sequence[Device], cores: Mapping[str, str]) -> tuple[Device, ...]:
    """The devices with the cores near them.

    The tool's Phy-IDn is the physical id; n of its NPUn is the logic id where it counts all, else the NPU id.
    """
    by_physical = any(name.startswith("Phy-ID") for name in cores)
    by_logic = set(cores) == {f"NPU{device.id}" for device in devices}
    npus = [device.npu_id for device in devices]
    if not by_physical and not by_logic and len(set(npus)) != len(npus):
        return tuple(devices)

    def name(device: Device) -> str:
        if by_physical:
            return f"Phy-ID{device.physical_id}"
        return f"NPU{device.id if by_logic or device.npu_id is None else device.npu_id}"

    return tuple(replace(device, cores=cores.get(name(device))) for device in devices)
