"""What the ranks of an attempt write, line by line.

It is read from their files where this machine sees them, else from the ends that the registry keeps.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from erfnet_jobs.client.document import Document
from erfnet_jobs.client.growing_log import GrowingLog, start_of_last

if TYPE_CHECKING:
    from erfnet_jobs.client.questions import Questions

BLOCK_BYTES = 1 << 20
# So much of a file is looked through for its last lines.
MOST_LOOKED_AT = 16 << 20


@dataclass(frozen=True)
class Line:
    """A line of a rank's log. `note`: it is no line of the log, but says what is not to be had of it here."""

    rank: int
    text: str
    note: bool = False


class AttemptLogs:
    """The logs of an attempt's ranks (or of one `rank`), from their beginning or from the last `tail` lines of each."""

    def __init__(
        self, client: "Questions", job: int, attempt: int, rank: int | None = None, tail: int | None = None
    ) -> None:
        self._client = client
        self._job, self.attempt = job, attempt
        self._rank = rank
        self._tail = tail
        self._logs: dict[int, _RankLog] = {}
        self._seen: dict[int, int] = {}

    def new_lines(self, last: bool = False) -> Iterator[Line]:
        """What was written since the last time, by rank; raises RegistryUnreachable.

        `last`: the attempt has ended, and what is left of lines that never got their end comes too.
        """
        lengths = self._client.log_lengths(self._job, self.attempt)
        wanted = {rank: length for rank, length in lengths.items() if self._rank in (None, rank) and length}
        for rank in wanted:
            if rank in self._logs:
                yield from self._of_file(rank, last)
        asked = [rank for rank, length in wanted.items() if self._must_ask(rank, length, last)]
        for text in self._client.log_texts(self._job, self.attempt, asked) if asked else ():
            rank = text["rank"]
            log = self._logs.setdefault(rank, _RankLog(text, self._tail))
            yield from self._of_file(rank, last)
            if not log.is_here:
                self._seen[rank] = wanted[rank]
                yield from log.of_tail(text, last)

    def _of_file(self, rank: int, last: bool) -> Iterator[Line]:
        log = self._logs[rank]
        return log.of_file(last) if log.is_here else iter(())

    def _must_ask(self, rank: int, length: int, last: bool) -> bool:
        """Files that are seen here are read there; for other logs the registry is asked, where they have grown."""
        log = self._logs.get(rank)
        return log is None or (not log.is_here and (last or length != self._seen.get(rank)))


class _RankLog:
    """One rank's log. `is_here`: this machine sees the file."""

    def __init__(self, tail: Document, lines: int | None) -> None:
        self._path, self._host, self._rank = Path(tail["path"]), tail["host"], tail["rank"]
        self.is_here = _is_file_of(tail)
        self._log = GrowingLog(0 if lines is None else _begin(tail, lines, self.is_here))
        self._told = False

    def of_file(self, last: bool) -> Iterator[Line]:
        """What is new in the file; where it has gone, `is_here` says so, and what is left is asked of the registry."""
        try:
            with self._path.open("rb") as file:
                place = file.seek(self._log.offset)
                while block := file.read(BLOCK_BYTES):
                    yield from self._taken(place, block)
                    place += len(block)
        except OSError:
            self.is_here = False
            return
        yield from self._ended(last)

    def of_tail(self, tail: Document, last: bool) -> Iterator[Line]:
        """What is new in the end that the registry keeps."""
        text = tail["text"].encode()
        yield from self._taken(max(0, tail["bytes"] - len(text)), text)
        yield from self._ended(last)

    def _ended(self, last: bool) -> Iterator[Line]:
        yield from (Line(self._rank, text) for text in (self._log.end() if last else ()))

    def _taken(self, start: int, block: bytes) -> Iterator[Line]:
        before = self._log.offset
        news = self._log.take(start, block)
        if news.missing:
            yield Line(self._rank, self._gap(before, news.missing), note=True)
        for text in news.lines:
            yield Line(self._rank, text)

    def _gap(self, before: int, missing: int) -> str:
        if self._told:
            return f"[{missing} bytes left out]"
        self._told = True
        what = "the first" if before == 0 else "here"
        return f"[{what} {missing} bytes are on {self._host} only, in {self._path}]"


def _is_file_of(tail: Document) -> bool:
    """Whether the file of that name on this machine is the rank's: it holds what the registry has of it."""
    text = tail["text"].encode()
    try:
        with Path(tail["path"]).open("rb") as file:
            file.seek(max(0, tail["bytes"] - len(text)))
            block = file.read(len(text))
    except OSError:
        return False
    return _plain(block) == _plain(text)


def _plain(text: bytes) -> bytes:
    """What both have alike: the registry keeps question marks where the file has bytes that are no text."""
    return text.decode("ascii", "replace").replace("\N{REPLACEMENT CHARACTER}", "?").replace("\0", "?").encode()


def _begin(tail: Document, lines: int, is_here: bool) -> int:
    """From which byte on a log is shown: its last lines."""
    if not is_here:
        text = tail["text"].encode()
        begin = start_of_last(text, lines)
        # Where the registry has fewer lines than that, the gap before them is to be told.
        return max(0, tail["bytes"] - len(text)) + begin if begin else 0
    with Path(tail["path"]).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        span = BLOCK_BYTES
        while True:
            start = file.seek(max(0, size - span))
            begin = start_of_last(file.read(size - start), lines)
            if begin or start == 0 or span >= MOST_LOOKED_AT:
                return start + begin
            span *= 4
