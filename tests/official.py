"""Cityscapes' official script (cityscapesscripts, evalPixelLevelSemanticLabeling) on files."""

import copy
import math
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from erfnet_jobs.erfnet.labels import CATEGORY_NAMES, CLASS_NAMES
from erfnet_jobs.erfnet.metrics import Scores

script: Any = import_module("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")


@dataclass(frozen=True)
class Official:
    """What the script says; NaN for what does not occur."""

    classes: dict[str, float]
    categories: dict[str, float]
    mean_class: float
    mean_category: float


def official_scores(truths: Path, predictions: Path) -> Official:
    """Of all *_gtFine_labelIds.png below `truths`, with the predictions that the script itself finds for them."""
    args: Any = copy.copy(script.args)
    args.predictionPath, args.predictionWalk = str(predictions), None
    args.evalInstLevelScore, args.JSONOutput, args.quiet = False, False, True
    labels = sorted(map(str, truths.rglob("*_gtFine_labelIds.png")))
    found = script.evaluateImgLists([script.getPrediction(args, label) for label in labels], labels, args)
    return Official(
        {name: found["classScores"][name] for name in CLASS_NAMES},
        {name: found["categoryScores"][name] for name in CATEGORY_NAMES},
        found["averageScoreClasses"],
        found["averageScoreCategories"],
    )


def assert_official(ours: Scores, official: Official) -> None:
    """Equal to 1e-9, absent ones absent in both."""
    for values, named, mean, official_mean in (
        (ours.iou_class, official.classes, ours.mean_iou, official.mean_class),
        (ours.iou_category, official.categories, ours.mean_iou_category, official.mean_category),
    ):
        wanted = [None if math.isnan(value) else value for value in named.values()]
        assert [value is None for value in values] == [value is None for value in wanted]
        for name, value, other in zip(named, values, wanted, strict=True):
            assert other is None or value == pytest.approx(other, rel=0, abs=1e-9), name
        if any(value is not None for value in values):
            assert mean == pytest.approx(official_mean, rel=0, abs=1e-9)
        else:
            assert mean == 0
            assert math.isnan(official_mean)
