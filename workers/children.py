"""The supervisors that this process has started: reaping them, and noticing one that died without a word."""

import subprocess

from erfnet_jobs.launch.verdict import describe_end
from erfnet_jobs.registry.parts import PartKey


class Supervisors:
    """Started supervisors by part. Those of a worker before this one are not ours to reap."""

    def __init__(self) -> None:
        self._processes: dict[PartKey, subprocess.Popen[bytes]] = {}

    def add(self, key: PartKey, process: "subprocess.Popen[bytes]") -> None:
        """Look after one more."""
        self._processes[key] = process

    def ended(self) -> dict[PartKey, str]:
        """Those that have ended and are not forgotten yet, and how."""
        codes = {key: process.poll() for key, process in self._processes.items()}
        ended = {key: code for key, code in codes.items() if code is not None}
        return {
            key: describe_end(code if code >= 0 else None, -code if code < 0 else None) for key, code in ended.items()
        }

    def forget(self, key: PartKey) -> None:
        """Its end is known to the registry."""
        del self._processes[key]
