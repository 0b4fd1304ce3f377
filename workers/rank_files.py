"""What a rank leaves in its files: blocks of reports, and the end of its log."""

import codecs
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from erfnet_jobs.reports import MalformedReport, Report, decode, read_lines

log = logging.getLogger(__name__)

BLOCK_BYTES = 1 << 20
TAIL_BYTES = 16 * 1024
_ONE_BYTE = "erfnet_jobs.one_byte"


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


@dataclass(frozen=True)
class LogEnd:
    """The end of a log of `size` bytes: the text takes as many bytes in UTF-8 as it has in the file."""

    text: str
    size: int


def log_end(path: Path) -> LogEnd:
    """The last whole lines of a log, up to 16 KiB, and what follows them; raises OSError.

    Who reads the texts one after another finds by their lengths where each begins: a byte that is no UTF-8, and NUL,
    which PostgreSQL refuses, becomes one question mark.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL_BYTES))
        block = file.read(min(size, TAIL_BYTES))
    # The first line was cut.
    kept = block[block.find(b"\n") + 1 :] if size > TAIL_BYTES else block
    return LogEnd(kept.replace(b"\0", b"?").decode(errors=_ONE_BYTE), size)


def _one_byte(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "?" * (error.end - error.start), error.end


codecs.register_error(_ONE_BYTE, _one_byte)
