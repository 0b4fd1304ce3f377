"""Files that a user names with -o: checked before anything is read, and what the system says of writing them."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from erfnet_jobs.errors import DiskFull, UsageError
from erfnet_jobs.files import written_path


def output_path(given: str, suffixes: Sequence[str]) -> Path:
    """The path of a file that -o names; raises UsageError unless it has one of the suffixes and its folder is there."""
    path = written_path(given)
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"-o {given}: the name says the kind of file; end it with {' or '.join(suffixes)}")
    if not path.parent.is_dir():
        raise UsageError(f"-o {given}: there is no folder {path.parent}; make it, or name another")
    if path.is_dir():
        raise UsageError(f"-o {given} is a folder: name a file in it")
    return path


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Raise DiskFull or UsageError for what the system says of writing `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(
                f"no space left for {path} ({error.strerror}): make room, or name another with -o"
            ) from error
        raise UsageError(f"{path} cannot be written ({error.strerror or error}): name another with -o") from error
