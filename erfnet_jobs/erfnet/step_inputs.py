"""What each step of a training gets: a batch, dropout's masks and the learning rate, stage after stage."""

from collections.abc import Generator, Sequence

from erfnet_jobs.erfnet.batches import BatchPlan, stage_batches
from erfnet_jobs.erfnet.dropout import draw_masks
from erfnet_jobs.erfnet.feeding import StepInput, as_input
from erfnet_jobs.erfnet.schedule import learning_rate, positions_of_rank
from erfnet_jobs.erfnet.stages import StageRun
from erfnet_jobs.jobs import TrainSpec


def epoch_lr(spec: TrainSpec, run: StageRun, epoch: int) -> float:
    """The learning rate during `epoch` (from 0) of a stage."""
    return learning_rate(spec.first_lr, run.pair_start + epoch, run.pair_epochs)


def step_inputs(plan: BatchPlan, spec: TrainSpec, runs: Sequence[StageRun]) -> Generator[StepInput]:
    """The inputs of all steps that `runs` have left; closing it ends the loading. Raises what loading raises."""
    for run in runs:
        with stage_batches(plan, run) as batches:
            for epoch in range(run.done, run.epochs):
                key, lr = (plan.seed, run.stage.number, epoch), epoch_lr(spec, run, epoch)
                for step in range(plan.steps):
                    batch = next(batches)
                    positions = positions_of_rank(step, plan.batch_size, plan.rank, plan.ranks)
                    yield as_input(batch.images, batch.labels, draw_masks(key, positions, run.stage.dropout), lr)
