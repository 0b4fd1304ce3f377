"""A lock between processes of this machine, gone with the process that holds it (flock(2))."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from erfnet_jobs.files import make_private_folder, open_private


@contextmanager
def held_lock(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock of a file, which is made and stays; `waiting` is called once if another process has it."""
    make_private_folder(path.parent)
    with open_private(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
