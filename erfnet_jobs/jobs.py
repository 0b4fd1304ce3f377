"""What a user asks for, and the states it goes through. Stdlib only.

A spec is what the ranks need to know; how it is placed and retried (`Request`) is what the workers need to know.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar, get_type_hints

from erfnet_jobs.errors import UsageError


class JobKind(StrEnum):
    """The five kinds of job; each has a queue of its own."""

    TRAIN = "train"
    EVAL = "eval"
    EXPORT = "export"
    INFER = "infer"
    INFER_310 = "310-infer"


class JobState(StrEnum):
    """The states of a job; the last four are terminal."""

    WAITING = "waiting"
    QUEUED = "queued"
    ASSIGNED = "assigned"
    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"
    CANCELLED = "cancelled"
    STUCK = "stuck"
    TIMED_OUT = "timed_out"


class PartState(StrEnum):
    """The states of a placement: an attempt's part on one host. `ended` means that no process of it is left there."""

    ASSIGNED = "assigned"
    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"


TERMINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.SKIPPED})
PLACED = frozenset({JobState.ASSIGNED, JobState.STARTING, JobState.RUNNING})

TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    JobState.WAITING: frozenset({JobState.QUEUED, JobState.SKIPPED, JobState.CANCELLED}),
    JobState.QUEUED: frozenset({JobState.ASSIGNED, JobState.FAILED, JobState.CANCELLED}),
    JobState.ASSIGNED: frozenset({JobState.STARTING, JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
    JobState.STARTING: frozenset(
        {JobState.RUNNING, JobState.SUCCEEDED, JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}
    ),
    JobState.RUNNING: frozenset({JobState.SUCCEEDED, JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
    **{state: frozenset() for state in TERMINAL},
}

ERFNET = "erfnet"
ENCODER = "encoder"
NETWORKS = (ERFNET, ENCODER)
SPLITS = ("train", "val", "test")
AUGMENTATIONS = ("flip", "translate", "crop", "blur")
DEFAULT_AUGMENT = ("crop", "flip")
# Where predictions and labels meet: at the network's size, or at the label's own.
HALF = "half"
FULL = "full"
PROTOCOLS = (HALF, FULL)
MINDIR = "mindir"
ONNX = "onnx"
EXPORT_FORMATS = (MINDIR, ONNX)
LOGITS = "logits"
ARGMAX = "argmax"
HEADS = (LOGITS, ARGMAX)
# How a MindRecord stores frames: PNGs without compression, for speed, or each file as it was found.
RAW = "raw"
FOUND = "found"
STORES = (RAW, FOUND)
STAGES = (1, 2, 3, 4)

# How the first learning rate follows the number of cards.
LR_SCALINGS: Mapping[str, Callable[[int], float]] = {"none": lambda _cards: 1.0, "linear": float, "sqrt": math.sqrt}
# MindSpore's levels of automatic mixed precision (mindspore.amp.auto_mixed_precision).
AMP_LEVELS = ("O0", "O1", "O2", "O3", "auto")

# The reference port's recipe (mindspore-ai/models, research/cv/erfnet): epochs of its four stages, batch per rank,
# height x width, and the first learning rate on one card; on its four cards it has 1e-3, which is sqrt(4) times that.
REFERENCE_EPOCHS = (65, 85, 65, 85)
REFERENCE_BATCH_SIZE = 6
REFERENCE_SIZE = (512, 1024)
REFERENCE_LR = 5e-4

MAX_CARDS = 4096
DOWNSAMPLING = 8


def _require(condition: bool, name: str, value: object, remedy: str) -> None:
    if not condition:
        raise UsageError(f"{name} is {value!r}: {remedy}")


def _whole(value: object, low: int, high: int) -> bool:
    """Whether it is a whole number in that range; True is none, and neither is 1.0."""
    return type(value) is int and low <= value <= high


def _check_common(cards: int, size: tuple[int, int], batch_size: int) -> None:
    _require(_whole(cards, 1, MAX_CARDS), "cards", cards, f"give a number from 1 to {MAX_CARDS}")
    _require(_whole(batch_size, 1, 1024), "batch size", batch_size, "give a number from 1 to 1024 (images per rank)")
    _require(
        len(size) == 2 and all(_whole(side, 64, 8192) and side % DOWNSAMPLING == 0 for side in size),
        "size",
        size,
        f"give HEIGHTxWIDTH, both multiples of {DOWNSAMPLING} from 64 to 8192, such as 512x1024",
    )


@dataclass(frozen=True)
class TrainSpec:
    """Train ERFNet's stages one after another in one gang.

    `batch_size` is images per rank; `size` is (height, width) in pixels; `lr` is the first learning rate of a pair of
    stages on one card (None: the reference's), and `scale_lr` how it follows the cards (None: not at all where `lr` is
    given, else by their square root). `checkpoint` names the weights from which a first stage other than 1 starts, or
    `from_scratch` says that it starts from random ones. `keep` is how many of the newest checkpoints of each stage stay
    on disk beside its best, `validate_every` after how many epochs the validation split is measured (0: never), `amp`
    the level of mixed precision (None: the device's default), `augment` names what is done to images by chance.
    """

    kind: ClassVar[JobKind] = JobKind.TRAIN
    data: str
    cards: int = 1
    stages: tuple[int, ...] = STAGES
    epochs: tuple[int, ...] = REFERENCE_EPOCHS
    batch_size: int = REFERENCE_BATCH_SIZE
    lr: float | None = None
    size: tuple[int, int] = REFERENCE_SIZE
    seed: int = 1
    checkpoint: str | None = None
    keep: int = 3
    scale_lr: str | None = None
    from_scratch: bool = False
    validate_every: int = 1
    amp: str | None = None
    augment: tuple[str, ...] = DEFAULT_AUGMENT

    def __post_init__(self) -> None:
        _check_common(self.cards, self.size, self.batch_size)
        contiguous = [STAGES[first:end] for first in range(len(STAGES)) for end in range(first + 1, len(STAGES) + 1)]
        _require(
            self.stages in contiguous and all(_whole(stage, 1, len(STAGES)) for stage in self.stages),
            "stages",
            self.stages,
            "give a range within 1-4, such as 1-4 or 3-4",
        )
        _require(
            len(self.epochs) == len(STAGES) and all(_whole(epoch, 1, 100_000) for epoch in self.epochs),
            "epochs",
            self.epochs,
            "give four whole numbers from 1, one for each stage, such as 65,85,65,85",
        )
        _require(self.lr is None or 0 < self.lr <= 1, "lr", self.lr, "give a number above 0 and up to 1")
        _require(_whole(self.seed, 0, 2**31 - 1), "seed", self.seed, "give a whole number from 0 to 2147483647")
        _require(_whole(self.keep, 1, 2**31), "keep", self.keep, "keep at least one checkpoint")
        _require(bool(self.data), "data", self.data, "give a dataset folder or a MindRecord")
        _require(
            self.scale_lr in (None, *LR_SCALINGS), "scale_lr", self.scale_lr, f"give one of {', '.join(LR_SCALINGS)}"
        )
        _require(self.amp in (None, *AMP_LEVELS), "amp", self.amp, f"give one of {', '.join(AMP_LEVELS)}")
        _require(
            _whole(self.validate_every, 0, 100_000),
            "validate every",
            self.validate_every,
            "give epochs, or 0 for never",
        )
        _require(
            isinstance(self.augment, tuple)
            and len(set(self.augment)) == len(self.augment)
            and set(self.augment) <= set(AUGMENTATIONS),
            "augment",
            self.augment,
            f"give some of {', '.join(AUGMENTATIONS)}, each once, or none",
        )
        self._check_start()

    def _check_start(self) -> None:
        _require(
            self.stages[0] == 1 or self.checkpoint is not None or self.from_scratch,
            "checkpoint",
            self.checkpoint,
            f"stage {self.stages[0]} starts from weights: name them with --checkpoint, or say --from-scratch",
        )
        _require(
            not (self.from_scratch and self.checkpoint is not None),
            "checkpoint",
            self.checkpoint,
            "--from-scratch starts from random weights: leave one of the two out",
        )
        _require(
            self.stages[0] != 1 or self.checkpoint is None,
            "checkpoint",
            self.checkpoint,
            "stage 1 starts from random weights: leave --checkpoint out or give --stages 2-4",
        )

    @property
    def first_lr(self) -> float:
        """The learning rate at epoch 0, on all cards."""
        return self.base_lr * LR_SCALINGS[self.lr_scaling](self.cards)

    @property
    def base_lr(self) -> float:
        """The learning rate at epoch 0 on one card."""
        return REFERENCE_LR if self.lr is None else self.lr

    @property
    def lr_scaling(self) -> str:
        """How the learning rate follows the cards: one of LR_SCALINGS."""
        if self.scale_lr is not None:
            return self.scale_lr
        return "sqrt" if self.lr is None else "none"

    @property
    def global_batch(self) -> int:
        """Images of all ranks together in one step."""
        return self.batch_size * self.cards


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
        _check_common(self.cards, self.size, self.batch_size)
        _require(self.protocol in PROTOCOLS, "protocol", self.protocol, f"give one of {', '.join(PROTOCOLS)}")
        _require(
            self.save_predictions is None or (isinstance(self.save_predictions, str) and self.save_predictions != ""),
            "save predictions",
            self.save_predictions,
            "give a folder",
        )
        _require(_whole(self.worst, 0, 1000), "worst", self.worst, "give a number from 0 to 1000 (images to draw)")
        _require(bool(self.checkpoints), "checkpoint", self.checkpoints, "name at least one checkpoint")
        _require(self.split in SPLITS, "split", self.split, f"give one of {', '.join(SPLITS)}")
        _require(self.network in NETWORKS, "network", self.network, f"give one of {', '.join(NETWORKS)}")

    @property
    def recorded_protocol(self) -> str:
        """As reports name it: 'half' or 'full', and 'encoder-half' or 'encoder-full', which never compare with them."""
        return f"{ENCODER}-{self.protocol}" if self.network == ENCODER else self.protocol


@dataclass(frozen=True)
class ExportSpec:
    """Write a checkpoint's network as files for inference, for input `batch` x 3 x height x width.

    `formats` are the kinds of file; `head` says what comes out: 'logits', or with 'argmax' the train ids.
    """

    kind: ClassVar[JobKind] = JobKind.EXPORT
    checkpoint: str
    formats: tuple[str, ...] = (MINDIR,)
    size: tuple[int, int] = REFERENCE_SIZE
    cards: int = 1
    batch: int = 1
    head: str = LOGITS

    def __post_init__(self) -> None:
        _check_common(self.cards, self.size, 1)
        _require(_whole(self.batch, 1, 1024), "batch", self.batch, "give a number from 1 to 1024 (images at a time)")
        _require(self.head in HEADS, "head", self.head, f"give one of {', '.join(HEADS)}")
        _require(self.cards == 1, "cards", self.cards, "an export runs on one device")
        _require(
            bool(self.formats) and set(self.formats) <= set(EXPORT_FORMATS),
            "format",
            ",".join(self.formats),
            f"give {', '.join(EXPORT_FORMATS)}, or several with commas between them",
        )
        _require(len(set(self.formats)) == len(self.formats), "format", ",".join(self.formats), "give each format once")


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
        _check_common(self.cards, self.size, 1)
        _require(self.cards == 1, "cards", self.cards, "an inference job runs on one device")
        _require(self.split in SPLITS, "split", self.split, f"give one of {', '.join(SPLITS)}")
        _require(self.limit is None or _whole(self.limit, 1, 2**31), "limit", self.limit, "give a whole number from 1")


Spec = TrainSpec | EvalSpec | ExportSpec | InferSpec
SPEC_TYPES: Mapping[JobKind, type[Spec]] = {spec.kind: spec for spec in (TrainSpec, EvalSpec, ExportSpec, InferSpec)}


@dataclass(frozen=True)
class Request:
    """A job to submit: its spec, and how it is placed and retried.

    `priority`: higher goes first. `devices`: exactly these of `host`. `after`: jobs that must succeed first.
    """

    spec: Spec
    name: str | None = None
    priority: int = 0
    host: str | None = None
    devices: tuple[int, ...] | None = None
    max_attempts: int = 3
    after: tuple[int, ...] = field(default=())

    def __post_init__(self) -> None:
        _require(_whole(self.max_attempts, 1, 100), "max attempts", self.max_attempts, "give a number from 1 to 100")
        _require(_whole(self.priority, -1000, 1000), "priority", self.priority, "give a number from -1000 to 1000")
        if self.devices is not None:
            _require(
                len(set(self.devices)) == len(self.devices) == self.spec.cards,
                "devices",
                self.devices,
                f"give {self.spec.cards} different device ids, as many as cards",
            )


@dataclass(frozen=True)
class Part:
    """What one host gets of an attempt: logical device ids, ascending, and the rank of the first of them."""

    host: str
    devices: tuple[int, ...]
    first_rank: int


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
        raise UsageError(f"a {kind} job has no {', '.join(unknown)}: it has {', '.join(sorted(known))}")
    try:
        return spec_type(**{name: _tuples(value) for name, value in values.items()})
    except TypeError as error:
        hints = ", ".join(sorted(get_type_hints(spec_type)))
        raise UsageError(f"a {kind} job cannot be read ({error}): it needs {hints}") from error


def spec_from_json(text: str) -> Spec:
    """The spec of JSON written by `spec_to_json`; raises UsageError as `spec_from_dict`."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"a job spec is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"a job spec is {document!r}: give a JSON object")
    return spec_from_dict(document)
