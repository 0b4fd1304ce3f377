"""What a rank leaves in its files: blocks of reports, and the end of its log."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from erfnet_jobs.reports import MalformedReport, Report, decode, read_lines

log = logging.getLogger(__name__)

BLOCK_BYTES = 1 << 20
TAIL_BYTES = 16 * 1024


@dataclass(frozen=True)
class Block:
    """Reports that follow one another, the byte after them, and whether there is more already."""

    reports: tuple[Report, ...]
    end: int
    more: bool


def read_block(path: Path, rank: int, offset: int) -> Block:
    """The reports from byte `offset` on, at most about a MiB of them; what is no report is left out, and logged."""
    lines, end = read_lines(path, offset, BLOCK_BYTES)
    size = path.stat().st_size if path.exists() else 0
    if not lines and size - offset >= BLOCK_BYTES:
        log.warning("rank %d: no line of its reports ends within %d bytes; they are left out", rank, BLOCK_BYTES)
        end = offset + BLOCK_BYTES
    reports = []
    for line in filter(None, lines):
        try:
            reports.append(decode(line))
        except MalformedReport as error:
            log.warning("rank %d: no report: %s", rank, error)
    return Block(tuple(reports), end, size - end >= BLOCK_BYTES or (bool(lines) and size > end))


def log_end(path: Path) -> str:
    """The last whole lines of a log, up to 16 KiB; raises OSError."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL_BYTES))
        block = file.read(TAIL_BYTES)
    # The first line was cut.
    return (block[block.find(b"\n") + 1 :] if size > TAIL_BYTES else block).decode(errors="replace")
