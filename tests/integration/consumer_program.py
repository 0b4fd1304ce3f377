"""Consumes a host's queues, as a worker does, and prints a line for each wake-up; until it is killed."""

import signal
import sys

from erfnet_jobs.registry.parts import PartKey
from erfnet_jobs.settings import load_settings
from workers.app import Consumer
from workers.news import News


class Printed(News):
    """Says what it is told."""

    def tell(self, *, room: bool = True) -> None:
        sys.stdout.write("told of room\n" if room else "told\n")
        sys.stdout.flush()

    def cancel(self, key: PartKey) -> None:
        sys.stdout.write(f"cancel {key.job} {key.attempt} {key.host}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    Consumer(load_settings(), Printed()).start()
    signal.pause()
