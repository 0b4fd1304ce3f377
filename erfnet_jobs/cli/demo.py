"""`demo`: the whole way on this machine, small, in a home of its own; Ctrl-C at any moment leaves nothing behind."""

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from erfnet_jobs.cli.session import Session

if TYPE_CHECKING:
    from erfnet_jobs.settings import Settings


@click.command()
@click.option(
    "--data", default=None, metavar="D", help="A Cityscapes-layout dataset.  [default: made-up street scenes]"
)
@click.pass_obj
def demo(session: Session, data: str | None) -> None:
    """Show the whole way, small: train on two cards, evaluate, export, infer.

    Takes some minutes, on embedded servers in a home of its own, below the usual one. Nothing is left running, and what
    was made stays there to be looked at.
    """
    from erfnet_jobs.cli.demo_steps import Demo, end_all
    from erfnet_jobs.errors import Interrupted

    settings = _settings(session)
    interrupts = Interrupts(settings.home)
    interrupts.take_over()
    try:
        Demo(settings, None if data is None else Path(data).expanduser().absolute()).run()
    except KeyboardInterrupt:
        interrupts.ending = True
        click.echo("\nInterrupted: ending the demo's jobs and servers; Ctrl-C again kills them", err=True)
        end_all(settings)
        raise Interrupted("the demo was interrupted; nothing of it is left running") from None
    except BaseException:
        interrupts.ending = True
        end_all(settings)
        raise


def _settings(session: Session) -> "Settings":
    """The settings with a home of the demo's own, and always the embedded servers."""
    from erfnet_jobs.settings import with_home

    return with_home(session.settings, session.settings.home / "demo")


class Interrupts:
    """What Ctrl-C, SIGTERM and a closed terminal do: the first one interrupts; while things end, the next ones kill.

    Ending is never interrupted: once the processes are killed it finds nothing to wait for.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ending = False

    def take_over(self) -> None:
        """Be the handler of these signals from now on."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self)

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """A signal has come."""
        from erfnet_jobs.local.marks import kill_marked

        if not self.ending:
            self.ending = True
            raise KeyboardInterrupt
        kill_marked(self.home)
