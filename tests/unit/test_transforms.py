import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from erfnet_jobs.erfnet.labels import IGNORE
from erfnet_jobs.erfnet.transforms import (
    Augmentation,
    crop_box,
    draw_augmentation,
    prepare_image,
    prepare_label,
    shrink_label,
)

SIDES = st.integers(1, 70)
SHARES = st.floats(0, 1)
AUGMENTATIONS = st.builds(Augmentation, ratio=st.floats(1, 3), down=SHARES, right=SHARES, flip=st.booleans())


@given(SIDES, SIDES, AUGMENTATIONS)
def test_crops_lie_inside_images_of_any_size(height, width, augmentation):
    left, top, right, bottom = crop_box((height, width), augmentation)

    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


@given(SIDES, SIDES, AUGMENTATIONS)
def test_labels_keep_their_values_and_images_their_range(height, width, augmentation):
    chance = np.random.default_rng(height * 100 + width)
    image = chance.integers(0, 256, (height, width, 3), np.uint8)
    label = chance.integers(0, 20, (height, width), np.uint8)

    prepared = prepare_image(image, (16, 24), augmentation)
    target = prepare_label(label, (16, 24), augmentation=augmentation)

    assert prepared.shape == (3, 16, 24)
    assert prepared.dtype == np.float32
    assert 0 <= prepared.min() <= prepared.max() <= 1
    assert target.shape == (16, 24)
    assert target.dtype == np.int32
    assert set(np.unique(target)) <= set(np.unique(label))


@pytest.mark.parametrize("flip", [False, True])
def test_image_and_label_move_together(flip):
    label = np.zeros((64, 96), np.uint8)
    label[20:30, 10:40] = 13
    image = np.repeat(label[..., None], 3, axis=2) * 10
    augmentation = Augmentation(ratio=1.25, down=0.4, right=0.1, flip=flip)

    moved = prepare_image(image, (64, 96), augmentation)[0] > 0.25
    target = prepare_label(label, (64, 96), augmentation=augmentation) == 13

    assert target.any()
    assert (moved == target).mean() > 0.98


def test_plain_images_are_only_scaled():
    image = np.full((8, 8, 3), 255, np.uint8)
    image[..., 1] = 0

    assert (prepare_image(image, (8, 8))[0] == 1).all()
    assert (prepare_image(image, (8, 8))[1] == 0).all()


def test_an_eighth_is_pillows_nearest():
    label = np.random.default_rng(1).integers(0, 20, (64, 128), np.uint8)

    wanted = np.asarray(Image.fromarray(label).resize((16, 8), Image.Resampling.NEAREST))

    assert (shrink_label(label, 8) == wanted).all()
    assert (prepare_label(label, (64, 128), scale=8) == wanted).all()


def test_ignored_pixels_stay_ignored():
    assert (prepare_label(np.full((10, 10), IGNORE, np.uint8), (16, 16), 8) == IGNORE).all()


@given(st.integers(0, 2**31))
def test_draws_stay_within_the_ratios_and_repeat(seed):
    drawn = draw_augmentation(np.random.default_rng(seed), (1.0, 1.3))

    assert 1.0 <= drawn.ratio <= 1.3
    assert drawn == draw_augmentation(np.random.default_rng(seed), (1.0, 1.3))


def test_half_are_cropped_and_half_are_flipped():
    chance = np.random.default_rng(0)
    drawn = [draw_augmentation(chance, (1.2, 1.2)) for _ in range(1000)]

    assert {one.ratio for one in drawn} == {1.0, 1.2}
    assert 400 < sum(one.ratio > 1 for one in drawn) < 600
    assert 400 < sum(one.flip for one in drawn) < 600
