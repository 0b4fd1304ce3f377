"""The metric of one 512x1024 image: our confusion matrix against counting with one-hot arrays, interleaved."""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
from numpy.typing import NDArray

from erfnet_jobs.erfnet.labels import CLASSES, IGNORE, OUTPUTS
from erfnet_jobs.erfnet.metrics import confusion_matrix
from tests.benchmarks.rows import Row

SIZE = (512, 1024)
ROUNDS = 15
Labels = NDArray[np.uint8]


def one_hot_counts(label: Labels, prediction: Labels) -> NDArray[np.int64]:
    """Hits, false positives and misses of the 19 classes (3 x 19), by products of one-hot float32 arrays."""
    truth, guess = _one_hot(label), _one_hot(prediction)
    labelled = 1 - truth[IGNORE]
    truth, guess = truth[:CLASSES], guess[:CLASSES]
    hits = (truth * guess).sum((1, 2))
    return np.stack([hits, (guess * (1 - truth) * labelled).sum((1, 2)), (truth * (1 - guess)).sum((1, 2))]).astype(int)


def _one_hot(label: Labels) -> NDArray[np.float32]:
    planes = np.zeros((OUTPUTS, *label.shape), np.float32)
    np.put_along_axis(planes, label[None].astype(np.int64), 1, 0)
    return planes


def counts_of(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same counts from a confusion matrix."""
    counted = matrix[:IGNORE]
    hits = np.diagonal(counted)
    return np.stack([hits, counted[:, :CLASSES].sum(0) - hits, counted.sum(1) - hits])


def _image() -> tuple[Labels, Labels]:
    """Blocks of classes, and a prediction with a fifth of its pixels wrong."""
    chance = np.random.default_rng(0)
    label = np.kron(chance.integers(0, OUTPUTS, (32, 64), np.uint8), np.ones((16, 16), np.uint8))
    wrong = chance.random(SIZE) < 0.2
    return label, np.where(wrong, chance.integers(0, OUTPUTS, SIZE, np.uint8), label)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def run() -> list[Row]:
    """Milliseconds for one image at best, and how many times longer one-hot arrays take."""
    label, prediction = _image()
    wide = label.astype(np.int32)
    matrix = confusion_matrix(label, prediction)
    if (counts_of(matrix) != one_hot_counts(label, prediction)).any():
        raise AssertionError("the two ways count differently")
    ours, others = [], []
    for _ in range(ROUNDS):
        ours.append(_seconds(lambda: confusion_matrix(wide, prediction)))
        others.append(_seconds(lambda: one_hot_counts(label, prediction)))
    ratios = [slow / fast for slow, fast in zip(others, ours, strict=True)]
    return [
        Row("metric of a 512x1024 image", 1000 * min(ours), "ms", "", "under 1.5 ms"),
        Row("one-hot arrays take longer by", median(ratios), "x", "our confusion matrix", "at least 25"),
    ]
