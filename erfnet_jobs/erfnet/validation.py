"""How good a network is while it is trained: the validation split, measured by all ranks together after an epoch."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from mindspore import nn

from erfnet_jobs.ascend.environment import RankEnvironment
from erfnet_jobs.erfnet.cityscapes import has_split
from erfnet_jobs.erfnet.dataset import open_source
from erfnet_jobs.erfnet.exact_sums import sum_over_ranks
from erfnet_jobs.erfnet.progress import PROGRESS_INTERVAL
from erfnet_jobs.erfnet.record_rows import is_mindrecord
from erfnet_jobs.erfnet.split_measure import Measured, SplitMeasure
from erfnet_jobs.erfnet.stages import StageRun
from erfnet_jobs.erfnet.thinning import Thinning
from erfnet_jobs.errors import BadData
from erfnet_jobs.reports import Metric, Phase, Report
from erfnet_jobs.train_spec import TrainSpec

SPLIT = "val"

log = logging.getLogger(__name__)


def validates(spec: TrainSpec, world_size: int) -> bool:
    """Whether a training measures itself: it was not told never to, and its data has a validation split.

    A MindRecord holds one split, the one that is trained on. All ranks call this together; raises BadData where they
    do not see the same.
    """
    data = Path(spec.data)
    own = spec.validate_every > 0 and not is_mindrecord(data) and has_split(data, SPLIT)
    (seen,) = sum_over_ranks(np.array([own], np.int64), world_size)
    if seen not in (0, world_size):
        raise BadData(
            f"{data} has the split {SPLIT} on some hosts and not on others: give all the same dataset, or say "
            "--validate-every 0"
        )
    return own


def validations_left(spec: TrainSpec, runs: Sequence[StageRun]) -> int:
    """How often `runs` will be measured."""
    return sum(is_due(spec, epoch, run.epochs) for run in runs for epoch in range(run.done + 1, run.epochs + 1))


def is_due(spec: TrainSpec, epoch: int, epochs: int) -> bool:
    """Whether to measure after `epoch` (from 1) of a stage's `epochs`: every so often, and at the end."""
    return spec.validate_every > 0 and (epoch % spec.validate_every == 0 or epoch == epochs)


class Validation:
    """Measures one network of a training, which it leaves ready to be trained on.

    All ranks make one and call it together; `write` takes the reports of rank 0. Raises BadData where the split cannot
    be used. `compiled` says whether it has measured before.
    """

    def __init__(self, spec: TrainSpec, name: str, cell: nn.Cell, rank: RankEnvironment, threads: int = 1) -> None:
        try:
            source = open_source(Path(spec.data), SPLIT)
        except BadData as error:
            raise BadData(
                f"{error}\n(the split {SPLIT} is measured after epochs; --validate-every 0 leaves it)"
            ) from error
        self._cell = cell
        self._images = len(source)
        self._measure = SplitMeasure(
            source,
            cell,
            name,
            spec.size,
            spec.batch_size,
            rank=rank.rank,
            world_size=rank.world_size,
            threads=threads,
        )
        self.compiled = False

    def __call__(self, stage: int, epoch: int, step: int, write: Callable[[Report], None]) -> Measured:
        """Measure now, and report it as metrics of `step` (of the stage); raises BadData."""
        thinning = Thinning(PROGRESS_INTERVAL)

        def progress(done: int) -> None:
            if thinning.is_due():
                write(Phase("validate", done, self._images))

        progress(0)
        measured = self._measure.measure(progress)
        self.compiled = True
        self._cell.set_train(True)
        values = {
            "val_mean_iou": measured.scores.mean_iou,
            "val_pixel_accuracy": measured.scores.pixel_accuracy,
            "val_loss": measured.mean_loss,
        }
        write(Metric(stage=stage, epoch=epoch, step=step, values=values))
        log.info("stage %d epoch %d: mean IoU %.4f on %s", stage, epoch, measured.scores.mean_iou, SPLIT)
        write(Phase("train"))
        return measured
