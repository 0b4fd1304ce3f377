"""The lines of `npu-smi info`, sorted by what they are, with their order in the table kept. Pure; stdlib only."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from erfnet_jobs.ascend.lines import Line, numbered
from erfnet_jobs.ascend.npu_columns import FIRST_ROW, PROCESS_ROW, SECOND_ROW, Row, row_under

RULE = re.compile(r"\+[-=+]*[+|]?")
TITLE = re.compile(r"\|\s*npu-smi\s+(?P<tool>\S+)\s+Version:\s*(?P<driver>\S*)\s*\|")
NO_PROCESSES = re.compile(r"\|\s*No running processes found in NPU (?P<npu>0|[1-9][0-9]{0,9})\s*\|")


@dataclass(frozen=True)
class Item:
    """A line between two rules: a card's first row ('F'), a chip's second ('S'), or neither ('?')."""

    line: Line
    kind: str
    values: Mapping[str, str]


@dataclass
class Table:
    """What the lines are, one after another.

    `first`, `second` and `process` are how rows under the headings look. `blocks` are the lines between rules of the
    chips' part; `running` the rows of processes, and `idle` the NPU ids that are said to have none. `disordered`: a
    line stands where none of its kind can, so that lines have been lost or moved.
    """

    title: Mapping[str, str] = field(default_factory=dict)
    first: Row | None = None
    second: Row | None = None
    process: Row | None = None
    blocks: list[list[Item]] = field(default_factory=lambda: [[]])
    running: list[Mapping[str, str]] = field(default_factory=list)
    idle: list[int] = field(default_factory=list)
    unread: list[Line] = field(default_factory=list)
    process_unread: bool = False
    disordered: bool = False

    def take(self, line: Line) -> None:
        """Sort in the next line."""
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
        elif row := row_under(text, SECOND_ROW, self._second_needs()):
            self.disordered |= self.first is None or self.second is not None
            self.second = row
        elif row := row_under(text, PROCESS_ROW, ("npu", "pid", "name")):
            self.disordered |= self.second is None or self.process is not None
            self.process = row
        return row is not None

    def _second_needs(self) -> tuple[str, ...]:
        """Only where NPU ids have cells of their own (Ascend 950) is there one chip a card, and no id of it."""
        one_chip = self.first is not None and set(self.first.cells[0].groupindex) == {"npu"}
        return ("bus", "ai_core", "memory") if one_chip else ("chip", "bus", "ai_core", "memory")

    def _item(self, line: Line) -> Item:
        for kind, row in (("F", self.first), ("S", self.second)):
            if row is not None and (values := row.read(line.text)) is not None:
                return Item(line, kind, values)
        return Item(line, "?", {})

    def _take_row(self, line: Line) -> None:
        self.disordered |= NO_PROCESSES.fullmatch(line.text) is not None
        self.blocks[-1].append(self._item(line))

    def _take_process(self, line: Line, row: Row) -> None:
        if found := NO_PROCESSES.fullmatch(line.text):
            self.idle.append(int(found["npu"]))
        elif (values := row.read(line.text)) is not None:
            self.running.append(values)
        else:
            self.disordered |= self._item(line).kind != "?"
            self.process_unread |= line.text.startswith("|")
            self.unread.append(line)

    def items(self) -> Iterator[Item]:
        """All lines of the chips' part."""
        return (item for block in self.blocks for item in block)

    def told_cards(self) -> list[int]:
        """The NPU ids of which the processes' part tells."""
        return list(dict.fromkeys([*(int(values["npu"]) for values in self.running), *self.idle]))


def read_table(text: str) -> Table:
    """The text as a table; lines that are no part of one are in `unread`."""
    table = Table()
    for line in numbered(text):
        table.take(line)
    return table
