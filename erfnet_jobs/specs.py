"""What the ranks of a job are told, one spec for each kind, and how it is written as JSON. Stdlib only."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, get_type_hints

from erfnet_jobs.choices import (
    ENCODER,
    ERFNET,
    EXPORT_FORMATS,
    HALF,
    HEADS,
    LITE,
    LOGITS,
    MAX_EXPORT_PIXELS,
    MINDIR,
    NETWORKS,
    PROTOCOLS,
    REFERENCE_SIZE,
    SPLITS,
)
from erfnet_jobs.errors import UsageError
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.spec_checks import check_common, require, require_folder, whole
from erfnet_jobs.states import JobKind
from erfnet_jobs.train_spec import TrainSpec


@dataclass(frozen=True)
class EvalSpec:
    """Measure checkpoints on a split: loss and per-class IoU at `size` (height, width), on `cards` ranks.

    `checkpoints` are references (id, path, JOB:best, JOB:last, JOB:all); `network` is 'erfnet' or 'encoder';
    `batch_size` is images per rank. `protocol` says where predictions and labels meet: 'half' at the network's size,
    'full' at the label's own. Predictions go as labelIds PNGs into `save_predictions` (None: nowhere); `worst` is how
    many of the images with the lowest mean IoU are drawn.
    """

    kind: ClassVar[JobKind] = JobKind.EVAL
    checkpoints: tuple[str, ...]
    data: str
    split: str = "val"
    network: str = ERFNET
    size: tuple[int, int] = REFERENCE_SIZE
    batch_size: int = 1
    cards: int = 1
    protocol: str = HALF
    save_predictions: str | None = None
    worst: int = 8

    def __post_init__(self) -> None:
        check_common(self.cards, self.size, self.batch_size)
        require(self.protocol in PROTOCOLS, "protocol", self.protocol, f"give one of {', '.join(PROTOCOLS)}")
        require_folder("save predictions", self.save_predictions)
        require(whole(self.worst, 0, 1000), "worst", self.worst, "give a number from 0 to 1000 (images to draw)")
        require(bool(self.checkpoints), "checkpoint", self.checkpoints, "name at least one checkpoint")
        require(self.split in SPLITS, "split", self.split, f"give one of {', '.join(SPLITS)}")
        require(self.network in NETWORKS, "network", self.network, f"give one of {', '.join(NETWORKS)}")

    @property
    def recorded_protocol(self) -> str:
        """As reports name it: 'half' or 'full', and 'encoder-half' or 'encoder-full', which never compare with them."""
        return f"{ENCODER}-{self.protocol}" if self.network == ENCODER else self.protocol


@dataclass(frozen=True)
class ExportSpec:
    """Write a checkpoint's network as files for inference, for input `batch` x 3 x height x width.

    `formats` are the kinds of file ('lite' also writes the ONNX that it is made from); `head` says what comes out:
    'logits', or with 'argmax' the train ids. A batch has at most MAX_EXPORT_PIXELS pixels.
    """

    kind: ClassVar[JobKind] = JobKind.EXPORT
    checkpoint: str
    formats: tuple[str, ...] = (MINDIR,)
    size: tuple[int, int] = REFERENCE_SIZE
    cards: int = 1
    batch: int = 1
    head: str = LOGITS

    def __post_init__(self) -> None:
        check_common(self.cards, self.size, 1)
        require(whole(self.batch, 1, 1024), "batch", self.batch, "give a number from 1 to 1024 (images at a time)")
        self._check_pixels()
        require(
            self.batch == 1 or LITE not in self.formats,
            "batch",
            self.batch,
            f"give 1 for {LITE}: the C++ program that runs it takes one image at a time",
        )
        require(self.head in HEADS, "head", self.head, f"give one of {', '.join(HEADS)}")
        require(self.cards == 1, "cards", self.cards, "an export runs on one device")
        require(
            bool(self.formats) and set(self.formats) <= set(EXPORT_FORMATS),
            "format",
            ",".join(self.formats),
            f"give {', '.join(EXPORT_FORMATS)}, or several with commas between them",
        )
        require(len(set(self.formats)) == len(self.formats), "format", ",".join(self.formats), "give each format once")

    def _check_pixels(self) -> None:
        """Raise UsageError where the proof of the file would take more memory than hosts have."""
        height, width = self.size
        most = MAX_EXPORT_PIXELS // (height * width)
        why = "the file is run to prove it, and each image of 512x1024 takes 0.4 GB for that"
        require(
            most > 0,
            "size",
            f"{height}x{width}",
            f"give one of at most {MAX_EXPORT_PIXELS:,} pixels, such as 4096x4096; {why}",
        )
        require(self.batch <= most, "batch", self.batch, f"at {height}x{width} give at most {most}; {why}")


@dataclass(frozen=True)
class InferSpec:
    """Segment pictures with a checkpoint: overlays, label maps, and ground truth beside them where it is known.

    `images` is a folder of pictures or a Cityscapes-layout dataset (then `split` chooses, and input, ground truth and
    prediction stand side by side); `limit` ends after that many pictures; `output` (None: the run's folder) is where
    the pictures go; into `logits` (None: nowhere) go the network's logits, a NAME.npy for each picture.
    """

    kind: ClassVar[JobKind] = JobKind.INFER
    checkpoint: str
    images: str
    split: str = "val"
    size: tuple[int, int] = REFERENCE_SIZE
    limit: int | None = None
    output: str | None = None
    cards: int = 1
    logits: str | None = None

    def __post_init__(self) -> None:
        check_common(self.cards, self.size, 1)
        require(self.cards == 1, "cards", self.cards, "an inference job runs on one device")
        require(self.split in SPLITS, "split", self.split, f"give one of {', '.join(SPLITS)}")
        require(self.limit is None or whole(self.limit, 1, 2**31), "limit", self.limit, "give a whole number from 1")
        require_folder("output", self.output)
        require_folder("logits", self.logits)


Spec = TrainSpec | EvalSpec | ExportSpec | InferSpec | Infer310Spec
SPEC_TYPES: Mapping[JobKind, type[Spec]] = {
    spec.kind: spec for spec in (TrainSpec, EvalSpec, ExportSpec, InferSpec, Infer310Spec)
}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def spec_to_dict(spec: Spec) -> dict[str, Any]:
    """A JSON-ready mapping of the spec, its kind included."""
    return {"kind": str(spec.kind), **asdict(spec)}


def spec_to_json(spec: Spec) -> str:
    """`spec_to_dict` as JSON with sorted keys."""
    return json.dumps(spec_to_dict(spec), sort_keys=True, allow_nan=False)


def spec_from_dict(document: Mapping[str, Any]) -> Spec:
    """The spec of such a mapping.

    Raises UsageError for an unknown kind, for keys that the kind does not have, and for values out of range.
    """
    values = dict(document)
    kind = values.pop("kind", None)
    if not isinstance(kind, str) or kind not in set(SPEC_TYPES):
        raise UsageError(f"job kind is {kind!r}: give one of {', '.join(SPEC_TYPES)}")
    spec_type = SPEC_TYPES[JobKind(kind)]
    known = {entry.name for entry in fields(spec_type)}
    if unknown := sorted(set(values) - known):
        raise UsageError(f"a job of kind {kind} has no {', '.join(unknown)}: it has {', '.join(sorted(known))}")
    try:
        return spec_type(**{name: _tuples(value) for name, value in values.items()})
    except TypeError as error:
        hints = ", ".join(sorted(get_type_hints(spec_type)))
        raise UsageError(f"a job of kind {kind} cannot be read ({error}): it needs {hints}") from error


def spec_from_json(text: str) -> Spec:
    """The spec of JSON written by `spec_to_json`; raises UsageError as `spec_from_dict`."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"a job spec is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"a job spec is {document!r}: give a JSON object")
    return spec_from_dict(document)


def known_spec(text: str) -> Spec | None:
    """The spec of JSON in a registry; None where another version of the program wrote what this one does not know."""
    try:
        return spec_from_json(text)
    except UsageError:
        return None
