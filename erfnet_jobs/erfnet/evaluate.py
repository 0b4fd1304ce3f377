"""Evaluation: one confusion matrix and one mean loss over a split, for each checkpoint; one graph for all of them."""

import json
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from erfnet_jobs.erfnet.dataset import open_source
from erfnet_jobs.erfnet.inference import engine_name, folded_network, use_weights
from erfnet_jobs.erfnet.labels import IGNORE
from erfnet_jobs.erfnet.loss import SMALLEST_WEIGHT_SUM, weighted_sums
from erfnet_jobs.erfnet.metrics import Matrix, Scores, confusion_matrix, scores
from erfnet_jobs.erfnet.metrics_text import metrics_text
from erfnet_jobs.erfnet.model import OUTPUTS, label_scale
from erfnet_jobs.erfnet.prefetch import prefetch
from erfnet_jobs.erfnet.progress import PROGRESS_INTERVAL
from erfnet_jobs.erfnet.samples import Source
from erfnet_jobs.erfnet.stages import CLASS_WEIGHTS
from erfnet_jobs.erfnet.thinning import Thinning
from erfnet_jobs.erfnet.transforms import Size, prepare_image, prepare_label
from erfnet_jobs.errors import BadCheckpoint, UsageError
from erfnet_jobs.files import sha256_of, write_atomically
from erfnet_jobs.jobs import ENCODER, ERFNET, EvalSpec
from erfnet_jobs.plan import CheckpointFile, Plan
from erfnet_jobs.reports import ArtifactWritten, Evaluated, Phase, Progress, Report

# At which resolution predictions and labels meet.
PROTOCOLS = {ERFNET: "erfnet", ENCODER: "encoder-1/8"}


log = logging.getLogger(__name__)


