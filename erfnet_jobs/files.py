"""Files that are whole or not there. Stdlib only."""

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def absolute_path(text: str | Path) -> Path:
    """The path in full: `~` is expanded, and `.` and `..` are gone, so that nobody takes one file for two.

    Links stay as they were named, since other hosts may have others, unless a `..` leads back through one.
    """
    path = Path(text).expanduser().absolute()
    return Path(os.path.realpath(path)) if ".." in path.parts else path


def written_path(text: str | Path) -> Path:
    """The one path of a file that is about to be written: no link in it, but itself one if it is, to be replaced."""
    path = absolute_path(text)
    return Path(os.path.realpath(path.parent), path.name)


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its user may enter, and so each one above it that is not there; raises OSError."""
    if folder.is_dir():
        return
    make_private_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def open_private(path: Path) -> BinaryIO:
    """The file, to append to; where it is not there yet it becomes its user's alone. Raises OSError."""
    return open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))


def write_atomically(path: Path, content: bytes) -> None:
    """Make `path` hold `content` or what it held before, never part of it; the folder must exist."""
    with atomic_file(path) as file:
        file.write(content)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that becomes `path` once the block has ended without an error; the folder must exist."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hexadecimal; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_file(path: Path) -> None:
    """Make a file's content survive a power cut."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
