"""How often a worker does what all workers do for all hosts: the more they are, the more seldom each of them."""

import random
import time
from collections.abc import Callable

# All workers together, until each makes its own at the longest pause between two.
PASSES_A_SECOND = 1.0
LOOKS_A_SECOND = 100.0
# With messages lost and most workers gone, a queued job waits no longer than this for a look at it.
MOST_SECONDS_BETWEEN_PASSES = 60.0


class Pace:
    """When the next turn is due. Turns are spread by chance, so that workers do not go in step."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._next = clock()

    @property
    def is_due(self) -> bool:
        """Whether the next turn has come."""
        return self._clock() >= self._next

    def again_within(self, seconds: float) -> None:
        """A turn has been taken: the next one comes between half of `seconds` and all of them from now."""
        self._next = self._clock() + seconds * (1 + self._chance()) / 2


def seconds_between_passes(workers: int) -> float:
    """Of one worker; a message, or an end of its own, has it make one at once."""
    return min(max(1, workers) / PASSES_A_SECOND, MOST_SECONDS_BETWEEN_PASSES)


def seconds_between_looks(workers: int, beat_interval: float, timeout: float) -> float:
    """Of one worker, never more than a quarter of the time-out of what it watches: so what is lost is found in time.

    A pulse that stops is suspect after two beats, seen by each worker within this time, and from then on looked at with
    every beat until its lease has stood still for long enough: with the defaults that is within 4 + 7.5 + 30 + 2 s.
    """
    return max(beat_interval, min(workers / LOOKS_A_SECOND, timeout / 4))
