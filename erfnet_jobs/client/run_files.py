"""Which of the registry's checkpoints this machine sees: by the id of the storage that holds its runs."""

import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.erfnet.manifest import read_manifest
from erfnet_jobs.errors import BadCheckpoint, UsageError
from erfnet_jobs.launch.storage import known_storage_id
from erfnet_jobs.registry.tables import Checkpoint, Host, Job
from erfnet_jobs.settings import Settings

CHECKPOINTS = "checkpoints"
JOB_NAME = "job.json"


@dataclass(frozen=True)
class Found:
    """What is at a checkpoint's place on this machine. `fault` says why it is no file that may be touched."""

    path: Path
    there: bool
    fault: str | None = None


class RunFiles:
    """The runs of this machine, beside those that other hosts hold. `alone`: the registry serves one machine only."""

    def __init__(self, session: Session, settings: Settings, *, alone: bool) -> None:
        self.runs = settings.runs
        self.alone = alone
        try:
            self._own = known_storage_id(settings.runs)
        except UsageError:  # a client whose user may not see them
            self._own = None
        self._hosts: dict[str, list[str]] = {}
        for name, storage in session.execute(select(Host.name, Host.storage_id).order_by(Host.name)):
            self._hosts.setdefault(storage, []).append(name)

    def holds(self, job: Job) -> bool:
        """Whether the files of a job lie on this machine."""
        return self.alone or (self._own is not None and job.storage_id == self._own)

    def hosts_of(self, job: Job) -> tuple[str, ...]:
        """The hosts that see the files of a job; none where nothing is known of its storage."""
        return tuple(self._hosts.get(job.storage_id or "", ()))

    def folder(self, job: int, attempt: int) -> Path:
        """Where an attempt keeps its checkpoints."""
        return self.runs / str(job) / str(attempt) / CHECKPOINTS

    def is_own_folder(self, folder: Path) -> bool:
        """Whether a folder of checkpoints lies where its path says, with no link on the way from the runs to it."""
        parts = folder.relative_to(self.runs).parts
        return folder.resolve() == self.runs.resolve().joinpath(*parts)

    def find(self, checkpoint: Checkpoint) -> Found:
        """A checkpoint that a job of this machine's wrote, looked at without following links; raises OSError."""
        folder = self.folder(checkpoint.job_id or 0, checkpoint.attempt or 0)
        path = Path(checkpoint.path)
        if path.parent != folder:
            return Found(path, there=False, fault=f"is not in its attempt's folder, {folder}")
        if not self.is_own_folder(folder):
            return Found(path, there=False, fault="lies behind a symbolic link")
        try:
            status = path.lstat()
        except FileNotFoundError:
            return Found(path, there=False)
        if not stat.S_ISREG(status.st_mode):
            return Found(path, there=True, fault="is no regular file")
        if status.st_size != checkpoint.size:
            return Found(path, there=True, fault=f"has {status.st_size} bytes and was recorded with {checkpoint.size}")
        return Found(path, there=True)


def run_document(folder: Path, job: int) -> dict[str, Any] | None:
    """What a job's run wrote of it, with versions and git revision; None where it cannot be read here."""
    try:
        document = json.loads((folder / JOB_NAME).read_bytes())
    except (OSError, ValueError):
        return None
    whole = isinstance(document, dict) and document.get("job") == job and isinstance(document.get("spec"), dict)
    return document if whole else None


def data_hash(folder: Path) -> str | None:
    """The hash of the data that an attempt trained on, from its folder of checkpoints; None where it is not known."""
    try:
        return read_manifest(folder)[1]
    except (BadCheckpoint, OSError):
        return None
