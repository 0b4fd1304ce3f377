"""What the rounds of a worker have done, counted for who watches it: written by their thread, read by any."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from workers.histogram import Histogram

# Seconds: a pass that places nothing takes milliseconds, one of thousands of jobs and hosts a second.
PASS_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True)
class Counts:
    """What was counted so far; times are seconds.

    `succeeded_ago`: since the end of the newest round in which nothing went wrong, or since the start where none did.
    """

    rounds: int
    failed: int
    succeeded_ago: float
    passes: list[tuple[str, float]]
    pass_seconds: float
    placed: int


class Tally:
    """The counters of one worker, from its start on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rounds = self._failed = self._placed = 0
        self._succeeded_at = clock()
        self._passes = Histogram(PASS_BOUNDS)

    def round_ended(self, *, well: bool) -> None:
        """A round has come to its end, `well` where nothing went wrong in it."""
        with self._lock:
            self._rounds += 1
            self._failed += not well
            if well:
                self._succeeded_at = self._clock()

    def now(self) -> float:
        """The clock by which passes are timed."""
        return self._clock()

    def pass_ended(self, began: float, placed: int) -> None:
        """A placement pass that began at `began`, by `now`, has placed so many jobs."""
        with self._lock:
            self._passes.add(self._clock() - began)
            self._placed += placed

    def counts(self) -> Counts:
        """As they stand now."""
        with self._lock:
            ago = self._clock() - self._succeeded_at
            passes, seconds = self._passes.buckets(), self._passes.sum
            return Counts(self._rounds, self._failed, ago, passes, seconds, self._placed)
