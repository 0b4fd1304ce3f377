"""One builder at a time, on all processes that see the folder; those who wait see how far the builder is."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

Progress = Callable[[int, int], None]
_POLL: Final = 0.2
_WIDTH: Final = 32


class BuildLock:
    """A held lock; its file tells those who wait how far the work is."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def report(self, done: int, total: int) -> None:
        """Let those who wait see `done` of `total`."""
        os.pwrite(self._fd, f"{done} {total}".ljust(_WIDTH).encode(), 0)


@contextmanager
def build_lock(path: Path, waiting: Progress) -> Iterator[BuildLock]:
    """Hold the lock of `path` (a file that is made and stays); call `waiting(done, total)` while another holds it.

    The kernel frees the lock when its holder ends, however it ends (flock(2)).
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        while not _taken(fd):
            if progress := _progress(fd):
                waiting(*progress)
            time.sleep(_POLL)
        os.ftruncate(fd, 0)
        yield BuildLock(fd)
    finally:
        os.close(fd)


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _progress(fd: int) -> tuple[int, int] | None:
    words = os.pread(fd, _WIDTH, 0).split()
    return (int(words[0]), int(words[1])) if len(words) == 2 else None
