"""The figures by which evaluations can be compared: means, each with its column, and the IoU of each class."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from sqlalchemy import JSON, ColumnElement, Float, cast, func
from sqlalchemy.orm import Session

from erfnet_jobs.choices import CLASSES, EVALUATION_METRICS
from erfnet_jobs.errors import UsageError
from erfnet_jobs.registry.tables import Evaluation

LOSS = "mean_loss"
CLASS_PREFIX = "iou_"


@dataclass(frozen=True)
class Figure:
    """A figure of evaluations; `train_id` is its class where it is the IoU of one."""

    name: str
    train_id: int | None = None

    @property
    def higher_is_better(self) -> bool:
        """Which end of it is good."""
        return self.name != LOSS

    def column(self, session: Session) -> ColumnElement[float | None]:
        """Its value in a row, for the session's database.

        A mean has a column and an index. IoUs of classes are JSON text, which the database reads of every row of a
        group (measured with SQLite: 0.15 s for 100,000 rows) while it keeps no more than it returns.
        """
        if self.train_id is None:
            column: ColumnElement[float | None] = getattr(Evaluation, self.name)
            return column
        if session.get_bind().dialect.name == "sqlite":
            return func.json_extract(Evaluation.iou_class, f"$[{self.train_id}]", type_=Float)
        return cast(cast(Evaluation.iou_class, JSON).op("->>")(self.train_id), Float)

    def of(self, evaluation: Evaluation) -> float | None:
        """Its value in an evaluation; None where the class occurs neither in truth nor in prediction."""
        if self.train_id is None:
            mean: float | None = getattr(evaluation, self.name)
            return mean
        ious: list[float | None] = json.loads(evaluation.iou_class)
        return ious[self.train_id] if self.train_id < len(ious) else None


FIGURES: Mapping[str, Figure] = {
    **{name: Figure(name) for name in EVALUATION_METRICS},
    **{
        f"{CLASS_PREFIX}{name.replace(' ', '_')}": Figure(f"{CLASS_PREFIX}{name.replace(' ', '_')}", train_id)
        for train_id, name in enumerate(CLASSES)
    },
}


def figure_of(metric: str) -> Figure:
    """The figure of this name; raises UsageError."""
    if metric not in FIGURES:
        classes = f"{CLASS_PREFIX}road or another class's"
        raise UsageError(f"metric is {metric!r}: give one of {', '.join(EVALUATION_METRICS)}, or {classes}")
    return FIGURES[metric]


def figure_of_class(name: str) -> str:
    """The name of the figure of a class, which may be written with or without its space; raises UsageError."""
    known = {_plain(entry): entry for entry in CLASSES}
    if found := known.get(_plain(name)):
        return f"{CLASS_PREFIX}{found.replace(' ', '_')}"
    near = [known[one] for one in get_close_matches(_plain(name), known, n=3, cutoff=0.5)]
    meant = f"did you mean {' or '.join(near)}?" if near else f"give one of {', '.join(CLASSES)}"
    raise UsageError(f"{name!r} is none of Cityscapes' {len(CLASSES)} classes: {meant}")


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter not in " _-")
