import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from erfnet_jobs.erfnet.exact_sums import MOST_RANKS, from_digits, to_digits
from erfnet_jobs.jobs import MAX_CARDS

WHOLE = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(arrays(np.int64, 5, elements=WHOLE), min_size=1, max_size=9))
def test_the_sum_of_digits_is_the_sum_of_numbers(ranks):
    summed = np.sum([to_digits(numbers) for numbers in ranks], axis=0, dtype=np.float32)

    with np.errstate(over="ignore"):
        assert (from_digits(summed) == np.sum(ranks, axis=0, dtype=np.int64)).all()


def test_as_many_ranks_as_there_may_be_of_the_largest_digits():
    digits = to_digits(np.array([2**51 - 1, -1]))
    total = np.zeros_like(digits)
    for _ in range(MOST_RANKS):
        total += digits

    assert MOST_RANKS == MAX_CARDS
    assert total.max() < 2**24
    assert from_digits(total).tolist() == [(2**51 - 1) * MOST_RANKS, -MOST_RANKS]


@given(arrays(np.float64, 4))
def test_floats_travel_bit_for_bit(values):
    bits = values.view(np.int64)

    assert (from_digits(to_digits(bits)) == bits).all()
