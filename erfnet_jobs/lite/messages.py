"""What `erfnet_infer --json` prints, a document a line (ascend310_infer/README.md), as values. Stdlib only."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# Rows of the confusion matrix (classes of the truth), and its columns (those, and 'ignored').
ROWS, COLUMNS = 19, 20

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Started:
    """The model is ready: the versions of the program and of Lite, what runs the model, and the model's input.

    `engine` is as evaluations record it; `images` is how many there are; `size` is (height, width).
    """

    version: str
    lite: str
    engine: str
    images: int
    size: tuple[int, int]


@dataclass(frozen=True)
class Advanced:
    """So many images of `total` are done; rate and time left as the program knows them."""

    done: int
    total: int
    images_per_second: float | None
    eta_seconds: float | None


@dataclass(frozen=True)
class Saved:
    """An image is done: what was written, by what it is ('labels', 'color', 'overlay', 'logits')."""

    name: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class Skipped:
    """An image could not be used."""

    image: str
    reason: str


@dataclass(frozen=True)
class Measured:
    """`confusion` counts pixels by truth (19 rows) and prediction (20 columns) at height x width, over `images`."""

    height: int
    width: int
    images: int
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Phase:
    """Milliseconds that a picture took, in each of `threads` at once."""

    mean: float
    p50: float
    p95: float
    p99: float
    threads: int


@dataclass(frozen=True)
class Ended:
    """All images are done; `images` without those skipped, `peak_memory` in bytes, `phases` by name."""

    images: int
    skipped: int
    seconds: float
    images_per_second: float
    peak_memory: int
    phases: Mapping[str, Phase]
    measured: Measured | None


@dataclass(frozen=True)
class Stopped:
    """The program ends with an error: its exit code, and what is wrong."""

    exit_code: int
    message: str


Message = Started | Advanced | Saved | Skipped | Ended | Stopped


class NoMessage(ValueError):
    """A line that is none of these."""


def parse_message(line: str) -> Message:
    """The message of a line; what it has beyond what is known here is left out. Raises NoMessage."""
    try:
        document = json.loads(line)
        return _READERS[document["event"]](document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoMessage(f"{type(error).__name__}: {error}") from error


def _started(document: Document) -> Started:
    _, _, height, width = document["model"]["input"]
    return Started(
        version=str(document["version"]),
        lite=str(document["lite"]),
        engine=str(document["engine"]),
        images=int(document["images"]),
        size=(int(height), int(width)),
    )


def _advanced(document: Document) -> Advanced:
    rate, left = (document[name] for name in ("images_per_second", "eta_seconds"))
    return Advanced(int(document["done"]), int(document["total"]), _real(rate), _real(left))


def _saved(document: Document) -> Saved:
    return Saved(str(document["name"]), {str(kind): str(path) for kind, path in document["files"].items()})


def _skipped(document: Document) -> Skipped:
    return Skipped(str(document["image"]), str(document["reason"]))


def _ended(document: Document) -> Ended:
    metric = document["metric"]
    phases = document["phases_ms"]
    return Ended(
        images=int(document["images"]),
        skipped=int(document["skipped"]),
        seconds=float(document["seconds"]),
        images_per_second=float(document["images_per_second"]),
        peak_memory=int(document["peak_memory_bytes"]),
        phases={name: _phase(phase) for name, phase in phases.items()},
        measured=None if metric is None else _measured(metric),
    )


def _phase(phase: Document) -> Phase:
    mean, p50, p95, p99 = (float(phase[name]) for name in ("mean", "p50", "p95", "p99"))
    return Phase(mean, p50, p95, p99, int(phase["threads"]))


def _measured(metric: Document) -> Measured:
    confusion = tuple(tuple(_count(cell) for cell in row) for row in metric["confusion"])
    if len(confusion) != ROWS or any(len(row) != COLUMNS for row in confusion):
        raise ValueError(f"the confusion matrix is not {ROWS} x {COLUMNS}")
    sides = int(metric["height"]), int(metric["width"])
    return Measured(*sides, int(metric["images"]), confusion)


def _stopped(document: Document) -> Stopped:
    return Stopped(int(document["exit_code"]), str(document["message"]))


def _real(value: Any) -> float | None:
    return None if value is None else float(value)


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no number of pixels")
    return value


_READERS: Mapping[str, Callable[[Document], Message]] = {
    "start": _started,
    "progress": _advanced,
    "saved": _saved,
    "skipped": _skipped,
    "end": _ended,
    "error": _stopped,
}
