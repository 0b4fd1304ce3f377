"""Dropout's masks: what they hold, and what they follow from."""

import numpy as np
import pytest

from erfnet_jobs.erfnet.dropout import CHANNELS, draw_masks
from erfnet_jobs.erfnet.model import SHALLOW_BLOCKS, SHALLOW_CHANNELS

RATES = (0.03, 0.3)
SHALLOW = SHALLOW_BLOCKS * SHALLOW_CHANNELS


def test_rates_and_the_mean_of_one():
    masks = draw_masks((1, 3, 0), range(200), RATES)

    assert masks.shape == (200, CHANNELS) == (200, 5 * 64 + 8 * 128)
    assert masks.dtype == np.float32
    for part, rate in ((masks[:, :SHALLOW], 0.03), (masks[:, SHALLOW:], 0.3)):
        assert set(np.unique(part)) == {np.float32(0), np.float32(1 / (1 - rate))}
        assert (part == 0).mean() == pytest.approx(rate, abs=0.01)
        assert part.mean() == pytest.approx(1, abs=0.01)


def test_masks_follow_from_the_place_alone():
    whole = draw_masks((1, 3, 0), range(6), RATES)

    assert (np.concatenate([draw_masks((1, 3, 0), part, RATES) for part in (range(3), range(3, 6))]) == whole).all()
    assert len({row.tobytes() for row in whole}) == 6
    for key in ((2, 3, 0), (1, 4, 0), (1, 3, 1)):
        assert (draw_masks(key, range(6), RATES) != whole).any()


def test_masks_are_no_augmentations_numbers():
    augmentations = [
        np.random.default_rng(np.random.SeedSequence((1, 3, 0), spawn_key=(position,))).random(8).tobytes()
        for position in range(300)
    ]
    sequence = np.random.SeedSequence((1, 3, 0), spawn_key=(0, 1))
    assert np.random.default_rng(sequence).random(8).tobytes() not in augmentations


def test_no_dropout():
    assert (draw_masks((1, 1, 1), range(3), (0.0, 0.0)) == 1).all()
