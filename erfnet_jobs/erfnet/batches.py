"""The batches of one rank: which images, augmented how, loaded ahead."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from erfnet_jobs.erfnet.augmentation import Choices, draw_augmentation
from erfnet_jobs.erfnet.prefetch import prefetch
from erfnet_jobs.erfnet.samples import Sample
from erfnet_jobs.erfnet.schedule import Draw, draws_of_rank, epoch_order
from erfnet_jobs.erfnet.stages import StageRun
from erfnet_jobs.erfnet.transforms import Size, prepare_label, prepare_pixels

# Eight load more than a device takes (README, Performance); more only hold more memory.
MAX_THREADS: Final = 8


@dataclass(frozen=True)
class Batch:
    """uint8 images N x 3 x H x W and uint8 train ids N x h x w.

    The device makes of them what it computes with: a batch takes a quarter of the memory, and of the way there.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class BatchPlan:
    """How a rank's batches are made: the same on every rank but for `rank`, and the same on every rerun.

    `augment` names what is done by chance (of `choices.AUGMENTATIONS`); `threads` is how many may load side by side; it
    changes no batch.
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
    threads: int = 1


@dataclass(frozen=True)
class _Slot:
    """One sample to load, and its place in a batch; `key` names the epoch's random numbers."""

    batch: Batch
    place: int
    draw: Draw
    key: tuple[int, ...]
    ratios: tuple[float, float]


@contextmanager
def stage_batches(plan: BatchPlan, run: StageRun) -> Iterator[Iterator[Batch]]:
    """All batches of the epochs that `run` has left, one after another; closing the context ends the loading.

    Two batches are loaded ahead, or so many that no thread stands idle.
    """
    choices = Choices.of(plan.augment)
    threads = min(plan.threads, MAX_THREADS)
    ahead = plan.batch_size + max(plan.batch_size, threads)
    with prefetch(lambda slot: _load(plan, choices, slot), _slots(plan, run), ahead, threads) as filled:
        # Slots are filled in order: with its last one a batch is whole.
        yield islice(filled, plan.batch_size - 1, None, plan.batch_size)


def _slots(plan: BatchPlan, run: StageRun) -> Iterator[_Slot]:
    for epoch in range(run.done, run.epochs):
        key = (plan.seed, run.stage.number, epoch)
        order = epoch_order(len(plan.rows), plan.steps * plan.batch_size * plan.ranks, key)
        for step in range(plan.steps):
            batch = _empty_batch(plan)
            draws = draws_of_rank(order, step, plan.batch_size, plan.rank, plan.ranks)
            for place, draw in enumerate(draws):
                yield _Slot(batch, place, draw, key, run.stage.crop_ratios)


def _empty_batch(plan: BatchPlan) -> Batch:
    height, width = plan.size
    images = np.empty((plan.batch_size, 3, height, width), np.uint8)
    return Batch(images, np.empty((plan.batch_size, height // plan.scale, width // plan.scale), np.uint8))


def _load(plan: BatchPlan, choices: Choices, slot: _Slot) -> Batch:
    sample = plan.rows[slot.draw.index]
    # The place in the order of all ranks: each rank draws its own, and the number of ranks does not matter.
    chance = np.random.default_rng(np.random.SeedSequence(slot.key, spawn_key=(slot.draw.position,)))
    augmentation = draw_augmentation(chance, choices, slot.ratios)
    slot.batch.images[slot.place] = prepare_pixels(sample.image, plan.size, augmentation)
    slot.batch.labels[slot.place] = prepare_label(sample.label, plan.size, plan.scale, augmentation)
    return slot.batch
