"""Dropout of whole channels, with masks that follow from the place of an image in the training, and from nothing else.

J. Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015; rates as in erfnet_pytorch
(train/erfnet.py). The masks are made here and are an input of the network. So a training that was interrupted drops
what it would have dropped, bit for bit, on any number of ranks; MindSpore's own dropout keeps its state in the graph.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from erfnet_jobs.erfnet.model import DEEP_CHANNELS, DILATIONS, MASKED_CHANNELS, SHALLOW_BLOCKS, SHALLOW_CHANNELS

Masks = NDArray[np.float32]
# (rate of the blocks at 1/4 of the resolution, rate of those at 1/8)
Rates = tuple[float, float]

CHANNELS = sum(MASKED_CHANNELS)
# Keeps these random numbers apart from those of augmentation, whose spawn key is the position alone.
_STREAM = 1


def draw_masks(key: tuple[int, ...], positions: Iterable[int], rates: Rates) -> Masks:
    """float32 N x CHANNELS: 0 with probability `rate`, else 1 / (1 - rate), for the image at each position of an epoch.

    `key` names the epoch (seed, stage, epoch).
    """
    each = np.repeat(rates, (SHALLOW_BLOCKS * SHALLOW_CHANNELS, len(DILATIONS) * DEEP_CHANNELS))
    seeds = (np.random.SeedSequence(key, spawn_key=(position, _STREAM)) for position in positions)
    drawn = np.stack([np.random.default_rng(seed).random(CHANNELS) for seed in seeds])
    masks: Masks = np.where(drawn < each, 0.0, 1.0 / (1.0 - each)).astype(np.float32)
    return masks
