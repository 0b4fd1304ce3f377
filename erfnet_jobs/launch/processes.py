"""Processes of this host as the kernel shows them: of a group, of an attempt, and killing them. Stdlib only.

A zombie counts as gone: it holds no device, no memory and no file, and who must reap it may be another process. But not
while another thread of it lives: the kernel cannot end a thread that waits for a device's driver, and the main thread
of a process that was killed is a zombie meanwhile.
"""

import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from erfnet_jobs.ascend.environment import ATTEMPT_MARK

PROC = Path("/proc")
POLL_INTERVAL = 0.02
# PF_KTHREAD of the kernel's include/linux/sched.h.
KERNEL_THREAD = 0x00200000


@dataclass(frozen=True)
class Process:
    """A living process: its id and its process group's."""

    pid: int
    group: int


def _read(pid: int, name: str) -> bytes:
    """A file of a process; empty when it is gone, or another user's and so not ours to see."""
    try:
        return (PROC / str(pid) / name).read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def _stat(pid: int) -> list[bytes]:
    """The fields of `stat` from the state on; the command's name before it may hold anything, parentheses too."""
    return _read(pid, "stat").rpartition(b")")[2].split()


def _threads(pid: int) -> list[str]:
    """The threads of a process, as names of folders in its own."""
    try:
        return [f"task/{thread}" for thread in os.listdir(PROC / str(pid) / "task")]  # noqa: PTH208 - as below
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []


def living() -> Iterator[Process]:
    """All processes but the kernel's own of which a thread lives (proc(5), `stat`)."""
    for entry in os.listdir(PROC):  # noqa: PTH208 - names are all it takes, and this runs in a loop
        if not entry.isdigit():
            continue
        fields = _stat(int(entry))
        if fields and _lives(state=fields[0], flags=int(fields[6]), threads=int(fields[17])):
            yield Process(int(entry), int(fields[2]))


def _lives(state: bytes, flags: int, threads: int) -> bool:
    return not flags & KERNEL_THREAD and (state not in {b"Z", b"X"} or threads > 1)


def has_mark(pid: int, mark: str) -> bool:
    """Whether a process was started for the attempt with this mark."""
    if environ := _environ(pid):
        return f"{ATTEMPT_MARK}={mark}".encode() in environ.split(b"\0")
    return _is_leaving(pid, mark.partition(":")[2])


def _environ(pid: int) -> bytes:
    """The environment of a process; a main thread that has ended shows none, and the others still do."""
    if found := _read(pid, "environ"):
        return found
    return next(filter(None, (_read(pid, f"{thread}/environ") for thread in _threads(pid))), b"")


def _is_leaving(pid: int, run_dir: str) -> bool:
    """Whether a process of a run is being ended by the kernel, which takes its memory, and so its environment, first.

    Its files, devices among them, come after that, which a driver may hold up; its folder is still known then.
    """
    fields = _stat(pid)
    if not fields or int(fields[20]) > 0:
        return False  # it has memory still, and an environment that is empty
    for thread in _threads(pid):
        try:
            folder = (PROC / str(pid) / thread / "cwd").readlink()
        except OSError:
            continue
        if folder.is_relative_to(run_dir):
            return True
    return False


def processes_with_mark(mark: str) -> list[int]:
    """The living processes started for the attempt with this mark, in whatever session; never this process."""
    return [process.pid for process in living() if process.pid != os.getpid() and has_mark(process.pid, mark)]


def processes_in_groups(groups: Collection[int]) -> list[int]:
    """The living processes of these process groups."""
    return [process.pid for process in living() if process.group in groups]


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to a process group; one that is gone needs none."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def _kill_marked(pid: int, mark: str) -> None:
    """SIGKILL through a pidfd: between looking and killing the id may have become another process'."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if has_mark(pid, mark):
            signal.pidfd_send_signal(fd, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
    finally:
        os.close(fd)


def wait_until_gone(left: Callable[[], list[int]], timeout: float) -> list[int]:
    """Poll `left` until it is empty or `timeout` seconds have passed; what is left then."""
    deadline = time.monotonic() + timeout
    while remaining := left():
        if time.monotonic() >= deadline:
            break
        time.sleep(POLL_INTERVAL)
    return remaining


def kill_marked(mark: str, timeout: float = 5.0) -> list[int]:
    """SIGKILL every process of the attempt with this mark, and those they start meanwhile; gives what is left.

    Something is left only when the kernel cannot end it yet (waiting for a device or a file server) or when it is
    another user's.
    """

    def left() -> list[int]:
        found = processes_with_mark(mark)
        for pid in found:
            _kill_marked(pid, mark)
        return found

    return wait_until_gone(left, timeout)
