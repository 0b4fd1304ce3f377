"""Evaluation: one confusion matrix and one mean loss over a split, for each checkpoint; one graph for all of them.

All ranks measure together; rank 0 reads the checkpoints, reports, and writes metrics and pictures. Predictions are
written by the rank that has them.
"""

import logging
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from erfnet_jobs.ascend.environment import RankEnvironment
from erfnet_jobs.erfnet.dataset import open_source
from erfnet_jobs.erfnet.disk import make_folder
from erfnet_jobs.erfnet.evaluation_pictures import Result, draw
from erfnet_jobs.erfnet.exact_sums import sum_over_ranks
from erfnet_jobs.erfnet.inference import engine_name, folded_network, use_weights
from erfnet_jobs.erfnet.metrics_files import file_names, write_metrics
from erfnet_jobs.erfnet.predictions import OPTION, check_folder, check_names, save_prediction
from erfnet_jobs.erfnet.progress import PROGRESS_INTERVAL
from erfnet_jobs.erfnet.samples import Source
from erfnet_jobs.erfnet.split_measure import Keep, Measured, SplitMeasure
from erfnet_jobs.erfnet.thinning import Thinning
from erfnet_jobs.erfnet.world import broadcast
from erfnet_jobs.errors import BadCheckpoint, UsageError
from erfnet_jobs.plan import CheckpointFile, Plan
from erfnet_jobs.reports import Evaluated, Phase, Progress, Report
from erfnet_jobs.specs import EvalSpec

log = logging.getLogger(__name__)


def evaluate(plan: Plan, rank: RankEnvironment, write: Callable[[Report], None]) -> None:
    """Measure every checkpoint of the plan, report each, and write its metrics and pictures into the attempt's folder.

    All ranks call this together. Raises BadData, OSError, and, on rank 0, BadCheckpoint, which comes when all others
    have been measured and names those that could not be; where these are optional ones only, it does not come unless
    none is left.
    """
    spec = plan.spec
    if not isinstance(spec, EvalSpec):
        raise UsageError(f"an evaluation needs an eval spec, not one of {spec.kind}")
    Evaluation(plan, spec, rank, write).run()


class Evaluation:
    """One rank's part in an attempt."""

    def __init__(self, plan: Plan, spec: EvalSpec, rank: RankEnvironment, write: Callable[[Report], None]) -> None:
        self.plan, self.spec, self.rank = plan, spec, rank
        self.leads = rank.rank == 0
        self.write = write if self.leads else _silent
        self.names = file_names(plan.inputs)
        self.folders = _prediction_folders(spec, self.names)
        self.write(Phase("read data"))
        self.source = open_source(Path(spec.data), spec.split, Path(plan.data_dir))
        _check_predictions(self.folders, self.source.names, rank)
        self.network = folded_network(spec.network)
        self.split = SplitMeasure(
            self.source,
            self.network,
            spec.network,
            spec.size,
            spec.batch_size,
            protocol=spec.protocol,
            rank=rank.rank,
            world_size=rank.world_size,
            threads=plan.threads,
        )

    def run(self) -> None:
        """All checkpoints."""
        inputs = self.plan.inputs
        results: list[Result] = []
        faults: list[tuple[CheckpointFile, BadCheckpoint]] = []
        for number, checkpoint in enumerate(inputs):
            self.write(Phase("evaluate", number, len(inputs)))
            try:
                measured = self._measure(checkpoint, number)
            except BadCheckpoint as error:
                log.warning("left out: %s", error)
                faults.append((checkpoint, error))
                continue
            result = Result(checkpoint, self.names[number], measured)
            results.append(result)
            if self.leads:
                evaluated = _evaluated(self.plan, self.spec, checkpoint, self.source, measured)
                self.write(evaluated)
                self.write(write_metrics(Path(self.plan.run_dir, result.name), evaluated))
        if self.leads:
            draw(results, self.split, self.spec, Path(self.plan.run_dir), self.write)
            _check_measured(inputs, faults)

    def _measure(self, checkpoint: CheckpointFile, number: int) -> Measured:
        """Raises BadCheckpoint on all ranks where rank 0 cannot load it or its loss is no number."""
        self._use(checkpoint)
        thinning = Thinning(PROGRESS_INTERVAL)
        images = len(self.source)
        before, total = number * images, len(self.plan.inputs) * images

        def progress(done: int) -> None:
            if thinning.is_due(always=done == images):
                self.write(Progress(fraction=(before + done) / total, step=before + done, steps=total))

        measured = self.split.measure(progress, self._keeper(number))
        if not math.isfinite(measured.mean_loss):
            raise BadCheckpoint(f"{checkpoint.path} cannot be measured: its loss is {measured.mean_loss}; name another")
        return measured

    def _keeper(self, number: int) -> Keep | None:
        return partial(save_prediction, make_folder(self.folders[number], OPTION)) if self.folders else None

    def _use(self, checkpoint: CheckpointFile) -> None:
        """Give all ranks the weights that rank 0 reads; one that went on alone would add to another's sums."""
        fault: BadCheckpoint | None = None
        if self.leads:
            try:
                use_weights(self.network, self.spec.network, checkpoint)
            except BadCheckpoint as error:
                fault = error
        if sum_over_ranks(np.array([fault is not None], np.int64), self.rank.world_size)[0]:
            raise fault or BadCheckpoint(f"{checkpoint.path} cannot be used: the log of rank 0 says why")
        broadcast(list(self.network.get_parameters()), self.rank.world_size)


def _prediction_folders(spec: EvalSpec, names: Sequence[str]) -> list[Path]:
    """Where each checkpoint's predictions go; none where they are not wanted. Their root is made. Raises UsageError.

    A folder in it is made when its checkpoint is measured: those that are left out leave none.
    """
    if spec.save_predictions is None:
        return []
    root = make_folder(Path(spec.save_predictions), OPTION)
    return [root if len(names) == 1 else root / name for name in names]


def _check_predictions(folders: Sequence[Path], names: Sequence[str], rank: RankEnvironment) -> None:
    """Before anything is measured; raises BadData and UsageError."""
    if folders:
        check_names(names)
    for folder in folders:
        check_folder(folder, names, names[rank.rank :: rank.world_size])


def _check_measured(inputs: Sequence[CheckpointFile], faults: Sequence[tuple[CheckpointFile, BadCheckpoint]]) -> None:
    none_left = len(faults) == len(inputs)
    if told := [str(error) for checkpoint, error in faults if none_left or not checkpoint.optional]:
        head = [f"{len(faults)} of {len(inputs)} checkpoints could not be measured:"] if len(inputs) > 1 else []
        raise BadCheckpoint("\n".join([*head, *told]))


def _evaluated(plan: Plan, spec: EvalSpec, checkpoint: CheckpointFile, source: Source, measured: Measured) -> Evaluated:
    return Evaluated(
        checkpoint_path=checkpoint.path,
        network=spec.network,
        dataset_hash=source.dataset_hash,
        split=spec.split,
        protocol=spec.recorded_protocol,
        height=spec.size[0],
        width=spec.size[1],
        engine=engine_name(plan.device_target),
        images=len(source),
        mean_iou=measured.scores.mean_iou,
        mean_iou_19=measured.scores.mean_iou_19,
        mean_iou_category=measured.scores.mean_iou_category,
        pixel_accuracy=measured.scores.pixel_accuracy,
        mean_loss=measured.mean_loss,
        iou_class=measured.scores.iou_class,
        iou_category=measured.scores.iou_category,
        checkpoint_id=checkpoint.id,
    )


def _silent(report: Report) -> None:
    """Ranks other than 0 tell nothing of what all share."""
