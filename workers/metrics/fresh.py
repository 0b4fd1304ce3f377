"""An answer that is asked for seldom and waited for briefly, however often and by whomever it is wanted."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

Value = TypeVar("Value")


class Fresh(Generic[Value]):
    """Calls `ask` in a thread of its own, never twice at once, and never more often than every `keep` seconds.

    What hangs is waited for `patience` seconds by each who wants to know, and goes on meanwhile.
    """

    def __init__(
        self,
        ask: Callable[[], Value],
        keep: float = 5.0,
        patience: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._keep = keep
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._answered = threading.Event()
        self._answered.set()
        self._at: float | None = None
        self._value: Value | None = None
        self._trouble: str | None = None

    def get(self) -> Value | None:
        """The answer, at most `keep` seconds old; None where `ask` has raised, or has not come back in time."""
        with self._lock:
            old = self._at is None or self._clock() - self._at >= self._keep
            if self._answered.is_set() and old:
                self._answered.clear()
                threading.Thread(target=self._run, name="figures", daemon=True).start()
        return self._value if self._answered.wait(self._patience) else None

    def _run(self) -> None:
        value: Value | None = None
        trouble: str | None = None
        try:
            value = self._ask()
        except Exception as error:  # noqa: BLE001 - whatever it was, the page says that the figure is missing
            trouble = str(error) or repr(error)
            if trouble != self._trouble:
                log.warning("a figure for Prometheus is missing: %s", trouble)
        with self._lock:
            self._value, self._trouble, self._at = value, trouble, self._clock()
            self._answered.set()
