"""What goes wrong when data is written, told in our errors."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from erfnet_jobs.errors import DiskFull, UsageError

# EFBIG: a limit on the size of files (ulimit -f, or the file system's own).
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP}
)


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Raise DiskFull or UsageError, with `path`, where the block cannot write there; other OSErrors pass."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(path) from error
        if error.errno in _FORBIDDEN:
            raise UsageError(
                f"{error.filename or path} cannot be written ({error.strerror}): name a folder that you may write to"
            ) from error
        raise


def make_folder(path: Path, option: str) -> Path:
    """The folder that `option` names, made if need be; raises UsageError where it cannot be, and DiskFull."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(path) from error
        if error.errno in _FORBIDDEN:
            raise UsageError(f"{path} cannot be made ({error.strerror}): give another {option}") from error
        raise
    return path


def disk_full(path: Path) -> DiskFull:
    """The error, with how much is free where `path` is, or would be."""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    free = megabytes(shutil.disk_usage(there).free)
    return DiskFull(f"{path} cannot be written, its disk is full ({free} free) or a limit is reached: free some space")


def megabytes(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / 1e6:,.0f} MB"
