"""Which evaluations say how good a training is: those that are made as it was trained."""

from erfnet_jobs.choices import HALF
from erfnet_jobs.client.submission import network_of
from erfnet_jobs.reports import Evaluated
from erfnet_jobs.specs import EvalSpec, Spec
from erfnet_jobs.train_spec import TrainSpec

VAL = "val"


def is_own_figure(training: Spec | None, evaluation: Spec, report: Evaluated) -> bool:
    """Whether a report belongs to the training's mean IoU: its final network, dataset and size, by protocol half.

    Figures of other networks, datasets, sizes and protocols cannot be compared, and the highest of them means nothing;
    those of a converted model tell of another engine, not of the training.
    """
    return (
        isinstance(training, TrainSpec)
        and isinstance(evaluation, EvalSpec)
        and report.model_sha256 is None
        and report.split == VAL
        and report.protocol.endswith(HALF)
        and report.network == network_of(training)
        and evaluation.data == training.data
        and (report.height, report.width) == training.size
    )
