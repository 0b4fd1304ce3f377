"""Mixed precision's level and loss scale."""

import math

from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.erfnet.precision import SCALE_OF_MEAN, amp_level, loss_scale
from erfnet_jobs.plan import ASCEND, CPU


def test_the_device_decides_unless_the_user_does():
    assert amp_level(None, CPU) == "O0"
    assert amp_level(None, ASCEND) == "O2"
    assert amp_level("O3", CPU) == "O3"


@given(st.integers(64, 10**9))
def test_scales_are_powers_of_two_about_the_mean(pixels):
    assert loss_scale("O0", pixels) == 1
    scale = loss_scale("O2", pixels)
    assert math.log2(scale).is_integer()
    assert SCALE_OF_MEAN / math.sqrt(2) <= scale * pixels <= SCALE_OF_MEAN * math.sqrt(2) * 1.0001
