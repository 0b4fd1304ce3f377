"""The table of `npu-smi info`: chips in two rows each, then processes. Pure and total; stdlib only.

A chip is reported only where both of its rows stand together under known headings, between rules, with a value of the
heading's kind in every cell. Rows out of order say that lines are lost or moved: then no chip of the table is trusted.
What no parser can see are rows lost or exchanged just so that the first row of one card stands before the second of
another, in a table without logic and physical ids or processes to compare with.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from erfnet_jobs.ascend.devices import DeviceProcess
from erfnet_jobs.ascend.lines import Line, Parsed, decimal, whole
from erfnet_jobs.ascend.npu_table import Item, Table, read_table

MEGABYTE = 2**20  # what npu-smi calls MB: it divides bytes by 1024 twice
# Damaged blocks that are one chip's all the same.
ONE_CHIP = {"F", "S", "F?", "?S"}
Key = tuple[int, int]


@dataclass(frozen=True)
class ChipRow:
    """A chip as the table has it; None where the tool says NA or has no such column.

    `position` counts the table's chips from 0, unreadable ones too; None after lines that may be any number of chips.
    `memory` and `hbm` are (used, total) in bytes.
    `device` is the column Device (the logic id, 310 and 310P only), `physical` the column Phy-ID (910C only).
    """

    npu_id: int
    chip_id: int
    position: int | None
    name: str
    health: str
    power: float | None
    temperature: float | None
    ai_core: float | None
    memory: tuple[int, int] | None
    hbm: tuple[int, int] | None
    bus: str | None
    device: int | None
    physical: int | None


@dataclass(frozen=True)
class NpuInfo:
    """The table. `processes` has a chip only where the table tells of it: an empty tuple is 'none runs'.

    `complete`: nothing of the chips' part is missing or unread, so a chip that is not in it is not there.
    """

    tool: str | None = None
    driver: str | None = None
    chips: tuple[ChipRow, ...] = ()
    processes: Mapping[Key, tuple[DeviceProcess, ...]] = field(default_factory=dict)
    physical_ids: bool = False
    complete: bool = False


@dataclass
class _Pairs:
    """The chips of the well-formed blocks; the lines of all others, and how many chips these hide the NPU id of."""

    chips: list[ChipRow] = field(default_factory=list)
    broken: list[Line] = field(default_factory=list)
    nameless: int = 0
    disordered: bool = False
    position: int | None = 0

    def take(self, block: list[Item]) -> None:
        """Read the table's next block."""
        kinds = "".join(item.kind for item in block)
        self.disordered |= re.search("FF|SS|^SF", kinds) is not None
        self.disordered |= len(kinds) > 2 and len(kinds) % 2 == 1 and "?" not in kinds
        for start in range(0, len(block), 2):
            pair = block[start : start + 2]
            if len(block) % 2 == 0 and kinds[start : start + 2] == "FS":
                self.chips.append(_chip(pair[0].values, pair[1].values, self.position))
                self._count(sure=True)
            else:
                self.broken += [item.line for item in pair]
                self.nameless += all(item.kind != "F" for item in pair)
                self._count(sure=kinds in ONE_CHIP)

    def _count(self, *, sure: bool) -> None:
        self.position = self.position + 1 if sure and self.position is not None else None


def parse_info(text: str) -> Parsed[NpuInfo]:
    """What `npu-smi info` printed, in any of its layouts; what is no such table has no chips, and all lines unread."""
    table = read_table(text)
    pairs = _Pairs()
    for block in table.blocks:
        pairs.take(block)
    chips, broken = pairs.chips, pairs.broken
    if table.disordered or pairs.disordered or _moved(chips):
        chips, broken = [], [item.line for item in table.items()]
    else:
        chips, doubted = _without_doubtful(_without_doubles(chips), table, pairs.nameless)
        broken += doubted
    info = NpuInfo(
        tool=table.title.get("tool"),
        driver=table.title.get("driver") or None,
        chips=tuple(chips),
        processes=_processes(chips, table),
        physical_ids=table.second is not None and "physical" in table.second.columns,
        complete=bool(table.title) and table.second is not None and not table.blocks[-1] and not broken,
    )
    return Parsed(info, tuple(sorted({*table.unread, *broken}, key=lambda line: line.number)))


