"""The lines that ranks write and supervisors read, with their version. Stdlib only.

A rank appends JSON lines to its own file with one write each, so a reader that takes whole lines only never sees half a
report. Numbers that are not finite never stand in a report: NaN loss is a `Failed`.
"""

import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

VERSION = 1


@dataclass(frozen=True)
class Hello:
    """First report of every rank: who it is, where it runs, and the versions it runs with."""

    kind: ClassVar[str] = "hello"
    rank: int
    world_size: int
    host: str
    device: int
    pid: int
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Phase:
    """What a rank does before, between and after steps ('build data', 'compile', 'save', ...); `done` of `total`."""

    kind: ClassVar[str] = "phase"
    name: str
    done: int | None = None
    total: int | None = None
    eta_seconds: float | None = None


@dataclass(frozen=True)
class Progress:
    """How far the attempt is; rank 0 only. `fraction` counts the whole job, resumed work included, from 0 to 1.

    For training: `stage` 1-4, `epoch` of `epochs` in that stage (from 1), `step` of `steps` in that epoch (from 1).
    For other kinds `step` of `steps` counts images or files. `images_per_second` counts all ranks.
    """

    kind: ClassVar[str] = "progress"
    fraction: float
    step: int
    steps: int
    stage: int | None = None
    epoch: int | None = None
    epochs: int | None = None
    loss: float | None = None
    images_per_second: float | None = None
    eta_seconds: float | None = None
    lr: float | None = None


@dataclass(frozen=True)
class Metric:
    """Values by name at a global step of a stage (steps count from 1 within the stage); rank 0 only."""

    kind: ClassVar[str] = "metric"
    stage: int
    epoch: int
    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class CheckpointWritten:
    """A checkpoint is complete on disk; rank 0 only. `path` is relative to the attempt's folder; `size` in bytes."""

    kind: ClassVar[str] = "checkpoint"
    network: str
    stage: int
    epoch: int
    step: int
    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class CheckpointRemoved:
    """A checkpoint that was not to be kept has left the disk; `path` as it was reported."""

    kind: ClassVar[str] = "checkpoint_removed"
    path: str


@dataclass(frozen=True)
class Evaluated:
    """Metrics of one checkpoint (`checkpoint_id` where the registry knows it) on one dataset.

    `iou_class` has 19 entries in trainId order, `iou_category` 7 (flat, construction, object, nature, sky, human,
    vehicle), None where one occurs in neither truth nor prediction; `mean_iou` and `mean_iou_category` average the
    others, `mean_iou_19` counts absent classes as 0.
    `protocol` is 'half' or 'full', of the encoder alone 'encoder-half' or 'encoder-full'. `size` fields are pixels,
    `mean_loss` is per-pixel weighted, None where the engine does not measure it. Of another engine than MindSpore's,
    `model_sha256` is the file that it ran, and `images_per_second` how fast it was from file to file.
    """

    kind: ClassVar[str] = "evaluated"
    checkpoint_path: str
    network: str
    dataset_hash: str
    split: str
    protocol: str
    height: int
    width: int
    engine: str
    images: int
    mean_iou: float
    mean_iou_19: float
    pixel_accuracy: float
    mean_loss: float | None
    iou_class: tuple[float | None, ...]
    checkpoint_id: int | None = None
    mean_iou_category: float | None = None
    iou_category: tuple[float | None, ...] | None = None
    model_sha256: str | None = None
    images_per_second: float | None = None


@dataclass(frozen=True)
class ArtifactWritten:
    """A file for the user: an exported model ('mindir', 'onnx', 'lite'), a picture ('overlay'), a table ('metrics').

    Evaluations draw 'confusion', 'iou' and 'worst'. `path` is absolute or relative to the attempt's folder;
    `difference` is how far an exported model is from the network, as a share of the largest logit. An exported model
    also tells the checkpoint as it was read: path, hash, size in bytes, and network. `made_from` is the SHA-256 of the
    model that it was converted from.
    """

    kind: ClassVar[str] = "artifact"
    format: str
    path: str
    sha256: str
    size: int
    checkpoint_id: int | None = None
    difference: float | None = None
    checkpoint_path: str | None = None
    checkpoint_sha256: str | None = None
    checkpoint_size: int | None = None
    network: str | None = None
    made_from: str | None = None


@dataclass(frozen=True)
class Failed:
    """The rank ends with an error it understood: class name, message, exit code, and whether trying again may help."""

    kind: ClassVar[str] = "failed"
    error: str
    message: str
    exit_code: int
    permanent: bool


@dataclass(frozen=True)
class Done:
    """The rank has finished all its work."""

    kind: ClassVar[str] = "done"


Report = (
    Hello
    | Phase
    | Progress
    | Metric
    | CheckpointWritten
    | CheckpointRemoved
    | Evaluated
    | ArtifactWritten
    | Failed
    | Done
)
REPORT_TYPES: Mapping[str, type[Report]] = {
    report.kind: report
    for report in (
        Hello,
        Phase,
        Progress,
        Metric,
        CheckpointWritten,
        CheckpointRemoved,
        Evaluated,
        ArtifactWritten,
        Failed,
        Done,
    )
}


class MalformedReport(ValueError):
    """A whole line that is no report of a version this reader knows."""


def encode(report: Report, at: float) -> bytes:
    """One line, newline included. `at` is its host's monotonic clock in seconds (CLOCK_MONOTONIC, since boot).

    Raises ValueError for numbers that are not finite.
    """
    line = {"v": VERSION, "at": round(at, 6), "kind": report.kind, **asdict(report)}
    return json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Report:
    """The report of one line; raises MalformedReport."""
    try:
        values: dict[str, Any] = json.loads(line)
        version = values.pop("v")
        # First of all: what the other fields of another version mean is not known.
        report = _read(values) if version == VERSION else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MalformedReport(f"{error}: {line[:200]!r}") from error
    if report is None:
        raise MalformedReport(f"version {version}, this reader knows {VERSION}: {line[:200]!r}")
    return report


def _read(values: dict[str, Any]) -> Report:
    values.pop("at")
    report_type = REPORT_TYPES[values.pop("kind")]
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(value)
    return report_type(**values)


class ReportWriter:
    """Appends reports to one file; safe for several threads of one process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._lock = threading.Lock()
        self._cut = False

    def write(self, report: Report) -> None:
        """Append one report; raises OSError (a full disk, say) when not all of it could be written."""
        line = encode(report, time.monotonic())
        with self._lock:
            # After a line that was cut: what is there of it is no report, and must not spoil this one.
            rest = b"\n" + line if self._cut else line
            while rest:
                # A disk takes what still fits, and only the next write says that it is full.
                written = os.write(self._fd, rest)
                rest = rest[written:]
                self._cut = bool(rest)

    def close(self) -> None:
        """Flush to disk and close."""
        os.fsync(self._fd)
        os.close(self._fd)


def read_lines(path: Path, offset: int, limit: int = 1 << 20) -> tuple[list[bytes], int]:
    """The whole lines from byte `offset` on (at most about `limit` bytes, or one line), and the offset after them.

    A file that is not there yet has no lines.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            block = file.read(limit)
    except FileNotFoundError:
        return [], offset
    end = block.rfind(b"\n") + 1
    if not end and len(block) == limit:  # a line longer than that; else its file would never be read on
        return read_lines(path, offset, limit * 2)
    return block[:end].split(b"\n")[:-1], offset + end
