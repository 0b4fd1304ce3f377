"""The processes that a gang starts, and when each of them died. Stdlib only.

Each child leads its own session and process group, has a lifeline, and is reaped last of all: as long as its zombie
stands, no other process can get its group's id.
"""

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from erfnet_jobs.ascend.lifeline import arm


@dataclass(frozen=True)
class Death:
    """How a child ended. `rank` is None for the scheduler; either `exit_code` or `signal` is set.

    `at` is when that was noticed, in seconds of the host's monotonic clock, which is that of the ranks' reports too.
    """

    rank: int | None
    at: float
    exit_code: int | None
    signal: int | None

    @property
    def is_clean(self) -> bool:
        """Whether the process ended by itself with 0."""
        return self.exit_code == 0


@dataclass(frozen=True)
class Child:
    """A started process: its rank (None: the scheduler), and what its parent holds of it."""

    rank: int | None
    process: subprocess.Popen[bytes]
    pidfd: int
    lifeline: int

    @property
    def group(self) -> int:
        """Its process group, which it leads."""
        return self.process.pid

    def release(self) -> None:
        """Reap it and close what is held of it; it must have ended, or have been killed."""
        os.close(self.lifeline)
        self.process.wait()
        os.close(self.pidfd)

    def release_killed(self) -> None:
        """Kill its group, then release it."""
        os.killpg(self.group, signal.SIGKILL)
        self.release()


def new_lifeline() -> tuple[int, int]:
    """A pipe's read end for the child and its write end for this process; neither outlives an exec by itself."""
    return os.pipe2(os.O_CLOEXEC)


def start_child(
    rank: int | None,
    command: Sequence[str],
    environ: Mapping[str, str],
    log: Path,
    cwd: Path,
    lifeline: tuple[int, int],
) -> Child:
    """Start `command` with its output appended to `log`. Raises OSError; then the lifeline's ends are closed.

    The child inherits the read end of its own lifeline and no other descriptor.
    """
    read_end, write_end = lifeline
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environ),
                cwd=cwd,
                start_new_session=True,
                pass_fds=(read_end,),
            )
    except OSError:
        os.close(read_end)
        os.close(write_end)
        raise
    arm(read_end, process.pid)
    os.close(read_end)
    return Child(rank, process, os.pidfd_open(process.pid), write_end)


class DeathWatch:
    """Notes when each child dies, in a thread of its own, so that a busy owner still learns who was first."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        self._epoll.register(self._end, select.EPOLLIN)
        self._ranks: dict[int, int | None] = {}
        self._deaths: list[Death] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="death-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def add(self, child: Child) -> None:
        """Watch a child; one that is already dead is noticed as well."""
        self._ranks[child.pidfd] = child.rank
        self._epoll.register(child.pidfd, select.EPOLLIN)

    def deaths(self) -> list[Death]:
        """All deaths until now, first one first."""
        with self._changed:
            return list(self._deaths)

    def wait(self, known: int, timeout: float) -> bool:
        """Wait until more than `known` deaths are noted; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._deaths) > known, timeout)

    def close(self) -> None:
        """Stop watching."""
        if self._thread.is_alive():
            os.eventfd_write(self._end, 1)
            self._thread.join()
        self._epoll.close()
        os.close(self._end)

    def _run(self) -> None:
        # The kernel gives ready descriptors in the order in which they became ready.
        while True:
            for fd, _ in self._epoll.poll():
                if fd == self._end:
                    return
                self._epoll.unregister(fd)
                self._note(fd)

    def _note(self, fd: int) -> None:
        result = os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOWAIT)
        assert result is not None  # noqa: S101 - None is given only with WNOHANG
        exited = result.si_code == os.CLD_EXITED
        status = result.si_status
        death = Death(self._ranks[fd], time.monotonic(), status if exited else None, None if exited else status)
        with self._changed:
            self._deaths.append(death)
            self._changed.notify_all()
