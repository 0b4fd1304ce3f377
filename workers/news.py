"""Waking the rounds: from Celery's thread, and from signal handlers, where locks are forbidden."""

import os
import select
from collections import deque

from erfnet_jobs.registry.parts import PartKey


class News:
    """Something may be worth a round. Telling it many times before the round is telling it once.

    `stopping`: the worker is told to end; `draining`: it takes no new job, and ends when those here have ended.
    """

    def __init__(self, *, draining: bool = False) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._cancelled: deque[PartKey] = deque()
        # Taken and given in one step each: a flag that is read and then unset would lose what comes in between.
        self._room: deque[None] = deque(maxlen=1)
        self.stopping = False
        self.draining = draining

    def tell(self, *, room: bool = True) -> None:
        """End the wait of the rounds, this one or the next; with `room`, devices or jobs are there to be placed."""
        if room:
            self._room.append(None)
        os.eventfd_write(self._fd, 1)

    def stop(self) -> None:
        """Ask the rounds to end."""
        self.stopping = True
        self.tell()

    def cancel(self, key: PartKey) -> None:
        """Say that a supervisor of this host should look at once whether its job is cancelled."""
        self._cancelled.append(key)
        self.tell(room=False)

    def wait(self, seconds: float) -> bool:
        """Until there is news, which True says, or `seconds` have passed."""
        told = bool(self._poll.poll(seconds * 1000))
        if told:
            os.eventfd_read(self._fd)
        return told

    def room(self) -> bool:
        """Whether there may be something to place since this was last asked."""
        try:
            self._room.pop()
        except IndexError:
            return False
        return True

    def cancelled(self) -> list[PartKey]:
        """What `cancel` was told since this was last asked."""
        found = []
        while self._cancelled:
            found.append(self._cancelled.popleft())
        return found
