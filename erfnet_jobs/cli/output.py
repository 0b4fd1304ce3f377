"""How the commands print: JSON documents, tables as wide as the terminal, numbers and times as people read them."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from textwrap import wrap
from typing import Any, TextIO

import click

Document = Mapping[str, Any]
UNKNOWN = "-"
# Wide enough for any table of ours; used where the output is no terminal.
PIPE_WIDTH = 200
LEAST_WIDTH = 40
GAP = 2


def print_json(document: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(document, indent=2, allow_nan=False))


def screen_width() -> int:
    """Columns of the terminal (COLUMNS counts first); 200 where the output is piped."""
    return shutil.get_terminal_size((PIPE_WIDTH, 24)).columns


def terminal_width(stream: TextIO) -> int | None:
    """Columns of the terminal that the stream writes to (COLUMNS counts first); None where it is none."""
    if not stream.isatty():
        return None
    given = os.environ.get("COLUMNS", "")
    columns = int(given) if given.isdecimal() else os.get_terminal_size(stream.fileno()).columns
    return max(columns, LEAST_WIDTH) if columns else None


def wrapped(text: str, width: int | None, indent: str = "") -> str:
    """The lines of the text broken between words to fit `width` columns, if given; what goes on starts with `indent`.

    Words are never broken, so that paths and commands can be copied.
    """
    if width is None:
        return text
    lines = [
        part
        for line in text.split("\n")
        for part in wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [""]
    ]
    return "\n".join(lines)


def tell(text: str) -> None:
    """Write lines to stderr, wrapped where that is a terminal."""
    click.echo(wrapped(text, terminal_width(sys.stderr)), err=True)


@dataclass(frozen=True)
class Column:
    """A column: its title, its text for a row, and when it goes if the table is too wide (lowest `keep` first).

    A column of `keep` 9 never goes; one that `bends` is cut short instead, down to `least` characters, and loses its
    beginning where its end says more (`ends`, as of paths).
    """

    title: str
    text: Callable[[Document], str]
    keep: int = 9
    right: bool = False
    bends: bool = False
    least: int = 12
    ends: bool = False


def shorten(text: str, width: int, end: bool = False) -> str:
    """The text, or its beginning (or `end`) and an ellipsis, in at most `width` characters."""
    if len(text) <= width:
        return text
    kept = max(0, width - 1)
    return "…" + text[len(text) - kept :] if end else text[:kept] + "…"


def table(rows: Sequence[Document], columns: Sequence[Column], width: int | None = None) -> list[str]:
    """The lines of a table that fits `width` columns: what matters less goes, what can be shortened is.

    Columns that are empty in all rows are left out.
    """
    limit = width or screen_width()
    filled = [column for column in columns if any(column.text(row) not in {"", UNKNOWN} for row in rows)]
    cells = {column: [column.text(row) for row in rows] for column in filled}
    widths = {column: max(len(column.title), *map(len, cells[column])) for column in filled}
    _fit(widths, limit)
    lines = [[column.title.upper() for column in widths]]
    lines += [[cells[column][index] for column in widths] for index in range(len(rows))]
    return [_line(line, widths) for line in lines]


def _needed(widths: Mapping[Column, int]) -> int:
    least = sum(min(width, column.least) if column.bends else width for column, width in widths.items())
    return least + GAP * (len(widths) - 1)


def _fit(widths: dict[Column, int], limit: int) -> None:
    while _needed(widths) > limit and any(column.keep < 9 for column in widths):
        del widths[min(widths, key=lambda column: column.keep)]
    while _total(widths) > limit:
        bending = [column for column in widths if column.bends and widths[column] > column.least]
        if not bending:
            return
        widths[max(bending, key=lambda column: widths[column])] -= 1


def _total(widths: Mapping[Column, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)


def _line(texts: Sequence[str], widths: Mapping[Column, int]) -> str:
    cells = []
    for text, (column, width) in zip(texts, widths.items(), strict=True):
        cut = shorten(text, width, column.ends)
        cells.append(cut.rjust(width) if column.right else cut.ljust(width))
    return (" " * GAP).join(cells).rstrip()


def duration(seconds: float | None) -> str:
    """Two units at most: 45s, 3m20s, 2h05m, 4d03h, 20d."""
    if seconds is None:
        return UNKNOWN
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d{hour:02}h" if days < 10 else f"{days}d"
    if hours:
        return f"{hours}h{minute:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def seconds_since(at: str | None, until: str | None = None) -> float | None:
    """Seconds from one ISO time to another, or to now."""
    if at is None:
        return None
    end = datetime.fromisoformat(until) if until else datetime.now(UTC)
    return (end - datetime.fromisoformat(at)).total_seconds()


def age(at: str | None) -> str:
    """How long ago, in one or two units."""
    return duration(seconds_since(at))


def number(value: float | None, digits: int) -> str:
    """A number with so many decimals; '-' where there is none."""
    return UNKNOWN if value is None else f"{value:.{digits}f}"


def percent(fraction: float | None) -> str:
    """A fraction as whole per cent, rounded down so that 100% means the end."""
    return UNKNOWN if fraction is None else f"{int(fraction * 100)}%"


def file_size(count: int) -> str:
    """Bytes in the largest unit that leaves a number from 1."""
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def difference_text(difference: float | None) -> str:
    """How far an exported model is from the network, to be said after its path; empty where that is not known."""
    if difference is None:
        return ""
    return f"  (differs by {difference:.1e} of the largest logit)" if difference else "  (equals the network)"


def fields(pairs: Sequence[tuple[str, object]], width: int | None = None) -> list[str]:
    """Lines of names and values, the values aligned and wrapped; pairs whose value is None or '' are left out."""
    shown = [(name, str(value)) for name, value in pairs if value is not None and value != ""]
    wide = max((len(name) for name, _ in shown), default=0)
    lines = []
    for name, value in shown:
        room = max(40, (width or screen_width()) - wide - GAP)
        first, *rest = wrap(value, room, break_long_words=False, break_on_hyphens=False) or [""]
        lines += [f"{name:<{wide}}  {first}", *(f"{'':<{wide}}  {line}" for line in rest)]
    return lines


def warn(message: str) -> None:
    """A warning on stderr."""
    tell(f"warning: {message}")
