"""What a benchmark gives: one line of the table that `make bench` prints."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A measured `value` in `unit`; `ratio_to` says against what, `aim` what it should be (both empty: nothing)."""

    name: str
    value: float
    unit: str
    ratio_to: str = ""
    aim: str = ""
