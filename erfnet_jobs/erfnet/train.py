"""Training: the stages one after another in one gang, each from what the stage before left in the manifest."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import mindspore
import numpy as np
from mindspore import Tensor

from erfnet_jobs.ascend.environment import RankEnvironment
from erfnet_jobs.erfnet import checkpoints
from erfnet_jobs.erfnet.batches import Batch, BatchPlan, stage_batches
from erfnet_jobs.erfnet.checkpoints import Position
from erfnet_jobs.erfnet.initialise import initialise
from erfnet_jobs.erfnet.labels import IGNORE
from erfnet_jobs.erfnet.loss import check_finite, check_weights_finite
from erfnet_jobs.erfnet.manifest import Entry, Manifest, check_hash
from erfnet_jobs.erfnet.mindrecord import ensure_mindrecord, training_rows
from erfnet_jobs.erfnet.model import label_scale, make_network
from erfnet_jobs.erfnet.origin import Origin, adopt_resumed, origin_of, resumed_position
from erfnet_jobs.erfnet.progress import PROGRESS_INTERVAL, StepDone, TrainingProgress
from erfnet_jobs.erfnet.record_rows import Rows
from erfnet_jobs.erfnet.schedule import learning_rate, steps_per_epoch
from erfnet_jobs.erfnet.stages import CLASS_WEIGHTS, StageRun, stage_runs
from erfnet_jobs.erfnet.thinning import Thinning
from erfnet_jobs.erfnet.train_step import TrainStep
from erfnet_jobs.erfnet.world import broadcast
from erfnet_jobs.errors import BadData
from erfnet_jobs.jobs import TrainSpec
from erfnet_jobs.plan import Plan
from erfnet_jobs.reports import CheckpointRemoved, CheckpointWritten, Phase, Report

log = logging.getLogger(__name__)


def train(plan: Plan, rank: RankEnvironment, write: Callable[[Report], None], dropout: bool = True) -> None:
    """Do all that is left of a training; all ranks call this together, and rank 0 writes checkpoints.

    Raises BadData, BadCheckpoint, LossNotFinite, and OSError where the disk is full.
    """
    Training(plan, rank, write, dropout).run()


@dataclass
class _Network:
    """A network being trained; `compiled` once its first step was taken."""

    name: str
    step: TrainStep
    compiled: bool = False


class Training:
    """One rank's part in an attempt. `dropout=False` is for tests that compare runs bit by bit."""

    def __init__(
        self, plan: Plan, rank: RankEnvironment, write: Callable[[Report], None], dropout: bool = True
    ) -> None:
        if not isinstance(plan.spec, TrainSpec):
            raise TypeError(f"a training needs a TrainSpec, not {type(plan.spec).__name__}")
        self.plan, self.spec, self.rank, self.write, self.dropout = plan, plan.spec, rank, write, dropout
        self.leads = rank.rank == 0
        self.runs = stage_runs(self.spec, *resumed_position(plan.resume))
        self.network: _Network | None = None

    def run(self) -> None:
        """All stages that are left."""
        # Only rank 0 needs to see the checkpoints: the others get the weights from it.
        self.manifest = Manifest(self.plan.checkpoint_dir) if self.leads else None
        if self.manifest:
            # First of all: building the data may take an hour, and what is damaged now ends the attempt.
            adopt_resumed(self.plan, self.manifest)
        rows = self._rows()
        if self.manifest:
            self.manifest.dataset_hash = rows.dataset_hash
        self.steps = steps_per_epoch(len(rows), self.spec.batch_size, self.rank.world_size)
        self._say_what_is_trained(len(rows))
        global_batch = self.spec.batch_size * self.rank.world_size
        tell = self.write if self.leads else _silent
        self.progress = TrainingProgress(tell, self.runs, stage_runs(self.spec), self.steps, global_batch)
        for run in self.runs:
            self._stage(run, rows)

    def _rows(self) -> Rows:
        report = _build_reporter(self.write)
        data, cache = Path(self.spec.data), Path(self.plan.data_dir)
        record = ensure_mindrecord(data, "train", cache, self.plan.threads, report)
        if record.meta and not any(record.meta.pixels[:IGNORE]):
            raise BadData(f"{data}: all pixels of all labels to train on are ignored; check how they were made")
        return training_rows(record)

    def _say_what_is_trained(self, images: int) -> None:
        global_batch = self.spec.batch_size * self.rank.world_size
        log.info(
            "%d images, global batch %d (%d ranks of %d), %d steps an epoch, first learning rate %g",
            images,
            global_batch,
            self.rank.world_size,
            self.spec.batch_size,
            self.steps,
            self.spec.first_lr,
        )
        if images < global_batch:
            log.warning("fewer images (%d) than one global batch (%d): images repeat in it", images, global_batch)

    def _stage(self, run: StageRun, rows: Rows) -> None:
        network = self._network_of(run)
        self._start_from(run, network)
        batches = BatchPlan(
            rows=rows,
            size=self.spec.size,
            scale=label_scale(run.stage.network),
            batch_size=self.spec.batch_size,
            steps=self.steps,
            seed=self.spec.seed,
            rank=self.rank.rank,
            ranks=self.rank.world_size,
            threads=self.plan.threads,
        )
        with stage_batches(batches, run) as loaded:
            for epoch in range(run.done, run.epochs):
                self._epoch(run, network, epoch, loaded)

    def _network_of(self, run: StageRun) -> _Network:
        """The network of a stage: that of the stage before if it is the same, so each is compiled once."""
        if self.network is None or self.network.name != run.stage.network:
            # Graphs take their dropout seeds when they are made. A resumed run draws other masks than one that was
            # not interrupted, and every rank its own.
            mindspore.set_seed(_dropout_seed(self.spec.seed, self.rank.rank, run))
            cell = make_network(run.stage.network, dropout=self.dropout)
            initialise(cell, self.spec.seed)
            step = TrainStep(cell, CLASS_WEIGHTS[run.stage.network], self.rank.world_size)
            step.set_train(True)
            self.network = _Network(run.stage.network, step)
        return self.network

    def _start_from(self, run: StageRun, network: _Network) -> None:
        """Give all ranks the weights and moments that rank 0 finds for the stage."""
        step = network.step
        if self.manifest and (origin := origin_of(run, self.plan, self.manifest)):
            log.info("stage %d starts from %s", run.stage.number, origin.path)
            _load(origin, network)
        broadcast([*step.network_parameters, *step.adam.state], self.rank.world_size)

    def _epoch(self, run: StageRun, network: _Network, epoch: int, batches: Iterator[Batch]) -> None:
        lr = learning_rate(self.spec.first_lr, run.pair_start + epoch, run.pair_epochs)
        losses: list[float] = []
        for number in range(1, self.steps + 1):
            done = self._step(run, network, next(batches), (epoch + 1, number, lr))
            losses.append(done.loss)
        self.progress.epoch(run, done, float(np.mean(losses)))
        if self.manifest:
            self._save(run, network, (epoch + 1, self.steps, lr), self.manifest)

    def _step(self, run: StageRun, network: _Network, batch: Batch, place: tuple[int, int, float]) -> StepDone:
        epoch, number, lr = place
        if compiles := not network.compiled:
            self.write(Phase("compile"))
        began = time.monotonic()
        output = network.step(Tensor(batch.images), Tensor(batch.labels), Tensor(lr, mindspore.float32))
        loss = float(output.asnumpy())
        network.compiled = True
        if compiles:
            self.write(Phase("train"))
        check_finite(loss, run.stage.number, epoch, number, lr)
        done = StepDone(epoch, number, loss, lr, None if compiles else time.monotonic() - began)
        self.progress.step(run, done)
        return done

    def _save(self, run: StageRun, network: _Network, place: tuple[int, int, float], manifest: Manifest) -> None:
        stage, epoch = run.stage, place[0]
        name = stage.checkpoint_name(epoch, self.steps)
        parameters = [*network.step.network_parameters, *network.step.adam.state]
        check_weights_finite(parameters, stage.number, *place)
        position = Position(stage.network, stage.number, epoch, self.steps, self.spec.seed)
        written = checkpoints.save(manifest.folder / name, parameters, position)
        manifest.add(Entry(stage.network, stage.number, epoch, self.steps, name, written.sha256, written.size))
        path = f"{manifest.folder.name}/{name}"
        self.write(
            CheckpointWritten(
                stage.network, stage.number, epoch, self.steps, path=path, sha256=written.sha256, size=written.size
            )
        )
        for removed in manifest.prune(stage.number, self.spec.keep):
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


def _dropout_seed(seed: int, rank: int, run: StageRun) -> int:
    return int(np.random.SeedSequence((seed, rank, run.stage.number, run.done)).generate_state(1)[0] >> 1)


def _build_reporter(write: Callable[[Report], None]) -> Callable[[int, int], None]:
    began = time.monotonic()
    thinning = Thinning(PROGRESS_INTERVAL)

    def report(done: int, total: int) -> None:
        if thinning.is_due(always=done == total):
            eta = (time.monotonic() - began) / done * (total - done) if done else None
            write(Phase("build data", done, total, eta))

    return report


def _silent(report: Report) -> None:
    """Ranks other than 0 tell nothing of the progress that all share."""
