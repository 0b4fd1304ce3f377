"""`checkpoints/manifest.json`: which checkpoints an attempt has, with their hashes; a file not in it does not count."""

import json
import os
import shutil
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from erfnet_jobs.errors import BadCheckpoint
from erfnet_jobs.files import sha256_of, sync_folder, write_atomically

MANIFEST_NAME = "manifest.json"
VERSION = 1


@dataclass(frozen=True)
class Entry:
    """One checkpoint: after `epoch` (from 1) of a stage, `step` steps in it; `file` lies beside the manifest.

    `adopted` ones were written by an earlier attempt and are here for later stages. `mean_iou` is what it reached on
    the validation split, None where it was not measured.
    """

    network: str
    stage: int
    epoch: int
    step: int
    file: str
    sha256: str
    size: int
    adopted: bool = False
    mean_iou: float | None = None


class Manifest:
    """The checkpoints of a folder, in the order in which they came; each change is on disk when the call returns.

    `dataset_hash` names the data that they were trained on, None where that is not known; a new value is on disk with
    the next change.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.entries, self.dataset_hash = read_manifest(folder)

    def add(self, entry: Entry) -> None:
        """Record a checkpoint that is complete on disk; one of the same name is replaced."""
        self._write([*(known for known in self.entries if known.file != entry.file), entry])

    def newest(self, stage: int) -> Entry | None:
        """The last epoch's checkpoint of a stage."""
        return max((entry for entry in self.entries if entry.stage == stage), key=lambda one: one.epoch, default=None)

    def best(self, stage: int) -> Entry | None:
        """The checkpoint of a stage with the highest mean IoU, the newest of equals; None where none was measured."""
        measured = [entry for entry in self.entries if entry.stage == stage and entry.mean_iou is not None]
        return max(measured, key=lambda one: (one.mean_iou, one.epoch), default=None)

    def measured(self, file: str, mean_iou: float) -> None:
        """Record what a checkpoint reached on the validation split."""
        self._write([replace(entry, mean_iou=mean_iou) if entry.file == file else entry for entry in self.entries])

    def prune(self, stage: int, keep: int) -> list[Entry]:
        """Forget all but the best and the `keep` newest of a stage, then remove their files; gives what was removed."""
        of_stage = sorted((entry for entry in self.entries if entry.stage == stage), key=lambda one: one.epoch)
        best = self.best(stage)
        removed = [entry for entry in of_stage[:-keep] if entry is not best]
        self.forget({entry.file for entry in removed})
        return removed

    def forget(self, files: Collection[str]) -> None:
        """Forget checkpoints by their file names, then remove the files, those without an entry too."""
        left = [entry for entry in self.entries if entry.file not in files]
        if len(left) < len(self.entries):
            self._write(left)
        for file in files:
            (self.folder / file).unlink(missing_ok=True)

    def adopt(self, source: Path, entry: Entry) -> None:
        """Take a checkpoint of an earlier attempt in: as a hard link where the file system can, else as a copy."""
        target = self.folder / entry.file
        if not (target.exists() and target.samefile(source)):
            _link_or_copy(source, target)
        self.add(entry)

    def _write(self, entries: list[Entry]) -> None:
        checkpoints = [asdict(entry) for entry in entries]
        document = {"version": VERSION, "dataset_hash": self.dataset_hash, "checkpoints": checkpoints}
        write_atomically(self.folder / MANIFEST_NAME, json.dumps(document, indent=2).encode() + b"\n")
        self.entries = entries


def check_hash(path: Path, sha256: str | None) -> None:
    """Raise BadCheckpoint where a file is not there or is not what was recorded; without a hash only the first."""
    try:
        found = sha256_of(path) if sha256 else None
        path.stat()
    except OSError as error:
        raise BadCheckpoint(f"{path} cannot be read ({error.strerror}): name another checkpoint") from error
    if found != sha256:
        raise BadCheckpoint(
            f"{path} has changed since it was recorded (SHA-256 {found}, recorded {sha256}): name another checkpoint"
        )


def read_manifest(folder: Path) -> tuple[list[Entry], str | None]:
    """A folder's checkpoints, and the hash of what they were trained on; nothing where there is no manifest.

    Raises BadCheckpoint where it cannot be read.
    """
    path = folder / MANIFEST_NAME
    try:
        document = json.loads(path.read_bytes())
        if document["version"] != VERSION:
            raise BadCheckpoint(f"{path} has version {document['version']}, this program reads {VERSION}")
        return [Entry(**entry) for entry in document["checkpoints"]], document.get("dataset_hash")
    except FileNotFoundError:
        return [], None
    except (ValueError, KeyError, TypeError) as error:
        raise BadCheckpoint(f"{path} is damaged ({error}): start the job again") from error


def _link_or_copy(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        try:
            temporary.hardlink_to(source)
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(source, temporary)
        temporary.chmod(0o644)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(target.parent)
