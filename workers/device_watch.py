"""Looking at this host's devices again and again, in a thread: its tools may hang until their time limits."""

import logging
import threading
import time
from collections.abc import Callable

from erfnet_jobs.ascend.devices import HostDevices
from erfnet_jobs.errors import ErfnetJobsError

log = logging.getLogger(__name__)

Look = Callable[[], HostDevices]


class DeviceWatch:
    """Calls `look` every `interval` seconds, and `told` after each time; keeps the newest look."""

    def __init__(self, look: Look, interval: float, told: Callable[[], None]) -> None:
        self._look = look
        self._interval = interval
        self._told = told
        self._lock = threading.Lock()
        self._newest: list[HostDevices] = []
        self._last: HostDevices | None = None
        self._thread = threading.Thread(target=self._run, name="device-watch", daemon=True)

    def start(self) -> None:
        """Begin, with a pause: the look of the start is done."""
        self._thread.start()

    def looks(self) -> list[HostDevices]:
        """What was seen since this was last asked, in order."""
        with self._lock:
            found, self._newest = self._newest, []
        return found

    @property
    def last(self) -> HostDevices | None:
        """The newest look, whoever has asked for it before; None where none has been made yet."""
        with self._lock:
            return self._last

    def _run(self) -> None:
        while True:
            time.sleep(self._interval)
            try:
                found = self._look()
            except ErfnetJobsError as error:
                found = HostDevices((), troubles=(str(error),))
            except Exception:
                log.exception("unexpected, in looking at the devices; the next look tries again")
                continue
            with self._lock:
                # While the registry is away nobody asks; what the last two looks say is enough.
                self._newest = [*self._newest[-1:], found]
                self._last = found
            self._told()
