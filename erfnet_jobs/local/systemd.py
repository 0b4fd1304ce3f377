"""Telling systemd how a service is (sd_notify(3)): ready, alive, what it does, stopping. Stdlib only."""

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping, MutableMapping

log = logging.getLogger(__name__)

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
# A manager that does not read may not hold the service for longer.
SEND_SECONDS = 1.0
FEED_SECONDS = 1.0


class Systemd:
    """The manager that has started this process as a service, if one has.

    The variables that tell of it are taken out of `environ`: what this process starts is not the service.
    """

    def __init__(self, environ: MutableMapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        given = {name: environ.pop(name, "") for name in VARIABLES}
        self._clock = clock
        self._address = _address(given["NOTIFY_SOCKET"])
        self._watched = bool(given["WATCHDOG_USEC"]) and given["WATCHDOG_PID"] in ("", str(os.getpid()))
        self._fed_at: float | None = None
        self._status: str | None = None
        self._unheard = False

    def starting(self, status: str, seconds: float) -> None:
        """It may take `seconds` from now until it is ready."""
        self._tell({"STATUS": status, "EXTEND_TIMEOUT_USEC": str(int(seconds * 1e6))})

    def ready(self) -> None:
        """The service does its work from now on."""
        self._tell({"READY": "1"})

    def alive(self, status: str) -> None:
        """The service has just shown that it works; told at most once a second, its status where it has changed."""
        told: dict[str, str] = {}
        now = self._clock()
        if self._watched and (self._fed_at is None or now - self._fed_at >= FEED_SECONDS):
            self._fed_at = now
            told["WATCHDOG"] = "1"
        if status != self._status:
            self._status = told["STATUS"] = status
        self._tell(told)

    def stopping(self) -> None:
        """The service ends by itself, or was told to."""
        self._tell({"STOPPING": "1", "STATUS": "stopping"})

    def _tell(self, told: Mapping[str, str]) -> None:
        if self._address is None or not told:
            return
        message = "\n".join(f"{name}={value}" for name, value in told.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
                way.settimeout(SEND_SECONDS)
                way.sendto(message.encode(), self._address)
        except OSError as error:
            if not self._unheard:
                log.warning("systemd cannot be told how this worker is (%s): it may stop it as hung", error)
            self._unheard = True
        else:
            self._unheard = False


def without_systemd(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that is not the service itself."""
    return {name: value for name, value in environ.items() if name not in VARIABLES}


def _address(given: str) -> str | None:
    """A path, or with '@' a name in the abstract namespace (unix(7)); other kinds systemd uses for machines only."""
    if given.startswith("@"):
        return "\0" + given[1:]
    return given if given.startswith("/") else None