def _moved(chips: list[ChipRow]) -> bool:
    """Whether the chips are not in the order in which the tool counts them: by card, chip, logic and physical id."""
    counted = (
        [(chip.npu_id, chip.chip_id) for chip in chips],
        [(chip.device,) for chip in chips if chip.device is not None],
    )
    physical = [chip.physical for chip in chips if chip.physical is not None]
    return physical != sorted(physical) or any(one >= other for ids in counted for one, other in pairwise(ids))


def _without_doubles(chips: list[ChipRow]) -> list[ChipRow]:
    """A physical id that the table has twice, as masked ones of manuals, is none."""
    times = Counter(chip.physical for chip in chips)
    return [chip if times[chip.physical] == 1 else replace(chip, physical=None) for chip in chips]


def _without_doubtful(chips: list[ChipRow], table: Table, nameless: int) -> tuple[list[ChipRow], list[Line]]:
    """Without chips whose rows may be of two cards, where the processes tell of cards that the table has not.

    Those are the chips before such a card, and chips of cards of which the processes do not tell.
    """
    shown = {int(item.values["npu"]) for item in table.items() if item.kind == "F"}
    told = table.told_cards()
    lost = set(told) - shown
    if len(lost) <= nameless:
        return chips, []
    last = {max((npu for npu in shown if npu < missing), default=-1) for missing in lost}
    doubted = {
        chip
        for chip in chips
        if chip.npu_id not in told or (chip.npu_id in last and chip == _last_of(chips, chip.npu_id))
    }
    lines = [item.line for block in table.blocks for item in block if _belongs(block, doubted)]
    return [chip for chip in chips if chip not in doubted], lines


def _last_of(chips: list[ChipRow], npu: int) -> ChipRow:
    return max((chip for chip in chips if chip.npu_id == npu), key=lambda chip: chip.chip_id)


def _belongs(block: list[Item], doubted: set[ChipRow]) -> bool:
    return any(item.kind == "F" and int(item.values["npu"]) in {chip.npu_id for chip in doubted} for item in block)


def _chip(first: Mapping[str, str], second: Mapping[str, str], position: int | None) -> ChipRow:
    return ChipRow(
        npu_id=int(first["npu"]),
        chip_id=int(second.get("chip", 0)),
        position=position,
        name=first["name"],
        health=health_of(first["health"]),
        power=decimal(first.get("power")),
        temperature=decimal(first.get("temperature")),
        ai_core=decimal(second.get("ai_core")),
        memory=_memory(second, "memory"),
        hbm=_memory(second, "hbm"),
        bus=second["bus"] if ":" in second["bus"] else None,
        device=whole(second.get("device")),
        physical=whole(second.get("physical")),
    )


def health_of(word: str) -> str:
    """The tool's word as ours; what it cannot tell (NA) is 'unknown'."""
    return word.lower() if word in {"OK", "Warning", "Alarm", "Critical"} else "unknown"


def _memory(values: Mapping[str, str], column: str) -> tuple[int, int] | None:
    used, total = whole(values.get(f"{column}_used")), whole(values.get(f"{column}_total"))
    return None if used is None or total is None else (used * MEGABYTE, total * MEGABYTE)


def _processes(chips: list[ChipRow], table: Table) -> dict[Key, tuple[DeviceProcess, ...]]:
    """The processes of the chips of which the table tells. A row that cannot be read may be of any chip."""
    found: dict[Key, list[DeviceProcess]] = {}
    for values in table.running:
        key = (int(values["npu"]), int(values.get("chip", 0)))
        found.setdefault(key, []).append(_process(values))
    running = {npu for npu, _ in found}
    told: dict[Key, tuple[DeviceProcess, ...]] = {}
    for chip in chips:
        key = (chip.npu_id, chip.chip_id)
        quiet = chip.npu_id in table.idle
        if quiet == (chip.npu_id in running):  # neither is told, or both are
            continue
        if quiet or key in found or not table.process_unread:
            told[key] = tuple(found.get(key, ()))
    return told


def _process(values: Mapping[str, str]) -> DeviceProcess:
    megabytes, size = whole(values.get("megabytes")), whole(values.get("bytes"))
    return DeviceProcess(
        pid=int(values["pid"]),
        name=values["name"],
        memory=megabytes * MEGABYTE if megabytes is not None else size,
        pid_in_container=whole(values.get("pid_in_container")),
    )
