"""Which run directory this is: a mark in it tells whether two hosts see the same one. Stdlib only."""

import os
import uuid
from pathlib import Path

from erfnet_jobs.errors import BadData
from erfnet_jobs.files import sync_folder
from erfnet_jobs.launch.foreground import disk_errors

MARK_NAME = ".storage-id"


def storage_id(runs: Path) -> str:
    """The id of the storage that holds `runs`, written there by whoever comes first.

    Raises DiskFull or UsageError where it cannot be written, BadData where the mark is damaged.
    """
    path = runs / MARK_NAME
    with disk_errors(runs):
        runs.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write_once(path)
        return _read(path)


def known_storage_id(runs: Path) -> str | None:
    """The id that is written there; None where none is yet. Raises UsageError or BadData as `storage_id` does."""
    path = runs / MARK_NAME
    with disk_errors(runs):
        return _read(path) if path.exists() else None


def _read(path: Path) -> str:
    text = path.read_text().strip()
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise BadData(
            f"{path} holds {text[:50]!r}, not a storage's id: remove it and start the workers again"
        ) from error


def _write_once(path: Path) -> None:
    """A link is made once only, on NFS too; the loser keeps the winner's."""
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("w") as file:
            file.write(f"{uuid.uuid4()}\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(temporary)
    except FileExistsError:
        return
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
