"""The hosts in the live view: a line each, or several side by side where there are many."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from erfnet_jobs.cli.output import Document, shorten
from erfnet_jobs.cli.watch.cells import Cell, cells_of, host_state, legend

GAP = 3
MOST_NAME = 24
FEW = 6


@dataclass(frozen=True)
class Grid:
    """Hosts side by side: how wide a name and a cell are, and how many hosts stand in a line."""

    name: int
    cell: int
    columns: int
    compact: bool


def host_lines(hosts: Sequence[Document], width: int, room: int) -> list[Text]:
    """At most `room` lines: a title with the legend, and the hosts; where it is tight a device is one character."""
    if room <= 0:
        return []
    cells = [cells_of(host) for host in hosts]
    grid = _grid(hosts, cells, width, compact=False)
    if _height(hosts, grid) > room - 1:
        grid = _grid(hosts, cells, width, compact=True)
    if _height(hosts, grid) > room - 1:
        # Those that are not as they should be come first, then those with free devices: the others may be cut off.
        hosts = sorted(
            hosts, key=lambda host: (host["state"] == "up" and host["usable"] == len(host["devices"]), not host["free"])
        )
        cells = [cells_of(host) for host in hosts]
    blocks = [_block(host, own, grid, width) for host, own in zip(hosts, cells, strict=True)]
    told = legend([cell for own in cells for cell in own], grid.compact)
    return [_title("HOSTS", told, width), *_laid_out(blocks, grid, room - 1)]


def _title(name: str, told: str, width: int) -> Text:
    return Text.assemble((name, "bold"), "  ", (shorten(told, width - len(name) - 2), "dim"))


def wanted_lines(hosts: Sequence[Document], width: int) -> int:
    """How many lines show all hosts and all job ids."""
    grid = _grid(hosts, [cells_of(host) for host in hosts], width, compact=False)
    return 1 + max(1, _height(hosts, grid))


def _height(hosts: Sequence[Document], grid: Grid) -> int:
    return -(-len(hosts) // grid.columns)


def _grid(hosts: Sequence[Document], cells: Sequence[Sequence[Cell]], width: int, compact: bool) -> Grid:
    name = min(MOST_NAME, max((len(host["name"]) for host in hosts), default=0))
    cell = 1 if compact else max((len(one.text) for own in cells for one in own), default=1)
    state = max((len(host_state(host)) for host in hosts), default=0)
    devices = max(map(len, cells), default=0)
    block = name + 2 + devices * (cell if compact else cell + 1) + state
    # Some hosts are easier to read one below the other.
    columns = 1 if len(hosts) <= FEW else max(1, (width + GAP) // (block + GAP))
    return Grid(name, cell, columns, compact)


def _block(host: Document, cells: Sequence[Cell], grid: Grid, width: int) -> Text:
    line = Text(shorten(host["name"], grid.name).ljust(grid.name) + "  ")
    for cell in cells:
        line.append(cell.short if grid.compact else cell.text.rjust(grid.cell), cell.style)
        line.append("" if grid.compact else " ")
    if state := host_state(host):
        line.append(" " * grid.compact + state, "yellow")
    line.truncate(width, overflow="ellipsis")
    return line


def _laid_out(blocks: Sequence[Text], grid: Grid, room: int) -> list[Text]:
    """Column by column, as `ls` does."""
    if not blocks:
        return [Text("none is registered yet: start one with 'erfnet-jobs up'")][:room]
    height = -(-len(blocks) // grid.columns)
    cut = height > room
    shown = blocks[: grid.columns * max(0, room - 1)] if cut else blocks
    height = max(1, min(height, room - 1 if cut else room))
    wide = max((block.cell_len for block in blocks), default=0)
    lines = []
    for row in range(height if shown else 0):
        line = Text()
        for block in shown[row::height]:
            line.append(" " * (-line.cell_len % (wide + GAP) if line else 0))
            line.append_text(block)
        lines.append(line)
    return [*lines, Text(f"… {len(blocks) - len(shown)} more hosts")] if cut and room > 0 else lines
