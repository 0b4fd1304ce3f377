"""The batches of one rank: which images, augmented how, loaded ahead."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from erfnet_jobs.erfnet.augmentation import Choices, draw_augmentation
from erfnet_jobs.erfnet.prefetch import prefetch
from erfnet_jobs.erfnet.samples import Sample
from erfnet_jobs.erfnet.schedule import Draw, draws_of_rank, epoch_order
from erfnet_jobs.erfnet.stages import StageRun
from erfnet_jobs.erfnet.transforms import Images, Labels, Size, prepare_image, prepare_label


@dataclass(frozen=True)
class Batch:
    """float32 images N x 3 x H x W in [0, 1] and int32 train ids N x h x w."""

    images: Images
    labels: Labels


@dataclass(frozen=True)
class BatchPlan:
    """How a rank's batches are made: the same on every rank but for `rank`, and the same on every rerun.

    `augment` names what is done by chance (of `jobs.AUGMENTATIONS`).
    """

    rows: Sequence[Sample]
    size: Size
    scale: int
    batch_size: int
    steps: int
    seed: int
    rank: int = 0
    ranks: int = 1
    augment: tuple[str, ...] = ("crop", "flip")


@dataclass(frozen=True)
class _Step:
    """One batch to load; `key` names the epoch's random numbers."""

    key: tuple[int, ...]
    draws: tuple[Draw, ...]
    choices: Choices
    ratios: tuple[float, float]


def stage_batches(plan: BatchPlan, run: StageRun) -> AbstractContextManager[Iterator[Batch]]:
    """All batches of the epochs that `run` has left, one after another; closing the context ends the loading."""
    return prefetch(lambda step: _load(plan, step), _steps(plan, run))


def _steps(plan: BatchPlan, run: StageRun) -> Iterator[_Step]:
    choices = Choices.of(plan.augment)
    for epoch in range(run.done, run.epochs):
        key = (plan.seed, run.stage.number, epoch)
        order = epoch_order(len(plan.rows), plan.steps * plan.batch_size * plan.ranks, key)
        for step in range(plan.steps):
            draws = draws_of_rank(order, step, plan.batch_size, plan.rank, plan.ranks)
            yield _Step(key, draws, choices, run.stage.crop_ratios)


def _load(plan: BatchPlan, step: _Step) -> Batch:
    images, labels = zip(*(_load_one(plan, step, draw) for draw in step.draws), strict=True)
    return Batch(np.stack(images), np.stack(labels))


def _load_one(plan: BatchPlan, step: _Step, draw: Draw) -> tuple[Images, Labels]:
    sample = plan.rows[draw.index]
    # The place in the order of all ranks: each rank draws its own, and the number of ranks does not matter.
    chance = np.random.default_rng(np.random.SeedSequence(step.key, spawn_key=(draw.position,)))
    augmentation = draw_augmentation(chance, step.choices, step.ratios)
    return (
        prepare_image(sample.image, plan.size, augmentation),
        prepare_label(sample.label, plan.size, plan.scale, augmentation),
    )
