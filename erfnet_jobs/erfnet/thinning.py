"""Telling often enough, and no more often."""

import time
from collections.abc import Callable


class Thinning:
    """Says whether it is time again: at most once in `interval` seconds, the first time at once."""

    def __init__(self, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._clock = clock
        self._last = -float("inf")

    def is_due(self, always: bool = False) -> bool:
        """Whether to tell now; `always` makes it so, and counts."""
        now = self._clock()
        if not always and now - self._last < self._interval:
            return False
        self._last = now
        return True
