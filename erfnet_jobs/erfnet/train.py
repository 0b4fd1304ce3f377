"""Training: the stages one after another in one gang, each from what the stage before left in the manifest."""

import logging
import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby

import mindspore
import numpy as np
from mindspore import nn

from erfnet_jobs.ascend.environment import RankEnvironment
from erfnet_jobs.erfnet import checkpoints
from erfnet_jobs.erfnet.batches import BatchPlan
from erfnet_jobs.erfnet.checkpoints import Position
from erfnet_jobs.erfnet.feeding import Feed, make_feed
from erfnet_jobs.erfnet.initialise import initialise
from erfnet_jobs.erfnet.loss import check_finite, check_weights_finite
from erfnet_jobs.erfnet.manifest import Entry, Manifest, check_hash
from erfnet_jobs.erfnet.model import make_network
from erfnet_jobs.erfnet.origin import Origin, adopt_resumed, check_same_dataset, origin_of, resumed_position
from erfnet_jobs.erfnet.precision import amp_level, loss_scale
from erfnet_jobs.erfnet.progress import StepDone, TrainingProgress
from erfnet_jobs.erfnet.same_data import check_same_data
from erfnet_jobs.erfnet.schedule import steps_per_epoch
from erfnet_jobs.erfnet.stages import StageRun, stage_runs, total_epochs
from erfnet_jobs.erfnet.step_inputs import epoch_lr, step_inputs
from erfnet_jobs.erfnet.train_step import TrainStep
from erfnet_jobs.erfnet.training_data import rows_to_train_on
from erfnet_jobs.erfnet.validation import Validation, is_due, validates, validations_left
from erfnet_jobs.erfnet.world import average, broadcast
from erfnet_jobs.plan import Plan
from erfnet_jobs.reports import CheckpointRemoved, CheckpointWritten, Phase, Report
from erfnet_jobs.train_spec import TrainSpec

log = logging.getLogger(__name__)


def train(plan: Plan, rank: RankEnvironment, write: Callable[[Report], None]) -> None:
    """Do all that is left of a training; all ranks call this together, and rank 0 writes checkpoints.

    Raises BadData, BadCheckpoint, LossNotFinite, and OSError where the disk is full.
    """
    Training(plan, rank, write).run()


@dataclass
class _Network:
    """A network being trained; `compiled` once its first step was taken."""

    name: str
    step: TrainStep
    feed: Feed
    validation: Validation | None
    compiled: bool = False


