"""The supervisors of this host: reaping them, and noticing one that died without a word."""

import os
import select
import subprocess

from erfnet_jobs.launch.processes import has_mark
from erfnet_jobs.launch.verdict import describe_end
from erfnet_jobs.registry.parts import PartKey


class Supervisors:
    """Supervisors by part: those that this process has started, and those of a worker before it."""

    def __init__(self) -> None:
        self._processes: dict[PartKey, subprocess.Popen[bytes]] = {}
        self._adopted: dict[PartKey, int | None] = {}

    def add(self, key: PartKey, process: "subprocess.Popen[bytes]") -> None:
        """Look after one more."""
        self._processes[key] = process

    def adopt(self, key: PartKey, pid: int, mark: str) -> None:
        """Look after one that another worker has started, and that may have ended meanwhile."""
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._adopted[key] = None
            return
        if has_mark(pid, mark):
            self._adopted[key] = fd
        else:
            os.close(fd)
            self._adopted[key] = None

    def ended(self) -> dict[PartKey, str]:
        """Those that have ended and are not forgotten yet, and how."""
        codes = {key: process.poll() for key, process in self._processes.items()}
        ended = {key: code for key, code in codes.items() if code is not None}
        told = {
            key: describe_end(code if code >= 0 else None, -code if code < 0 else None) for key, code in ended.items()
        }
        return told | {key: "without a word" for key, fd in self._adopted.items() if fd is None or _has_ended(fd)}

    def forget(self, key: PartKey) -> None:
        """Its end is known to the registry."""
        self._processes.pop(key, None)
        fd = self._adopted.pop(key, None)
        if fd is not None:
            os.close(fd)


def _has_ended(pidfd: int) -> bool:
    """The descriptor of a process is readable once that has ended (pidfd_open(2))."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))
