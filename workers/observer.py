"""What stands still, by this process' own clock: no other host's clock is asked."""

import time
from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Observer(Generic[Key]):
    """Tells which values have not changed for `patience` seconds of being looked at.

    Looks that are further apart than half of that prove nothing, for the registry may have been out of reach for the
    others as well: after such a gap all start anew.
    """

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._looked_at: float | None = None
        self._since: dict[Key, tuple[object, float]] = {}

    def look(self, values: Mapping[Key, object]) -> set[Key]:
        """The keys whose value has stood still for too long; to be called after each successful round trip."""
        now = self._clock()
        if self._looked_at is None or now - self._looked_at > self._patience / 2:
            self._since.clear()
        self._looked_at = now
        for key, value in values.items():
            known = self._since.get(key)
            if known is None or known[0] != value:
                self._since[key] = (value, now)
        for gone in self._since.keys() - values.keys():
            del self._since[gone]
        return {key for key, (_, since) in self._since.items() if now - since > self._patience}
