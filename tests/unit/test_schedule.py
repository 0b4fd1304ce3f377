import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.erfnet.schedule import draws_of_rank, epoch_order, learning_rate, steps_per_epoch


def test_rate_falls_from_the_first_to_nearly_nothing():
    rates = [learning_rate(5e-4, epoch, 150) for epoch in range(150)]

    assert rates[0] == 5e-4
    assert rates[75] == pytest.approx(5e-4 * 0.5**0.9)
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 1e-5


@pytest.mark.parametrize(
    ("images", "batch", "ranks", "steps"), [(2975, 6, 1, 495), (2975, 6, 2, 247), (2975, 6, 4, 123), (3, 4, 2, 1)]
)
def test_steps_come_from_images_and_ranks(images, batch, ranks, steps):
    assert steps_per_epoch(images, batch, ranks) == steps


@given(st.integers(1, 60), st.integers(1, 200), st.integers(0, 2**31 - 1))
def test_an_order_repeats_no_image_before_all_were_seen(images, length, seed):
    order = epoch_order(images, length, (seed, 1, 0))

    counts = np.bincount(order, minlength=images)
    assert len(order) == length
    assert counts.max() - counts.min() <= 1


def test_orders_depend_on_their_key_alone():
    first, again, other = (epoch_order(50, 50, key) for key in ((1, 2, 3), (1, 2, 3), (1, 2, 4)))

    assert (first == again).all()
    assert (first != other).any()


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))
def test_ranks_share_an_epoch_without_gaps_or_overlaps(batch, ranks, steps):
    order = epoch_order(1000, steps * batch * ranks, (0,))

    taken = [
        draw.position
        for step in range(steps)
        for rank in range(ranks)
        for draw in draws_of_rank(order, step, batch, rank, ranks)
    ]

    assert taken == list(range(len(order)))


@given(st.integers(1, 300), st.integers(1, 8), st.integers(1, 9), st.integers(0, 2**31 - 1))
def test_no_image_comes_twice_in_an_epoch_unless_a_global_batch_has_too_few(images, batch, ranks, seed):
    steps = steps_per_epoch(images, batch, ranks)
    order = epoch_order(images, steps * batch * ranks, (seed, 1, 0))

    shares = [[draws_of_rank(order, step, batch, rank, ranks) for rank in range(ranks)] for step in range(steps)]

    counts = np.bincount([draw.index for step in shares for share in step for draw in share], minlength=images)
    assert all(len(share) == batch for step in shares for share in step)
    if images >= batch * ranks:
        assert counts.max() == 1
        assert images - counts.sum() < batch * ranks
    else:
        assert counts.sum() == batch * ranks
        assert counts.max() - counts.min() <= 1
