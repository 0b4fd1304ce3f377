"""What parsers of tools' output share: numbered lines, cells of a few exact shapes, and what was not understood.

Stdlib only.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")

# As C's %d and %.1f print them. No leading zeros: two numbers that ran together are none. `[0-9]`, as \d takes more.
INTEGER = r"(?:0|[1-9][0-9]{0,11})"
DECIMAL = rf"-?{INTEGER}(?:\.[0-9]{{1,6}})?"
# How the tools say that they cannot tell.
NOTHING = r"(?:NA|N/A|-{1,2})"
SHOWN_LINES = 3
SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Line:
    """A line of a text, its number counted from 1, without white space around it."""

    number: int
    text: str

    def __str__(self) -> str:
        cut = self.text if len(self.text) <= SHOWN_CHARACTERS else self.text[: SHOWN_CHARACTERS - 1] + "…"
        return f"line {self.number} ({cut!r})"


@dataclass(frozen=True)
class Parsed(Generic[Value]):
    """What a parser understood, and the lines that it did not."""

    value: Value
    unread: tuple[Line, ...] = ()


def numbered(text: str) -> list[Line]:
    """The lines that hold more than white space."""
    lines = (Line(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1))
    return [line for line in lines if line.text]


def whole(text: str | None) -> int | None:
    """The whole number that the text is; None for anything else."""
    return int(text) if text is not None and re.fullmatch(INTEGER, text) else None


def decimal(text: str | None) -> float | None:
    """The number that the text is; None for anything else."""
    return float(text) if text is not None and re.fullmatch(DECIMAL, text) else None


def told(unread: Iterable[Line]) -> str:
    """The lines for people, the first few of many."""
    lines = sorted(set(unread), key=lambda line: line.number)
    shown = ", ".join(map(str, lines[:SHOWN_LINES]))
    return f"{shown} and {len(lines) - SHOWN_LINES} more" if len(lines) > SHOWN_LINES else shown
