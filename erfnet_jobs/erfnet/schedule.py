"""The learning rate, the steps of an epoch and the order of its images: pure functions of numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The exponent of the "poly" schedule of erfnet_pytorch (train/main.py) and of the MindSpore port (src/util.py).
POWER = 0.9


def learning_rate(first: float, epoch: int, epochs: int) -> float:
    """The rate during `epoch` (from 0) of a pair of stages that has `epochs`: first * (1 - epoch / epochs)^0.9."""
    return float(first * (1 - epoch / epochs) ** POWER)


def steps_per_epoch(images: int, batch_size: int, ranks: int) -> int:
    """Whole global batches (`batch_size` images of each rank) in `images`, and one where there is none."""
    return max(1, images // (batch_size * ranks))


@dataclass(frozen=True)
class Draw:
    """One image of an epoch: its `index` in the dataset, and its `position` in the epoch's order over all ranks.

    The position names the random numbers of its augmentation, so they do not depend on how many ranks there are.
    """

    index: int
    position: int


def epoch_order(images: int, length: int, key: tuple[int, ...]) -> NDArray[np.int64]:
    """`length` indices below `images` in an order that `key` alone determines.

    Each index occurs before one occurs again: more than `images` wrap around into another order of all.
    """
    chance = np.random.default_rng(key)
    rounds = -(-length // images)
    return np.concatenate([chance.permutation(images) for _ in range(rounds)])[:length]


def draws_of_rank(order: NDArray[np.int64], step: int, batch_size: int, rank: int, ranks: int) -> tuple[Draw, ...]:
    """What `rank` takes at `step` (from 0)."""
    places = positions_of_rank(step, batch_size, rank, ranks)
    return tuple(Draw(index=int(order[place]), position=place) for place in places)


def positions_of_rank(step: int, batch_size: int, rank: int, ranks: int) -> range:
    """The positions in an epoch's order of what `rank` takes at `step`: side by side in each global batch."""
    start = (step * ranks + rank) * batch_size
    return range(start, start + batch_size)
