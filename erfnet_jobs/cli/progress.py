"""Progress on standard error: a bar with an ETA on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

Progress = Callable[[int, int], None]
_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def progress_line(what: str, quiet: bool = False) -> Iterator[Progress]:
    """A function that shows `done` of `total` things called `what`; nothing at all if `quiet`."""
    if quiet:
        yield _nothing
    elif sys.stderr.isatty():
        bar = _Bar(what)
        try:
            yield bar
        finally:
            bar.close()
    else:
        yield _Lines(what)


def _nothing(done: int, total: int) -> None:
    """Progress that nobody follows."""


class _Bar:
    def __init__(self, what: str) -> None:
        self._what = what
        self._bar: Any = None

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = click.progressbar(length=total, label=self._what, show_pos=True, width=0, file=sys.stderr)
            self._bar.__enter__()
        self._bar.update(done - self._bar.pos)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)


class _Lines:
    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = time.monotonic()
        self._complete = False
        self._first: tuple[int, float] | None = None

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        # Counted from the first thing that was done: what comes before it (imports, opening files) comes once.
        if done and self._first is None:
            self._first = done, now
        if (now - self._shown < _SECONDS_BETWEEN_LINES and done < total) or self._complete:
            return
        self._shown = now
        self._complete = done >= total
        click.echo(f"{self._what}: {done} of {total}{self._eta(done, total, now)}", err=True)

    def _eta(self, done: int, total: int, now: float) -> str:
        if self._first is None or not self._first[0] < done < total:
            return ""
        since, started = self._first
        return f", about {(now - started) / (done - since) * (total - done):.0f} s left"
