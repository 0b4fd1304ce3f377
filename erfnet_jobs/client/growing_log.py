"""A log that grows, put together of blocks that overlap or leave gaps: whole lines, each once. Pure, stdlib only."""

import codecs
from dataclasses import dataclass

# A line without an end is given out in pieces of so many bytes.
MOST_HELD = 64 * 1024


@dataclass(frozen=True)
class News:
    """What a block brought: how many bytes before it nobody has seen, and the whole lines after them."""

    missing: int
    lines: list[str]


class GrowingLog:
    """What has been read of a log: all bytes before `offset`, and of the line that begins there what is `held` of it.

    A line is given out when its end is there: then no character is cut in two, whatever the borders of the blocks.
    """

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset
        self.held = b""

    def take(self, start: int, block: bytes) -> News:
        """A block of the log that begins at byte `start` of it."""
        known = self.offset + len(self.held)
        if start + len(block) <= known:
            return News(0, [])
        if start > known:
            cut = self.end()
            self.offset, self.held = start, b""
            news = self._split(block)
            return News(start - known, cut + news.lines)
        if start < self.offset:
            return self._split(block[self.offset - start :])
        return self._split(self.held[: start - self.offset] + block)

    def end(self) -> list[str]:
        """The line that never got its end, where one began; the log is over."""
        held, self.held = self.held, b""
        self.offset += len(held)
        return [_text(held)] if held else []

    def _split(self, new: bytes) -> News:
        whole, end, self.held = new.rpartition(b"\n")
        self.offset += len(whole) + len(end)
        lines = [_text(line) for line in whole.split(b"\n")] if end else []
        if len(self.held) >= MOST_HELD:
            lines.append(self._piece())
        return News(0, lines)

    def _piece(self) -> str:
        """What is held, without a character at its end that has come in part."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(self.held)
        left, _ = decoder.getstate()
        self.offset += len(self.held) - len(left)
        self.held = left
        return text


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode(errors="replace")


def start_of_last(block: bytes, count: int) -> int:
    """Where the last `count` lines of a block begin; a line without its end counts."""
    place = len(block) - 1 if block.endswith(b"\n") else len(block)
    for _ in range(count):
        place = block.rfind(b"\n", 0, max(0, place))
        if place < 0:
            return 0
    return place + 1 if count else len(block)