class Training:
    """One rank's part in an attempt."""

    def __init__(self, plan: Plan, rank: RankEnvironment, write: Callable[[Report], None]) -> None:
        if not isinstance(plan.spec, TrainSpec):
            raise TypeError(f"a training needs a TrainSpec, not {type(plan.spec).__name__}")
        self.plan, self.spec, self.rank, self.write = plan, plan.spec, rank, write
        self.leads = rank.rank == 0
        self.runs = stage_runs(self.spec, *resumed_position(plan.resume))

    def run(self) -> None:
        """All stages that are left."""
        # Only rank 0 needs to see the checkpoints: the others get the weights from it.
        self.manifest = Manifest(self.plan.checkpoint_dir) if self.leads else None
        # First of all: building the data may take an hour, and what is damaged now ends the attempt.
        before = adopt_resumed(self.plan, self.manifest) if self.manifest else None
        self.rows = rows_to_train_on(self.spec, self.plan, self.write)
        check_same_dataset(before, self.rows.dataset_hash, self.spec.data)
        if self.manifest:
            self.manifest.dataset_hash = self.rows.dataset_hash
        check_same_data(len(self.rows), self.rows.dataset_hash, self.rank.rank, self.rank.world_size)
        self.steps = steps_per_epoch(len(self.rows), self.spec.batch_size, self.rank.world_size)
        self._say_what_is_trained(len(self.rows))
        self.validates = validates(self.spec, self.rank.world_size)
        self.tell = self.write if self.leads else _silent
        self.progress = TrainingProgress(
            self.tell,
            self.runs,
            stage_runs(self.spec),
            self.steps,
            self.spec.global_batch,
            validations=validations_left(self.spec, self.runs) if self.validates else 0,
        )
        for name, runs in groupby(self.runs, key=lambda run: run.stage.network):
            self._train_network(name, tuple(runs))

    def _say_what_is_trained(self, images: int) -> None:
        log.info(
            "%d images, global batch %d (%d ranks of %d), %d steps an epoch, first learning rate %g (%s scaling of "
            "%g), mixed precision %s",
            images,
            self.spec.global_batch,
            self.rank.world_size,
            self.spec.batch_size,
            self.steps,
            self.spec.first_lr,
            self.spec.lr_scaling,
            self.spec.base_lr,
            self._amp_level,
        )
        if images < self.spec.global_batch:
            log.warning(
                "fewer images (%d) than one global batch (%d): images repeat in it", images, self.spec.global_batch
            )

    @property
    def _amp_level(self) -> str:
        return amp_level(self.spec.amp, self.plan.device_target)

    def _train_network(self, name: str, runs: tuple[StageRun, ...]) -> None:
        """The stages of one network one after another: it is compiled once, and fed by one feed."""
        cell = make_network(name)
        initialise(cell, self.spec.seed)
        cell = mindspore.amp.auto_mixed_precision(cell, self._amp_level)
        labelled = math.prod(side // runs[0].stage.label_scale for side in self.spec.size)
        scale = loss_scale(self._amp_level, self.spec.batch_size * labelled)
        step = TrainStep(cell, runs[0].stage.class_weights, self.rank.world_size, scale)
        step.set_train(True)
        inputs = step_inputs(self._batch_plan(runs[0]), self.spec, runs)
        with closing(make_feed(self.plan.device_target, step, inputs, total_epochs(runs) * self.steps)) as feed:
            validation = self._validation(name, cell)
            network = _Network(name, step, feed, validation)
            for run in runs:
                self._start_from(run, network)
                for epoch in range(run.done, run.epochs):
                    self._epoch(run, network, epoch)

    def _validation(self, name: str, cell: nn.Cell) -> Validation | None:
        return Validation(self.spec, name, cell, self.rank, self.plan.threads) if self.validates else None

    def _batch_plan(self, run: StageRun) -> BatchPlan:
        return BatchPlan(
            rows=self.rows,
            size=self.spec.size,
            scale=run.stage.label_scale,
            batch_size=self.spec.batch_size,
            steps=self.steps,
            seed=self.spec.seed,
            rank=self.rank.rank,
            ranks=self.rank.world_size,
            augment=self.spec.augment,
            threads=self.plan.threads,
        )

    def _start_from(self, run: StageRun, network: _Network) -> None:
        """Give all ranks the weights and moments that rank 0 finds for the stage."""
        step = network.step
        if self.manifest and (origin := origin_of(run, self.plan, self.manifest)):
            log.info("stage %d starts from %s", run.stage.number, origin.path)
            _load(origin, network)
        broadcast([*step.network_parameters, *step.adam.state], self.rank.world_size)

    def _epoch(self, run: StageRun, network: _Network, epoch: int) -> None:
        lr = epoch_lr(self.spec, run, epoch)
        losses: list[float] = []
        while len(losses) < self.steps:
            losses += self._take(run, network, (epoch + 1, len(losses), lr))
        done = StepDone(epoch + 1, self.steps, losses[-1], lr, None)
        self.progress.epoch(run, done, float(np.mean(losses)))
        name = run.stage.checkpoint_name(epoch + 1, self.steps)
        # Each rank's BatchNorm has seen its own images: what is saved, and measured, is what all have seen.
        average(network.step.statistics, self.rank.world_size)
        saved = self._save(run, network, (epoch + 1, self.steps, lr), self.manifest) if self.manifest else None
        if network.validation and is_due(self.spec, epoch + 1, run.epochs):
            self._validate(run, network.validation, epoch + 1, name)
        if self.manifest and saved:
            # Last of all: the next attempt goes on behind what is told here, so its epoch must have been measured.
            self.write(saved)
            self._prune(run, self.manifest)

    def _validate(self, run: StageRun, validation: Validation, epoch: int, name: str) -> None:
        began, compiles = time.monotonic(), not validation.compiled
        measured = validation(run.stage.number, epoch, epoch * self.steps, self.tell)
        self.progress.validated(None if compiles else time.monotonic() - began)
        if self.manifest:
            self.manifest.measured(name, measured.scores.mean_iou)

    def _take(self, run: StageRun, network: _Network, place: tuple[int, int, float]) -> list[float]:
        """A chunk of steps after the `done` ones of an epoch; `place` is the epoch (from 1), `done`, and the rate."""
        epoch, done, lr = place
        if compiles := not network.compiled:
            self.write(Phase("compile"))
        began = time.monotonic()
        losses = network.feed.take(min(network.feed.chunk, self.steps - done))
        seconds = None if compiles else (time.monotonic() - began) / len(losses)
        network.compiled = True
        if compiles:
            self.write(Phase("train"))
        for number, loss in enumerate(losses, done + 1):
            check_finite(loss, run.stage.number, epoch, number, lr)
            self.progress.step(run, StepDone(epoch, number, loss, lr, seconds), last=number == done + len(losses))
        return losses

    def _save(
        self, run: StageRun, network: _Network, place: tuple[int, int, float], manifest: Manifest
    ) -> CheckpointWritten:
        stage, epoch = run.stage, place[0]
        name = stage.checkpoint_name(epoch, self.steps)
        parameters = [*network.step.network_parameters, *network.step.adam.state]
        check_weights_finite(parameters, stage.number, *place)
        position = Position(stage.network, stage.number, epoch, self.steps, self.spec.seed)
        written = checkpoints.save(manifest.folder / name, parameters, position)
        manifest.add(Entry(stage.network, stage.number, epoch, self.steps, name, written.sha256, written.size))
        path = f"{manifest.folder.name}/{name}"
        return CheckpointWritten(
            stage.network, stage.number, epoch, self.steps, path=path, sha256=written.sha256, size=written.size
        )

    def _prune(self, run: StageRun, manifest: Manifest) -> None:
        for removed in manifest.prune(run.stage.number, self.spec.keep):
            if not removed.adopted:
                self.write(CheckpointRemoved(f"{manifest.folder.name}/{removed.file}"))


def _load(origin: Origin, network: _Network) -> None:
    check_hash(origin.path, origin.sha256)
    checkpoint = checkpoints.load(origin.path)
    parameters = network.step.network_parameters
    if origin.same_network:
        checkpoints.load_weights(checkpoint, network.name, parameters)
    else:
        checkpoints.load_encoder(checkpoint, parameters)
    if origin.continues:
        checkpoints.load_adam(checkpoint, network.step.adam.state)


def _silent(report: Report) -> None:
    """Ranks other than 0 tell nothing of the progress that all share."""
