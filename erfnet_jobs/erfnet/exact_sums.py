"""Sums over ranks without rounding: counts of pixels outgrow the 2^24 up to which float32 knows every whole number.

All-reduce of float32 is what every backend has (MCCL on the CPU, HCCL on Ascend), so numbers travel as digits to the
base 4096: the sum of one digit over 4096 ranks is below 2^24, and so exact in any order.
"""

import numpy as np
from mindspore import Tensor, ops
from numpy.typing import NDArray

DIGIT_BITS = 12
# choices.MAX_CARDS; a test holds them together.
MOST_RANKS = 1 << (24 - DIGIT_BITS)
SHIFTS = np.arange(0, 64, DIGIT_BITS, dtype=np.uint64)
MASK = np.uint64((1 << DIGIT_BITS) - 1)


def to_digits(numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    """Whole numbers (n) as their digits to the base 4096, lowest first: n x 6; negative ones as two's complement."""
    bits = numbers.astype(np.int64, copy=False).view(np.uint64)
    return ((bits[:, None] >> SHIFTS) & MASK).astype(np.float32)


def from_digits(digits: NDArray[np.float32]) -> NDArray[np.int64]:
    """What `to_digits` was made of; digits may be sums of several numbers' digits. Modulo 2^64."""
    shifted: NDArray[np.uint64] = digits.astype(np.uint64) << SHIFTS
    return np.asarray(shifted.sum(axis=1, dtype=np.uint64).view(np.int64))


def sum_over_ranks(numbers: NDArray[np.int64], world_size: int) -> NDArray[np.int64]:
    """The sums (n) of every rank's numbers (n), on all ranks; all call this together."""
    if world_size == 1:
        return numbers.copy()
    digits = to_digits(numbers)
    summed = ops.AllReduce()(Tensor(digits.reshape(-1))).asnumpy()
    return from_digits(summed.reshape(digits.shape))


def join_over_ranks(values: NDArray[np.float64], own: range, world_size: int) -> NDArray[np.float64]:
    """`values` (n), each from the rank in whose `own` its place is, bit for bit; all ranks call this together."""
    bits = np.zeros(len(values), np.int64)
    bits[own.start : own.stop : own.step] = values.view(np.int64)[own.start : own.stop : own.step]
    return sum_over_ranks(bits, world_size).view(np.float64)
