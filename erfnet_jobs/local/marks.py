"""All processes that a home's worker started: itself, supervisors and ranks, known by a mark they inherit."""

import os
import signal
from pathlib import Path

from erfnet_jobs.launch.program import with_this_package
from erfnet_jobs.local.deadline import wait_until
from erfnet_jobs.local.processes import Identity, start_of, stop_within
from erfnet_jobs.settings import Settings, environment_of

# Set for the servers only, and so inherited by what they start; nobody exports it in a shell.
MARK = "ERFNET_JOBS_SERVED_FROM"


def _has_mark(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def marked_processes(home: Path) -> list[Identity]:
    """The living processes of a home's worker, supervisors and ranks; never the one that asks."""
    mark = f"{MARK}={home}".encode()
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    ours = [pid for pid in pids if pid != os.getpid() and _has_mark(pid, mark)]
    return [Identity(pid, start) for pid in ours if (start := start_of(pid)) is not None]


def server_environment(settings: Settings) -> dict[str, str]:
    """What a home's servers run with: the same settings, this very package, and the mark they are known by."""
    return {**with_this_package(os.environ), **environment_of(settings), MARK: str(settings.home)}


def kill_marked(home: Path, patience: float = 10.0) -> bool:
    """SIGKILL all of them, and what they start meanwhile; whether none is left."""

    def none_left() -> bool:
        found = marked_processes(home)
        for identity in found:
            stop_within(identity, signal.SIGKILL, 0)
        return not found

    return wait_until(none_left, patience)
