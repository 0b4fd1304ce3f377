"""The columns of the two tables of `npu-smi info`, read from their headings. Pure; stdlib only.

A layout is made from the headings, never from the width of a cell: tools of other versions have other widths.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from erfnet_jobs.ascend.lines import DECIMAL, INTEGER, NOTHING

_USED_OF_TOTAL = rf"(?P<@_used>{INTEGER}|{NOTHING})\s*/\s*(?P<@_total>{INTEGER}|{NOTHING})"
_WORD = rf"(?P<@>{DECIMAL}|{NOTHING})"
_ID = rf"(?P<@>{INTEGER})"
_ID_OR_NOTHING = rf"(?P<@>{INTEGER}|{NOTHING})"

# Headings of a card's first row and of a chip's second, what we call them (@), and what a cell under them looks like.
FIRST_ROW = {
    "NPU ID": ("npu", _ID),
    "NPU": ("npu", _ID),
    "Name": ("name", r"(?P<@>(?:Ascend )?[A-Za-z0-9][A-Za-z0-9_-]*)"),
    "Health": ("health", rf"(?P<@>OK|Warning|Alarm|Critical|UNKNOWN|{NOTHING})"),
    "Power(W)": ("power", _WORD),
    "Temp(C)": ("temperature", _WORD),
    "Hugepages-Usage(page)": ("hugepages", _USED_OF_TOTAL),
}
SECOND_ROW = {
    "Chip": ("chip", _ID),
    "Device": ("device", _ID_OR_NOTHING),
    "Phy-ID": ("physical", _ID_OR_NOTHING),
    "Bus-Id": ("bus", rf"(?P<@>[0-9A-Fa-f]{{4,8}}:[0-9A-Fa-f]{{2}}:[0-9A-Fa-f]{{2}}\.[0-9A-Fa-f]{{1,2}}|{NOTHING})"),
    "AICore(%)": ("ai_core", _WORD),
    "NPU Util(%)": ("ai_core", _WORD),
    "Memory-Usage(MB)": ("memory", _USED_OF_TOTAL),
    "HBM-Usage(MB)": ("hbm", _USED_OF_TOTAL),
}
PROCESS_ROW = {
    "NPU ID": ("npu", _ID),
    "NPU": ("npu", _ID),
    "Chip": ("chip", _ID),
    "Process id": ("pid", r"(?P<@>[1-9][0-9]{0,9})"),
    "Process name": ("name", r"(?P<@>.*)"),
    "Process memory(MB)": ("megabytes", _ID_OR_NOTHING),
    "Process memory(B)": ("bytes", _ID_OR_NOTHING),
    "Process id in container": ("pid_in_container", _ID_OR_NOTHING),
}
Known = Mapping[str, tuple[str, str]]


def cells_of(text: str) -> list[str] | None:
    """The cells between the bars of a table's row; None for what is no row."""
    if len(text) < 2 or not text.startswith("|") or not text.endswith("|"):
        return None
    return [cell.strip() for cell in text[1:-1].split("|")]


@dataclass(frozen=True)
class Row:
    """How the rows under a heading look: a pattern for each cell."""

    cells: tuple[re.Pattern[str], ...]
    columns: frozenset[str]

    def read(self, text: str) -> dict[str, str] | None:
        """The row's values by column; None where a cell is not what its heading says."""
        cells = cells_of(text)
        if cells is None or len(cells) != len(self.cells):
            return None
        values: dict[str, str] = {}
        for cell, pattern in zip(cells, self.cells, strict=True):
            if (found := pattern.fullmatch(cell)) is None:
                return None
            values |= found.groupdict()
        return values


def _headings(cell: str, known: Known) -> list[str] | None:
    """The known headings that make up the cell; None where anything else stands in it."""
    found = []
    rest = cell
    while rest:
        heading = next((name for name in sorted(known, key=len, reverse=True) if _begins(rest, name)), None)
        if heading is None:
            return None
        found.append(heading)
        rest = rest[len(heading) :].lstrip()
    return found


def _begins(text: str, heading: str) -> bool:
    return text.startswith(heading) and (len(text) == len(heading) or text[len(heading)].isspace())


def row_under(text: str, known: Known, needed: Sequence[str]) -> Row | None:
    """How rows under this line of headings look; None where it has unknown ones, one twice, or lacks a `needed` one."""
    cells = cells_of(text)
    headings = [_headings(cell, known) for cell in cells or ()]
    names = [known[heading][0] for cell in headings if cell is not None for heading in cell]
    if None in headings or len(set(names)) != len(names) or not set(needed) <= set(names):
        return None
    patterns = []
    for cell in headings:
        shapes = [known[heading][1].replace("@", known[heading][0]) for heading in cell or ()]
        patterns.append(re.compile(r"\s+".join(shapes)))
    return Row(tuple(patterns), frozenset(names))
