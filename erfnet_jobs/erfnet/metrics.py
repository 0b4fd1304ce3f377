"""Intersection over union from one confusion matrix, as Cityscapes' official script counts it.

That is cityscapesScripts' evaluation/evalPixelLevelSemanticLabeling.py; a test holds them equal.
Pixels whose truth is ignored count nowhere; a pixel predicted as ignored is a miss of its true class.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from erfnet_jobs.erfnet.labels import CATEGORIES, CLASSES, IGNORE, OUTPUTS

Matrix = NDArray[np.int64]


def confusion_matrix(labels: NDArray[np.integer], predictions: NDArray[np.integer]) -> Matrix:
    """Pixels by [truth, prediction], OUTPUTS x OUTPUTS; both arrays have one shape and values 0 to 19."""
    # 16 bits hold every cell's number, and half the memory to go through is half the time; bincount widens them.
    cells = np.multiply(labels, OUTPUTS, dtype=np.uint16, casting="unsafe")
    np.add(cells, predictions, out=cells, casting="unsafe")
    return np.bincount(cells.reshape(-1), minlength=OUTPUTS * OUTPUTS).reshape(OUTPUTS, OUTPUTS)


@dataclass(frozen=True)
class Scores:
    """`iou_class` has 19 entries, `iou_category` 7; None where one occurs in neither truth nor prediction.

    `mean_iou` and `mean_iou_category` average those that do (0 where there are none), `mean_iou_19` counts absent
    classes as 0; `pixel_accuracy` is the share of labelled pixels that are right.
    """

    iou_class: tuple[float | None, ...]
    iou_category: tuple[float | None, ...]
    mean_iou: float
    mean_iou_19: float
    mean_iou_category: float
    pixel_accuracy: float


def scores(matrix: Matrix) -> Scores:
    """The scores of a confusion matrix."""
    counted = matrix[:IGNORE]
    classes = _ious(counted[:, :CLASSES], counted.sum(axis=1))
    pixels = int(counted.sum())
    present = [iou for iou in classes if iou is not None]
    return Scores(
        iou_class=classes,
        iou_category=_category_ious(counted),
        mean_iou=_mean(classes),
        mean_iou_19=sum(present) / CLASSES,
        mean_iou_category=_mean(_category_ious(counted)),
        pixel_accuracy=float(np.diagonal(counted).sum()) / pixels if pixels else 0.0,
    )


def _category_ious(counted: Matrix) -> tuple[float | None, ...]:
    """A pixel of one class taken for another of its category is a hit of the category."""
    starts = [train_ids.start for _, train_ids in CATEGORIES]
    rows = np.add.reduceat(counted, starts, axis=0)
    return _ious(np.add.reduceat(rows[:, :CLASSES], starts, axis=1), rows.sum(axis=1))


def _ious(square: Matrix, truths: NDArray[np.int64]) -> tuple[float | None, ...]:
    """Of a square matrix and the pixels that are truly of each row, those predicted as ignored among them."""
    hits = np.diagonal(square)
    unions = truths + square.sum(axis=0) - hits
    return tuple(int(hit) / int(union) if union else None for hit, union in zip(hits, unions, strict=True))


def _mean(ious: Sequence[float | None]) -> float:
    present = [iou for iou in ious if iou is not None]
    return sum(present) / len(present) if present else 0.0
