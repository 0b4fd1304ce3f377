"""The table of `npu-smi info`: chips in two rows each, then processes. Pure and total; stdlib only.

A chip is reported only where both of its rows stand together under known headings, between rules, with a value of the
heading's kind in every cell. Rows out of order say that lines are lost or moved: then no chip of the table is trusted.
What no parser can see are rows lost or exchanged just so that the first row of one card stands before the second of
another, in a table without logic and physical ids or processes to compare with.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from erfnet_jobs.ascend.devices import DeviceProcess
from erfnet_jobs.ascend.lines import Line, Parsed, decimal, numbered, whole
from erfnet_jobs.ascend.npu_columns import FIRST_ROW, PROCESS_ROW, SECOND_ROW, Row, row_under

MEGABYTE = 2**20  # what npu-smi calls MB: it divides bytes by 1024 twice
RULE = re.compile(r"\+[-=+]*[+|]?")
TITLE = re.compile(r"\|\s*npu-smi\s+(?P<tool>\S+)\s+Version:\s*(?P<driver>\S*)\s*\|")
NO_PROCESSES = re.compile(r"\|\s*No running processes found in NPU (?P<npu>0|[1-9][0-9]{0,9})\s*\|")
Key = tuple[int, int]


@dataclass(frozen=True)
class ChipRow:
    """A chip as the table has it; None where the tool says NA or has no such column.

    `position` counts the table's chips from 0, unreadable ones too. `memory` and `hbm` are (used, total) in bytes.
    `device` is the column Device (the logic id, 310 and 310P only), `physical` the column Phy-ID (910C only).
    """

    npu_id: int
    chip_id: int
    position: int
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


@dataclass(frozen=True)
class _Item:
    """A line between two rules: a card's first row ('F'), a chip's second ('S'), or neither ('?')."""

    line: Line
    kind: str
    values: Mapping[str, str]


@dataclass
class _Table:
    """The lines sorted by what they are, with their order in the table kept."""

    title: Mapping[str, str] = field(default_factory=dict)
    first: Row | None = None
    second: Row | None = None
    process: Row | None = None
    blocks: list[list[_Item]] = field(default_factory=lambda: [[]])
    running: list[tuple[Line, Mapping[str, str]]] = field(default_factory=list)
    idle: list[int] = field(default_factory=list)
    unread: list[Line] = field(default_factory=list)
    process_unread: bool = False
    nameless: int = 0
    disordered: bool = False

    def take(self, line: Line) -> None:
        if RULE.fullmatch(line.text):
            self.blocks.append([])
        elif found := TITLE.fullmatch(line.text):
            self.disordered |= self.first is not None
            self.title = found.groupdict()
        elif self._is_heading(line.text):
            return
        elif self.process is not None:
            self._take_process(line, self.process)
        elif self.second is not None:
            self._take_row(line)
        else:
            # A row above its headings has been moved there.
            self.disordered |= line.text.startswith("|")
            self.unread.append(line)

    def _is_heading(self, text: str) -> bool:
        """Whether the line is the next heading that is due; one that is not, or comes again, is out of order."""
        if row := row_under(text, FIRST_ROW, ("npu", "name", "health")):
            self.disordered |= self.first is not None
            self.first = row
        elif row := row_under(text, SECOND_ROW, ("bus", "ai_core", "memory")):
            self.disordered |= self.first is None or self.second is not None
            self.second = row
        elif row := row_under(text, PROCESS_ROW, ("npu", "pid", "name")):
            self.disordered |= self.second is None or self.process is not None
            self.process = row
        return row is not None

    def _item(self, line: Line) -> _Item:
        for kind, row in (("F", self.first), ("S", self.second)):
            if row is not None and (values := row.read(line.text)) is not None:
                return _Item(line, kind, values)
        return _Item(line, "?", {})

    def _take_row(self, line: Line) -> None:
        self.disordered |= NO_PROCESSES.fullmatch(line.text) is not None
        self.blocks[-1].append(self._item(line))

    def _take_process(self, line: Line, row: Row) -> None:
        if found := NO_PROCESSES.fullmatch(line.text):
            self.idle.append(int(found["npu"]))
        elif (values := row.read(line.text)) is not None:
            self.running.append((line, values))
        else:
            self.disordered |= self._item(line).kind != "?"
            self.process_unread |= line.text.startswith("|")
            self.unread.append(line)


def parse_info(text: str) -> Parsed[NpuInfo]:
    """What `npu-smi info` printed, in any of its layouts; what is no such table has no chips, and all lines unread."""
    table = _Table()
    for line in numbered(text):
        table.take(line)
    chips, items = _pairs(table)
    unread = [*table.unread, *(item.line for item in items)]
    if table.disordered or _moved(chips):
        unread += [item.line for block in table.blocks for item in block]
        chips = []
    else:
        chips, doubted = _without_doubtful(chips, table)
        unread += doubted
    info = NpuInfo(
        tool=table.title.get("tool"),
        driver=table.title.get("driver") or None,
        chips=tuple(chips),
        processes=_processes(chips, table),
        physical_ids=table.second is not None and "physical" in table.second.columns,
        complete=bool(table.title) and table.second is not None and not table.blocks[-1] and not unread,
    )
    return Parsed(info, tuple(sorted(set(unread), key=lambda line: line.number)))


def _pairs(table: _Table) -> tuple[list[ChipRow], list[_Item]]:
    """The chips of the well-formed blocks, and the items of all others. Sets `disordered` and `nameless`."""
    chips: list[ChipRow] = []
    broken: list[_Item] = []
    position = 0
    for block in table.blocks:
        kinds = "".join(item.kind for item in block)
        for start in range(0, len(block), 2):
            first, *rest = block[start : start + 2]
            if len(block) % 2 == 0 and first.kind + rest[0].kind == "FS":
                chips.append(_chip(first.values, rest[0].values, position))
            else:
                broken += [first, *rest]
                table.nameless += all(item.kind != "F" for item in (first, *rest))
            position += 1
        table.disordered |= re.search("FF|SS|^SF", kinds) is not None or (len(kinds) > 2 and len(kinds) % 2 == 1)
    return chips, broken


def _moved(chips: list[ChipRow]) -> bool:
    """Whether the chips are not in the order in which the tool counts them: by card, chip, logic and physical id."""
    counted = (
        [(chip.npu_id, chip.chip_id) for chip in chips],
        [(chip.device,) for chip in chips if chip.device is not None],
        [(chip.physical,) for chip in chips if chip.physical is not None],
    )
    return any(not all(one < other for one, other in pairwise(ids)) for ids in counted)


def _without_doubtful(chips: list[ChipRow], table: _Table) -> tuple[list[ChipRow], list[Line]]:
    """Without chips whose rows may be of two cards, where the processes tell of cards that the table has not.

    Those are the chips before such a card, and chips of cards of which the processes do not tell.
    """
    items = [item for block in table.blocks for item in block]
    shown = {int(item.values["npu"]) for item in items if item.kind == "F"}
    told = list(dict.fromkeys([*(int(values["npu"]) for _, values in table.running), *table.idle]))
    if len(set(told) - shown) <= table.nameless:
        return chips, []
    lost = sorted(set(told) - shown)
    last = {max((npu for npu in shown if npu < missing), default=-1) for missing in lost}
    doubted = {
        chip
        for chip in chips
        if chip.npu_id not in told or (chip.npu_id in last and chip == _last_of(chips, chip.npu_id))
    }
    lines = [item.line for block in table.blocks for item in block if _belongs(block, doubted)]
    return [chip for chip in chips if chip not in doubted], lines


def _last_of(chips: list[ChipRow], npu: int) -> ChipRow:
    return max((chip for chip in chips if chip.npu_id == npu), key=lambda chip: chip.position)


def _belongs(block: list[_Item], doubted: set[ChipRow]) -> bool:
    return any(item.kind == "F" and int(item.values["npu"]) in {chip.npu_id for chip in doubted} for item in block)


def _chip(first: Mapping[str, str], second: Mapping[str, str], position: int) -> ChipRow:
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


def _processes(chips: list[ChipRow], table: _Table) -> dict[Key, tuple[DeviceProcess, ...]]:
    """The processes of the chips of which the table tells. A row that cannot be read may be of any chip."""
    found: dict[Key, list[DeviceProcess]] = {}
    for _, values in table.running:
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
