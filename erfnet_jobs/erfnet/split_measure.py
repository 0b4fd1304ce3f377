"""Measuring a network on a split, by all ranks together: one confusion matrix, one loss.

Every rank takes every world_size-th image, each image exactly once; what they found is added without rounding, so the
matrix is the same on any number of ranks. Evaluations use this, and trainings after an epoch.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray
from PIL import Image

from erfnet_jobs.choices import FULL, HALF
from erfnet_jobs.erfnet.batches import MAX_THREADS
from erfnet_jobs.erfnet.exact_sums import join_over_ranks, sum_over_ranks
from erfnet_jobs.erfnet.labels import IGNORE, OUTPUTS
from erfnet_jobs.erfnet.loss import SMALLEST_WEIGHT_SUM, weighted_losses
from erfnet_jobs.erfnet.metrics import Matrix, Scores, confusion_matrix, scores
from erfnet_jobs.erfnet.pictures import Pixels
from erfnet_jobs.erfnet.prefetch import prefetch
from erfnet_jobs.erfnet.same_data import check_same_data
from erfnet_jobs.erfnet.samples import Sample, Source
from erfnet_jobs.erfnet.stages import CLASS_WEIGHTS, LABEL_SCALES
from erfnet_jobs.erfnet.transforms import Size, prepare_image, prepare_label

# Takes a sample and its prediction at the network's output size: uint8 h x w, train ids.
Keep = Callable[[Sample, Pixels], None]


class EvalStep(nn.Cell):
    """float32 images N x 3 x H x W, int32 labels N x h x w -> predictions (uint8 N x h x w), w * ce of rows (N x h).

    Rows and not one sum: float32 loses digits over half a million pixels, and the host adds float64.
    """

    def __init__(self, network: nn.Cell, name: str) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.class_weights = Tensor(np.asarray(CLASS_WEIGHTS[name], np.float32))

    def construct(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(images)
        losses, _ = weighted_losses(logits, labels, self.class_weights)
        return ops.cast(ops.argmax(logits, 1), mindspore.uint8), losses.sum(-1)


@dataclass(frozen=True)
class Measured:
    """What a network reached on a split, the same on all ranks.

    `matrix` counts pixels by [truth, prediction]; `mean_loss` is the weighted cross entropy, sum(w * ce) / sum(w) over
    the labelled pixels at the network's output size under either protocol, and not finite where the network's output is
    not; `image_ious` has each image's own mean IoU, NaN where nothing in it is labelled.
    """

    scores: Scores
    mean_loss: float
    matrix: Matrix
    image_ious: NDArray[np.float64]


@dataclass(frozen=True)
class _Batch:
    """Images and labels at the network's sizes, filled up with black and ignored ones; `samples` are the real ones."""

    places: Sequence[int]
    samples: list[Sample]
    images: NDArray[np.float32]
    labels: NDArray[np.int32]


@dataclass
class _Tally:
    """What one rank has counted: confusion, labelled pixels by class at the network's size, and values by image."""

    images: int
    matrix: Matrix = field(default_factory=lambda: np.zeros((OUTPUTS, OUTPUTS), np.int64))
    labelled: NDArray[np.int64] = field(default_factory=lambda: np.zeros(OUTPUTS, np.int64))

    def __post_init__(self) -> None:
        self.losses = np.zeros(self.images)
        self.ious = np.zeros(self.images)