class EvalStep(nn.Cell):
    """float32 images N x 3 x H x W, int32 labels N x h x w -> predictions (N x h x w), sum of w * ce, sum of w."""

    def __init__(self, network: nn.Cell, name: str) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.class_weights = Tensor(np.asarray(CLASS_WEIGHTS[name], np.float32))

    def construct(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = self.network(images)
        loss, weights = weighted_sums(logits, labels, self.class_weights)
        return ops.argmax(logits, 1), loss, weights


@dataclass(frozen=True)
class Measured:
    """What one checkpoint reached: its scores, and the weighted cross entropy per pixel."""

    scores: Scores
    mean_loss: float


@dataclass(frozen=True)
class _Batch:
    """Images and labels of a batch; the last one is filled up with ignored pixels, `count` are real."""

    images: NDArray[np.float32]
    labels: NDArray[np.int32]
    count: int


class Evaluation:
    """A network's measuring on one split; `measure` may be called for any number of checkpoints."""

    def __init__(self, source: Source, name: str, size: Size, batch_size: int) -> None:
        self.source, self.name, self.size, self.batch_size = source, name, size, batch_size
        self.network = folded_network(name)
        self.step = EvalStep(self.network, name)
        self.step.set_train(False)

    def measure(self, checkpoint: CheckpointFile, progress: Callable[[int], None]) -> Measured:
        """Raises BadCheckpoint and BadData; calls `progress` with the images done after each batch."""
        use_weights(self.network, self.name, checkpoint)
        matrix: Matrix = np.zeros((OUTPUTS, OUTPUTS), np.int64)
        total_loss = total_weights = 0.0
        done = 0
        with self._batches() as batches:
            for batch in batches:
                prediction, loss, weights = self.step(Tensor(batch.images), Tensor(batch.labels))
                matrix += confusion_matrix(batch.labels, prediction.asnumpy())
                total_loss += float(loss.asnumpy())
                total_weights += float(weights.asnumpy())
                done += batch.count
                progress(done)
        mean_loss = total_loss / max(total_weights, SMALLEST_WEIGHT_SUM)
        if not math.isfinite(mean_loss):
            raise BadCheckpoint(f"{checkpoint.path} cannot be measured: its loss is {mean_loss}; name another")
        return Measured(scores(matrix), mean_loss)

    def _batches(self) -> AbstractContextManager[Iterator[_Batch]]:
        return prefetch(self._load, range(0, len(self.source), self.batch_size))

    def _load(self, start: int) -> _Batch:
        samples = self.source[start : start + self.batch_size]
        scale = label_scale(self.name)
        images = np.zeros((self.batch_size, 3, *self.size), np.float32)
        labels = np.full((self.batch_size, *(side // scale for side in self.size)), IGNORE, np.int32)
        for place, sample in enumerate(samples):
            images[place] = prepare_image(sample.image, self.size)
            labels[place] = prepare_label(sample.label, self.size, scale)
        return _Batch(images, labels, len(samples))


def evaluate(plan: Plan, write: Callable[[Report], None]) -> None:
    """Measure every checkpoint of the plan, report each, and write its metrics beside the attempt's other files.

    Raises BadData, OSError, and BadCheckpoint, which comes when all others have been measured and names those that
    could not be; where these are optional ones only, it does not come unless none is left.
    """
    spec = plan.spec
    if not isinstance(spec, EvalSpec):
        raise UsageError(f"an evaluation needs an eval spec, not one of {spec.kind}")
    write(Phase("read data"))
    source = open_source(Path(spec.data), spec.split, Path(plan.data_dir))
    evaluation = Evaluation(source, spec.network, spec.size, min(spec.batch_size, len(source)))
    total = len(source) * len(plan.inputs)
    thinning = Thinning(PROGRESS_INTERVAL)
    names = _metrics_names(plan.inputs)
    faults: list[tuple[CheckpointFile, BadCheckpoint]] = []
    for number, checkpoint in enumerate(plan.inputs):
        write(Phase("evaluate", number, len(plan.inputs)))

        def progress(done: int, before: int = number * len(source)) -> None:
            if thinning.is_due(always=done == len(source)):
                write(Progress(fraction=(before + done) / total, step=before + done, steps=total))

        try:
            measured = evaluation.measure(checkpoint, progress)
        except BadCheckpoint as error:
            log.warning("left out: %s", error)
            faults.append((checkpoint, error))
            continue
        evaluated = _evaluated(plan, spec, checkpoint, source, measured)
        write(evaluated)
        _write_metrics(Path(plan.run_dir, names[number]), evaluated, write)
    _check_measured(plan.inputs, faults)


def _check_measured(inputs: Sequence[CheckpointFile], faults: Sequence[tuple[CheckpointFile, BadCheckpoint]]) -> None:
    none_left = len(faults) == len(inputs)
    if told := [str(error) for checkpoint, error in faults if none_left or not checkpoint.optional]:
        head = [f"{len(faults)} of {len(inputs)} checkpoints could not be measured:"] if len(inputs) > 1 else []
        raise BadCheckpoint("\n".join([*head, *told]))


def _metrics_names(inputs: Sequence[CheckpointFile]) -> list[str]:
    """What the metrics' files of each checkpoint are called, without suffix: its stem, and its id where stems repeat.

    The names of checkpoints hold no job, so two jobs have the same; a file without id has its place instead.
    """
    stems = [Path(checkpoint.path).stem for checkpoint in inputs]
    counts = Counter(stems)
    own = [
        f"given{place}" if checkpoint.id is None else str(checkpoint.id) for place, checkpoint in enumerate(inputs, 1)
    ]
    return [stem if counts[stem] == 1 else f"{stem}.{name}" for stem, name in zip(stems, own, strict=True)]


def _evaluated(plan: Plan, spec: EvalSpec, checkpoint: CheckpointFile, source: Source, measured: Measured) -> Evaluated:
    return Evaluated(
        checkpoint_path=checkpoint.path,
        network=spec.network,
        dataset_hash=source.dataset_hash,
        split=spec.split,
        protocol=PROTOCOLS[spec.network],
        height=spec.size[0],
        width=spec.size[1],
        engine=engine_name(plan.device_target),
        images=len(source),
        mean_iou=measured.scores.mean_iou,
        mean_iou_19=measured.scores.mean_iou_19,
        pixel_accuracy=measured.scores.pixel_accuracy,
        mean_loss=measured.mean_loss,
        iou_class=measured.scores.iou_class,
        checkpoint_id=checkpoint.id,
    )


def _write_metrics(base: Path, evaluated: Evaluated, write: Callable[[Report], None]) -> None:
    text = metrics_text(evaluated.mean_iou, evaluated.mean_loss, evaluated.iou_class)
    path = base.with_name(f"{base.name}.metrics.txt")
    write_atomically(path, text.encode())
    document = json.dumps(asdict(evaluated), indent=2).encode() + b"\n"
    write_atomically(base.with_name(f"{base.name}.metrics.json"), document)
    write(
        ArtifactWritten(
            format="metrics",
            path=path.name,
            sha256=sha256_of(path),
            size=path.stat().st_size,
            checkpoint_id=evaluated.checkpoint_id,
        )
    )
