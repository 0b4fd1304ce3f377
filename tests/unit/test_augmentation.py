import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.erfnet.augmentation import Augmentation, Choices, crop_box, draw_augmentation
from erfnet_jobs.jobs import AUGMENTATIONS

SEEDS = st.integers(0, 2**31)
NAMES = st.sets(st.sampled_from(AUGMENTATIONS))
FIELDS = {"flip": ("flip",), "translate": ("shift",), "crop": ("ratio", "down", "right"), "blur": ("blur",)}


def drawn(seed, names, ratios=(1.0, 1.3)):
    return draw_augmentation(np.random.default_rng(seed), Choices.of(names), ratios)


def many(names, ratios=(1.0, 1.3), count=2000):
    chance = np.random.default_rng(0)
    return [draw_augmentation(chance, Choices.of(names), ratios) for _ in range(count)]


def test_the_choices_are_those_a_job_may_name():
    assert {entry.name for entry in dataclasses.fields(Choices)} == set(AUGMENTATIONS) == set(FIELDS)
    with pytest.raises(TypeError, match="rotate"):
        Choices.of(("rotate",))


@given(SEEDS, NAMES)
def test_a_choice_draws_the_same_whatever_else_is_on(seed, names):
    some, every = drawn(seed, names), drawn(seed, AUGMENTATIONS)

    for name in AUGMENTATIONS:
        wanted = every if name in names else Augmentation()
        assert all(getattr(some, field) == getattr(wanted, field) for field in FIELDS[name])


@given(SEEDS)
def test_draws_stay_within_their_bounds_and_repeat(seed):
    one = drawn(seed, AUGMENTATIONS)

    assert one == drawn(seed, AUGMENTATIONS)
    assert 1.0 <= one.ratio <= 1.3
    assert 0 <= one.blur < 1
    assert all(-2 <= by <= 2 for by in one.shift)


def test_half_are_cropped_and_half_are_flipped():
    found = many(("crop", "flip"), (1.2, 1.2))

    assert {one.ratio for one in found} == {1.0, 1.2}
    assert 900 < sum(one.ratio > 1 for one in found) < 1100
    assert 900 < sum(one.flip for one in found) < 1100


def test_every_shift_is_as_likely_on_each_axis_on_its_own():
    shifts = [one.shift for one in many(("translate",), count=5000)]

    counts = [shifts.count((down, right)) for down in range(-2, 3) for right in range(-2, 3)]
    assert sum(counts) == 5000
    assert 140 < min(counts) <= max(counts) < 260


def test_every_image_is_blurred_by_less_than_a_pixel():
    radii = [one.blur for one in many(("blur",))]

    assert 0.47 < np.mean(radii) < 0.53
    assert min(radii) < 0.01
    assert 0.99 < max(radii) < 1


@given(st.integers(1, 3000), st.integers(1, 3000), st.floats(1, 3), st.floats(0, 1), st.floats(0, 1))
def test_crops_lie_inside_images_of_any_size(height, width, ratio, down, right):
    left, top, end, bottom = crop_box((height, width), Augmentation(ratio=ratio, down=down, right=right))

    assert 0 <= left < end <= width
    assert 0 <= top < bottom <= height


def test_crops_of_cityscapes_are_the_ports():
    left, top, right, bottom = crop_box((1024, 2048), Augmentation(ratio=1.2, down=1.0, right=0.5))

    assert (right - left, bottom - top) == (int(2048 / 1.2), int(1024 / 1.2))
    assert bottom == 1024
