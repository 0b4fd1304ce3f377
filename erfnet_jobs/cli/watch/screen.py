"""The live view in a terminal, and plain lines where the output is none."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import click
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live

from erfnet_jobs.cli.times import clock
from erfnet_jobs.cli.watch.changes import Changes
from erfnet_jobs.cli.watch.look import Look, looks
from erfnet_jobs.cli.watch.view import view_lines

if TYPE_CHECKING:
    from erfnet_jobs.client import Client

# A second: a changed size of the terminal and the ages of jobs are seen so soon.
REFRESHES = 4
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class View:
    """The newest look, drawn for the size that the terminal has."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self.look: Look | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines, as rich asks for them."""
        if self.look is not None:
            height = options.height or console.height
            yield from view_lines(self.look.overview, options.max_width, height, self._interval, self.look.trouble)


def watch(client: "Client", interval: float, as_json: bool) -> None:
    """Show everything that goes on until Ctrl-C (KeyboardInterrupt); RegistryUnreachable only where it begins so."""
    console = Console(highlight=False)
    with _ended_by_signals():
        if as_json or not console.is_terminal or console.is_dumb_terminal:
            _lines(client, interval, as_json)
        else:
            _screen(client, interval, console)


def _screen(client: "Client", interval: float, console: Console) -> None:
    """Only rich's own thread draws: an interrupt in the middle of drawing would keep it from giving the screen back."""
    view = View(interval)
    seen = looks(client, interval, tuple)
    view.look = next(seen)
    live = Live(view, console=console, screen=True, refresh_per_second=REFRESHES)
    try:
        with _undisturbed():
            live.start(refresh=True)
        for view.look in seen:
            pass
    finally:
        with _undisturbed():
            live.stop()


def _lines(client: "Client", interval: float, as_json: bool) -> None:
    changes = Changes(exact=as_json)
    for look in looks(client, interval, changes.going):
        for change in changes.of(look):
            if as_json:
                click.echo(json.dumps({"at": look.overview["at"], **change.document}, allow_nan=False))
            else:
                click.echo(f"{clock(look.overview['at'])}  {change.text}")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals wait until its end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal end it as Ctrl-C does: with the screen given back."""

    def end(_number: int, _frame: FrameType | None) -> None:
        for number in ENDS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in ENDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
