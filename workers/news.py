"""Waking the rounds: from Celery's thread, and from signal handlers, where locks are forbidden."""

import os
import select
from collections import deque

from erfnet_jobs.registry.parts import PartKey


class News:
    """Something may be worth a round. Telling it many times before the round is telling it once."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._cancelled: deque[PartKey] = deque()
        self.stopping = False
        self.draining = False

    def tell(self) -> None:
        """End the wait of the rounds, this one or the next."""
        os.eventfd_write(self._fd, 1)

    def stop(self) -> None:
        """Ask the rounds to end."""
        self.stopping = True
        self.tell()

    def cancel(self, key: PartKey) -> None:
        """Say that a supervisor of this host should look at once whether its job is cancelled."""
        self._cancelled.append(key)
        self.tell()

    def wait(self, seconds: float) -> None:
        """Until there is news, or `seconds` have passed."""
        if self._poll.poll(seconds * 1000):
            os.eventfd_read(self._fd)

    def cancelled(self) -> list[PartKey]:
        """What `cancel` was told since this was last asked."""
        found = []
        while self._cancelled:
            found.append(self._cancelled.popleft())
        return found
