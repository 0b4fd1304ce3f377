"""`npu-smi info -m`, which tells the logic id of each chip, and `npu-smi info -l`. Pure and total; stdlib only.

NPU ids have gaps, may have five digits and need not be the logic ids. A row without a logic id ('-': an MCU or a CPU
on the card) is no device. Atlas A3 adds Chip Phy-ID; Ascend 950 has Slot ID and Chip Phy-ID, and no logic id at all.
"""

import re
from dataclasses import dataclass

from erfnet_jobs.ascend.lines import INTEGER, NOTHING, Line, Parsed, numbered, whole

HEADINGS = {
    "NPU ID": "npu",
    "Slot ID": "slot",
    "Chip ID": "chip",
    "Chip Logic ID": "logic",
    "Chip Phy-ID": "physical",
    "Chip Name": "name",
}
ID_SHAPES = {
    "npu": INTEGER,
    "slot": f"-?{INTEGER}",
    "chip": INTEGER,
    "logic": f"{INTEGER}|{NOTHING}",
    "physical": f"{INTEGER}|{NOTHING}",
}
HEADING = re.compile(rf"(?:(?:{'|'.join(HEADINGS)})\s*)+")
DEVICE_NAME = re.compile(r"Ascend ?\S{3,}(?: \S+)*|MiniD|[0-9]{3}[A-Z]\S*")
FIELD = re.compile(r"(?P<name>[^:]+?)\s*:\s*(?P<value>.*)")


@dataclass(frozen=True)
class MappedChip:
    """A chip with its ids. `logic_id` is None only where the table has no such column."""

    npu_id: int
    chip_id: int
    name: str
    logic_id: int | None
    physical_id: int | None


@dataclass(frozen=True)
class NpuMap:
    """The chips, without MCUs; `physical_ids` says whether the table has a column Chip Phy-ID."""

    chips: tuple[MappedChip, ...] = ()
    physical_ids: bool = False


def parse_map(text: str) -> Parsed[NpuMap]:
    """The chips by their ids. A table in which an id stands twice is not trusted at all.

    A last row without a line's end may be cut: where its name is no other chip's, it is not read.
    """
    columns: list[str] = []
    rows: list[tuple[Line, dict[str, str]]] = []
    unread: list[Line] = []
    for line in numbered(text):
        if heading := _heading(line.text):
            unread += [] if not columns else [line]
            columns = columns or heading
        elif columns and (values := _row(line.text, columns)) is not None:
            rows.append((line, values))
        else:
            unread.append(line)
    if rows and not text.endswith("\n") and rows[-1][0] == numbered(text)[-1] and _is_cut(rows):
        unread.append(rows.pop()[0])
    chips = [_chip(values) for _, values in rows if _is_device(values)]
    if _repeats(chips):
        return Parsed(NpuMap(), tuple(line for line in numbered(text) if not _heading(line.text)))
    return Parsed(NpuMap(tuple(chips), "physical" in columns), tuple(unread))


def _heading(text: str) -> list[str] | None:
    if not HEADING.fullmatch(text):
        return None
    columns = [HEADINGS[name] for name in re.findall("|".join(HEADINGS), text)]
    whole_table = len(columns) == len(set(columns)) and {"npu", "chip", "name"} <= set(columns)
    return columns if whole_table and columns[-1] == "name" else None


def _row(text: str, columns: list[str]) -> dict[str, str] | None:
    """The values of a row, whose last one, the name, may have blanks."""
    cells = text.split(maxsplit=len(columns) - 1)
    if len(cells) != len(columns):
        return None
    values = dict(zip(columns, cells, strict=True))
    numbers = all(re.fullmatch(ID_SHAPES[name], value) for name, value in values.items() if name in ID_SHAPES)
    named = DEVICE_NAME.fullmatch(values["name"]) or not _is_device(values)
    return values if numbers and named else None


def _is_cut(rows: list[tuple[Line, dict[str, str]]]) -> bool:
    *others, last = (values["name"] for _, values in rows if _is_device(values) or values is rows[-1][1])
    return bool(others) and last not in others and _is_device(rows[-1][1])


def _is_device(values: dict[str, str]) -> bool:
    decisive = "logic" if "logic" in values else "physical"
    return whole(values.get(decisive, "0")) is not None and values["name"].lower() != "mcu"


def _chip(values: dict[str, str]) -> MappedChip:
    return MappedChip(
        npu_id=int(values["npu"]),
        chip_id=int(values["chip"]),
        name=values["name"],
        logic_id=whole(values.get("logic")),
        physical_id=whole(values.get("physical")),
    )


def _repeats(chips: list[MappedChip]) -> bool:
    keys = [(chip.npu_id, chip.chip_id) for chip in chips]
    logic = [chip.logic_id for chip in chips if chip.logic_id is not None]
    physical = [chip.physical_id for chip in chips if chip.physical_id is not None]
    return any(len(set(ids)) != len(ids) for ids in (keys, logic, physical))


@dataclass(frozen=True)
class NpuList:
    """`count` cards as the tool counts them, and the NPU ids with how many chips each has (None: not told)."""

    count: int | None = None
    chips: tuple[tuple[int, int | None], ...] = ()


def parse_list(text: str) -> Parsed[NpuList]:
    """What `npu-smi info -l` printed: 'Total Count' or 'Card Count', then a group of lines for each card."""
    count: int | None = None
    chips: list[tuple[int, int | None]] = []
    unread: list[Line] = []
    for line in numbered(text):
        found = FIELD.fullmatch(line.text)
        name, value = (found["name"], whole(found["value"])) if found else ("", None)
        if name in {"Product Name", "Serial Number"} and chips:
            continue
        if value is None:
            unread.append(line)
        elif name in {"Total Count", "Card Count"} and count is None:
            count = value
        elif name == "NPU ID" and value not in dict(chips):
            chips.append((value, None))
        elif name == "Chip Count" and chips and chips[-1][1] is None:
            chips[-1] = (chips[-1][0], value)
        else:
            unread.append(line)
    return Parsed(NpuList(count, tuple(chips)), tuple(unread))
