"""Automatic mixed precision: which level a device trains with, and the loss scale that goes with it."""

import math

from erfnet_jobs.plan import ASCEND

# O2 keeps BatchNorm in 32 bits and computes convolutions in 16, for which Ascend's cubes are made; CPUs have nothing to
# gain.
DEFAULT_LEVELS = {ASCEND: "O2"}
FULL = "O0"
# The loss is scaled to this many times its mean over the pixels: MindSpore's usual fixed loss scale.
SCALE_OF_MEAN = 1024


def amp_level(wanted: str | None, device_target: str) -> str:
    """The level that was asked for, else the device's default."""
    return wanted or DEFAULT_LEVELS.get(device_target, FULL)


def loss_scale(level: str, pixels: int) -> float:
    """What a loss summed over `pixels` is multiplied with before its gradient is taken: a power of two.

    1 in full precision; else about SCALE_OF_MEAN / pixels, so that gradients neither overflow nor vanish in float16.
    """
    return 1.0 if level == FULL else 2.0 ** round(math.log2(SCALE_OF_MEAN / pixels))
