"""Intersection over union from one confusion matrix, as Cityscapes' official script counts it.

That is cityscapesScripts' evaluation/evalPixelLevelSemanticLabeling.py.
Pixels whose truth is ignored count nowhere; a pixel predicted as ignored is a miss of its true class.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from erfnet_jobs.erfnet.labels import CLASSES, IGNORE, OUTPUTS

Matrix = NDArray[np.int64]


def confusion_matrix(labels: NDArray[np.integer], predictions: NDArray[np.integer]) -> Matrix:
    """Pixels by [truth, prediction], OUTPUTS x OUTPUTS; both arrays have one shape and values 0 to 19."""
    cells = labels.reshape(-1).astype(np.int64) * OUTPUTS + predictions.reshape(-1)
    return np.bincount(cells, minlength=OUTPUTS * OUTPUTS).reshape(OUTPUTS, OUTPUTS)


@dataclass(frozen=True)
class Scores:
    """`iou_class` has 19 entries, None where a class occurs in neither truth nor prediction.

    `mean_iou` averages the others (0 where there are none), `mean_iou_19` counts absent classes as 0; `pixel_accuracy`
    is the share of labelled pixels that are right.
    """

    iou_class: tuple[float | None, ...]
    mean_iou: float
    mean_iou_19: float
    pixel_accuracy: float


def scores(matrix: Matrix) -> Scores:
    """The scores of a confusion matrix."""
    counted = matrix[:IGNORE]
    hits = np.diagonal(counted).astype(np.float64)
    unions = counted.sum(axis=1) + counted[:, :CLASSES].sum(axis=0) - hits
    ious = tuple(float(hit / union) if union else None for hit, union in zip(hits, unions, strict=True))
    present = [iou for iou in ious if iou is not None]
    pixels = int(counted.sum())
    return Scores(
        iou_class=ious,
        mean_iou=sum(present) / len(present) if present else 0.0,
        mean_iou_19=sum(present) / CLASSES,
        pixel_accuracy=float(hits.sum() / pixels) if pixels else 0.0,
    )