class SplitMeasure:
    """Measures `network` (called `name`) on the images of `source` at `size` (height, width).

    `network` may be shared with a training; it computes with the weights that it has when `measure` is called, and is
    left in inference mode: who trains on calls set_train(True). Its graph is compiled once. `protocol` 'half' compares
    at the network's size with labels resized (nearest), as erfnet_pytorch's eval_iou.py; 'full' resizes predictions
    (nearest) to each label's own size, as its eval_cityscapes_server.py. `threads` load side by side.
    """

    def __init__(
        self,
        source: Source,
        network: nn.Cell,
        name: str,
        size: Size,
        batch_size: int,
        *,
        protocol: str = HALF,
        rank: int = 0,
        world_size: int = 1,
        threads: int = 1,
    ) -> None:
        self.source, self.network, self.name, self.size, self.protocol = source, network, name, size, protocol
        self.rank, self.world_size, self.threads = rank, world_size, min(threads, MAX_THREADS)
        self.own = range(rank, len(source), world_size)
        self.batch_size = max(1, min(batch_size, len(self.own)))
        self.step = EvalStep(network, name)
        self._agreed = world_size == 1

    def measure(self, progress: Callable[[int], None] | None = None, keep: Keep | None = None) -> Measured:
        """All ranks call this together; raises BadData.

        `progress` gets the images done on all ranks, as far as this one knows; `keep` each prediction of this rank.
        """
        self._agree()
        self.step.set_train(False)
        tally = _Tally(len(self.source))
        with self._batches(self.own) as batches:
            for batch in batches:
                self._count(batch, tally, keep)
                if progress:
                    done = (batch.places[-1] - self.rank) // self.world_size + 1
                    progress(min(done * self.world_size, len(self.source)))
        return self._summed(tally)

    def predict(self, places: Sequence[int]) -> Iterator[tuple[Sample, Pixels]]:
        """Samples and predictions (uint8 h x w) of some images, by this rank alone."""
        self.step.set_train(False)
        with self._batches(places) as batches:
            for batch in batches:
                predictions, _ = self._run(batch)
                yield from zip(batch.samples, predictions, strict=False)

    def _agree(self) -> None:
        """Raise BadData where the ranks do not see the same images."""
        if not self._agreed:
            check_same_data(len(self.source), "\0".join(self.source.names), self.rank, self.world_size)
            self._agreed = True

    def _batches(self, places: Sequence[int]) -> AbstractContextManager[Iterator[_Batch]]:
        batches = [places[at : at + self.batch_size] for at in range(0, len(places), self.batch_size)]
        return prefetch(self._load, batches, ahead=self.threads + 1, threads=self.threads)

    def _load(self, places: Sequence[int]) -> _Batch:
        scale = LABEL_SCALES[self.name]
        samples = [self.source[place] for place in places]
        images = np.zeros((self.batch_size, 3, *self.size), np.float32)
        labels = np.full((self.batch_size, *(side // scale for side in self.size)), IGNORE, np.int32)
        for row, sample in enumerate(samples):
            images[row] = prepare_image(sample.image, self.size)
            labels[row] = prepare_label(sample.label, self.size, scale)
        return _Batch(places, samples, images, labels)

    def _run(self, batch: _Batch) -> tuple[Pixels, NDArray[np.float32]]:
        predictions, losses = self.step(Tensor(batch.images), Tensor(batch.labels))
        return predictions.asnumpy(), losses.asnumpy()

    def _count(self, batch: _Batch, tally: _Tally, keep: Keep | None) -> None:
        predictions, losses = self._run(batch)
        for row, (place, sample) in enumerate(zip(batch.places, batch.samples, strict=True)):
            matrix, labelled = self._confusion(sample, batch.labels[row], predictions[row])
            tally.matrix += matrix
            tally.labelled += labelled
            tally.losses[place] = losses[row].sum(dtype=np.float64)
            tally.ious[place] = scores(matrix).mean_iou if matrix[:IGNORE].any() else math.nan
            if keep:
                keep(sample, predictions[row])

    def _confusion(
        self, sample: Sample, label: NDArray[np.int32], prediction: Pixels
    ) -> tuple[Matrix, NDArray[np.int64]]:
        """By the protocol; and the label's pixels by class at the network's size, which the loss is of."""
        if self.protocol == FULL:
            full = confusion_matrix(sample.label, enlarged(prediction, sample.label.shape))
            return full, np.bincount(label.reshape(-1), minlength=OUTPUTS)
        matrix = confusion_matrix(label, prediction)
        return matrix, matrix.sum(axis=1)

    def _summed(self, tally: _Tally) -> Measured:
        counts = np.concatenate([tally.matrix.reshape(-1), tally.labelled])
        counts = sum_over_ranks(counts, self.world_size)
        losses = join_over_ranks(tally.losses, self.own, self.world_size)
        weights = float(counts[-OUTPUTS:] @ np.asarray(CLASS_WEIGHTS[self.name]))
        matrix = counts[:-OUTPUTS].reshape(OUTPUTS, OUTPUTS)
        return Measured(
            scores=scores(matrix),
            # In order of images, whichever rank had them.
            mean_loss=float(losses.sum()) / max(weights, SMALLEST_WEIGHT_SUM),
            matrix=matrix,
            image_ious=join_over_ranks(tally.ious, self.own, self.world_size),
        )


def enlarged(prediction: Pixels, size: tuple[int, ...]) -> Pixels:
    """A prediction (uint8 h x w) at another size (height, width), by the nearest pixel."""
    height, width = size
    return np.asarray(Image.fromarray(prediction).resize((width, height), Image.Resampling.NEAREST))
