"""Checkpoints converted for MindSpore Lite, once per content: exported, proved and kept below the data folder.

A model is kept for its checkpoint's hash, its size, the versions of the program and of Lite, and what it is for: CPUs,
or chips and the precision that they compute in. Its folder is made under another name and renamed, by one process while
others wait; what stands in it is believed only while the hashes are right.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from erfnet_jobs.ascend.environment import RankEnvironment
from erfnet_jobs.choices import FP32, LITE
from erfnet_jobs.erfnet.build_lock import build_lock
from erfnet_jobs.erfnet.disk import writing_to
from erfnet_jobs.erfnet.thinning import Thinning
from erfnet_jobs.errors import BadCheckpoint, MissingDependency
from erfnet_jobs.files import sha256_of, sync_folder, write_atomically
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.lite.convert import ASCEND_TARGET, CPU_TARGET, find_converter
from erfnet_jobs.plan import ASCEND, CPU, CheckpointFile, Plan
from erfnet_jobs.reports import ArtifactWritten, Phase, Report
from erfnet_jobs.specs import ExportSpec
from erfnet_jobs.states import JobKind

FOLDER: Final = "lite"
ENTRY_NAME: Final = "model.json"
ENTRY_VERSION: Final = 1
KEY_LENGTH: Final = 32
# Seconds between two reports of one that waits.
WAITING_INTERVAL: Final = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """Which model is asked for: `version` is what the program says of itself and of Lite, `target` as Converter's."""

    checkpoint: CheckpointFile
    size: tuple[int, int]
    version: str
    target: str
    precision: str

    @property
    def key(self) -> str:
        """The same for the same content, and for nothing else."""
        told = [ENTRY_VERSION, self.checkpoint.sha256, *self.size, self.version, self.target, self.precision]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:KEY_LENGTH]


def lite_model(
    plan: Plan, spec: Infer310Spec, version: str, environment: RankEnvironment, write: Callable[[Report], None]
) -> ArtifactWritten:
    """The model of the plan's checkpoint for its device, from the cache or made now; its files are reported.

    Raises BadCheckpoint, MissingDependency where it is to be made and something for that is not on this host,
    ErfnetJobsError where it cannot be made, DiskFull and UsageError.
    """
    target = ASCEND_TARGET if plan.device_target == ASCEND else CPU_TARGET
    precision = spec.precision if target == ASCEND_TARGET else FP32
    wanted = Wanted(_hashed(plan.inputs[0]), spec.size, version, target, precision)
    folder = Path(plan.data_dir, FOLDER, wanted.key)
    with writing_to(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)

    thinning = Thinning(WAITING_INTERVAL)

    def waiting(done: int, total: int) -> None:
        if thinning.is_due():
            write(Phase("wait for another conversion of the checkpoint", done, total))

    with writing_to(folder), build_lock(folder.with_name(f".{wanted.key}.lock"), waiting) as lock:
        files = _kept(folder)
        if files is None:
            lock.report(0, 1)
            files = _make(plan, wanted, folder, environment, write)
    own = wanted.checkpoint
    placed = [
        replace(file, path=str(folder / file.path), checkpoint_id=own.id, checkpoint_path=own.path) for file in files
    ]
    for file in placed:
        write(file)
    (model,) = (file for file in placed if file.format == LITE)
    return model


def _hashed(checkpoint: CheckpointFile) -> CheckpointFile:
    path = Path(checkpoint.path)
    try:
        return replace(checkpoint, sha256=checkpoint.sha256 or sha256_of(path))
    except OSError as error:
        raise BadCheckpoint(f"{path} cannot be read ({error.strerror}): name another checkpoint") from error


def _kept(folder: Path) -> list[ArtifactWritten] | None:
    """The files in a folder of the cache; None where it is not there or not as it was written."""
    try:
        document = json.loads((folder / ENTRY_NAME).read_bytes())
        files = [ArtifactWritten(**file) for file in document["files"]]
        changed = [file.path for file in files if sha256_of(folder / file.path) != file.sha256]
    except FileNotFoundError as error:
        changed = [str(error.filename)] if folder.is_dir() else []
        files = []
    except (OSError, ValueError, KeyError, TypeError) as error:
        changed, files = [f"{ENTRY_NAME} ({error})"], []
    if changed:
        log.warning("%s is not as it was written (%s): the model is made anew", folder, ", ".join(changed))
        return None
    return files if any(file.format == LITE for file in files) else None


def _make(
    plan: Plan, wanted: Wanted, folder: Path, environment: RankEnvironment, write: Callable[[Report], None]
) -> list[ArtifactWritten]:
    _check_tools(wanted.target)
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    try:
        files = _export(plan, wanted, building, environment, write)
        entry = {"version": ENTRY_VERSION, **asdict(wanted), "files": [asdict(file) for file in files]}
        write_atomically(building / ENTRY_NAME, json.dumps(entry, indent=2, allow_nan=False).encode() + b"\n")
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return files


def _check_tools(target: str) -> None:
    """Raise MissingDependency before MindSpore is asked for anything."""
    elsewhere = "or export on another host with 'export --format lite' and give the file as --model"
    if find_spec("mindspore") is None:
        raise MissingDependency(
            "the checkpoint is to be exported first, and MindSpore is not installed here: "
            f"pip install 'erfnet-jobs[worker,onnx]', {elsewhere}"
        )
    if target == ASCEND_TARGET:
        # A model for CPUs, which an export would make of it without that converter, does not run on a chip.
        try:
            find_converter(None, target)
        except MissingDependency as error:
            raise MissingDependency(f"{error}; {elsewhere}") from error


def _export(
    plan: Plan, wanted: Wanted, folder: Path, environment: RankEnvironment, write: Callable[[Report], None]
) -> list[ArtifactWritten]:
    # MindSpore is imported only where there is something to export.
    from erfnet_jobs.erfnet import world
    from erfnet_jobs.erfnet.export import export

    # MindSpore 2.10 has no 310: the network is on the CPU, whatever the model is for.
    world.join(replace(environment, device_target=CPU))
    spec = ExportSpec(wanted.checkpoint.path, (LITE,), wanted.size)
    files: list[ArtifactWritten] = []

    def take(report: Report) -> None:
        if isinstance(report, ArtifactWritten):
            files.append(report)
        elif isinstance(report, Phase):
            write(report)

    own = replace(plan, kind=JobKind.EXPORT, spec=spec, run_dir=str(folder), inputs=(wanted.checkpoint,))
    export(own, take, wanted.precision)
    return files
