"""How far other engines' figures of a checkpoint are from MindSpore's, on the same images measured alike."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from erfnet_jobs.registry.lineage import Lineage, Model
from erfnet_jobs.registry.tables import Evaluation

# Ours: what a correct conversion in the same precision stays well below.
MEAN_LIMIT = 0.005
CLASS_LIMIT = 0.02
# IoUs are quotients of whole numbers; a difference that is equal to a limit must not exceed it by its last bit.
DIGITS = 9


@dataclass(frozen=True)
class Difference:
    """An engine's newest evaluation of a model, and the newest of the network itself on the same images, if any.

    Differences are the engine's figure less the network's: of the mean IoU, and by class in trainId order, None where
    a class is absent in either; all are None where the network was not measured alike, or nothing was labelled.
    """

    evaluation: Evaluation
    reference: Evaluation | None
    precision: str | None
    mean_iou: float | None
    iou_class: tuple[float | None, ...]

    @property
    def exceeds(self) -> bool:
        """Whether the mean or a class is further away than conversion and rounding explain."""
        by_class = (abs(value) > CLASS_LIMIT for value in self.iou_class if value is not None)
        return (self.mean_iou is not None and abs(self.mean_iou) > MEAN_LIMIT) or any(by_class)


def differences_of(lineage: Lineage) -> list[Difference]:
    """One for each engine, model, precision and kind of measurement, newest last."""
    own = {_measured_on(evaluation): evaluation for evaluation in lineage.evaluations}
    newest: dict[tuple[object, ...], Evaluation] = {}
    for evaluation in sorted(_evaluations(lineage.models), key=lambda one: one.id):
        precision = lineage.precisions.get(evaluation.job_id)
        key = (evaluation.engine, evaluation.model_sha256, precision, _measured_on(evaluation))
        newest.pop(key, None)
        newest[key] = evaluation
    return [
        _difference(each, own.get(_measured_on(each)), lineage.precisions.get(each.job_id)) for each in newest.values()
    ]


def _measured_on(evaluation: Evaluation) -> tuple[object, ...]:
    """What two evaluations must share: a part of a split, as of `--limit`, is no split."""
    return (
        evaluation.dataset_hash,
        evaluation.split,
        evaluation.protocol,
        evaluation.height,
        evaluation.width,
        evaluation.images,
    )


def _evaluations(models: Iterable[Model]) -> Iterator[Evaluation]:
    for model in models:
        yield from model.evaluations
        yield from _evaluations(model.converted)


def _difference(evaluation: Evaluation, reference: Evaluation | None, precision: str | None) -> Difference:
    theirs: list[float | None] = json.loads(evaluation.iou_class)
    ours: list[float | None] = [None] * len(theirs) if reference is None else json.loads(reference.iou_class)
    by_class = tuple(
        None if one is None or other is None else round(one - other, DIGITS)
        for one, other in zip(theirs, ours, strict=True)
    )
    labelled = reference is not None and any(iou is not None for iou in ours)
    mean = round(evaluation.mean_iou - reference.mean_iou, DIGITS) if reference is not None and labelled else None
    return Difference(evaluation, reference, precision, mean, by_class)
