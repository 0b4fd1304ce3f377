"""What the demo's mean IoU is worth: guesses that do not look at the picture, on the demo's own scenes."""

import tempfile
from pathlib import Path

import numpy as np

from erfnet_jobs.cli import demo_recipe as recipe
from erfnet_jobs.erfnet.dataset import open_source
from erfnet_jobs.erfnet.labels import IGNORE
from erfnet_jobs.erfnet.metrics import confusion_matrix, scores
from erfnet_jobs.erfnet.scenes import Scenes, make_scenes
from erfnet_jobs.erfnet.transforms import Labels, prepare_label
from tests.benchmarks.rows import Row

ROAD = 0


def _labels(scenes: Path, split: str) -> Labels:
    return np.stack([prepare_label(sample.label, recipe.SIZE) for sample in open_source(scenes, split)])


def _most_frequent(labels: Labels) -> Labels:
    """At each position the class that is most frequent there: H x W."""
    counts = np.stack([(labels == train_id).sum(axis=0) for train_id in range(IGNORE)])
    return counts.argmax(axis=0).astype(labels.dtype)


def _mean_iou(truth: Labels, guess: Labels) -> float:
    return scores(sum(confusion_matrix(label, guess) for label in truth)).mean_iou


def run() -> list[Row]:
    """Mean IoU of a guess that is road everywhere, and of the most frequent class of each position."""
    with tempfile.TemporaryDirectory(prefix="ej-bench-") as folder:
        scenes = Path(folder, "scenes")
        make_scenes(scenes, Scenes(recipe.TRAIN_SCENES, recipe.VAL_SCENES, recipe.SCENE_SIZE, recipe.SCENES_SEED))
        train, val = _labels(scenes, "train"), _labels(scenes, "val")
    expected = f"below {recipe.EXPECTED_MIOU}, which the demo expects"
    return [
        Row("mean IoU of road everywhere", _mean_iou(val, np.full_like(val[0], ROAD)), "", "demo's scenes", expected),
        Row("mean IoU of each position's class", _mean_iou(val, _most_frequent(train)), "", "demo's scenes", expected),
    ]
