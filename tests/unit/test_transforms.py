import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from erfnet_jobs.erfnet.augmentation import Augmentation
from erfnet_jobs.erfnet.labels import IGNORE
from erfnet_jobs.erfnet.transforms import blur, prepare_image, prepare_label, shrink_label, translate

SIDES = st.integers(1, 70)
SHARES = st.floats(0, 1)
SHIFTS = st.tuples(st.integers(-2, 2), st.integers(-2, 2))
AUGMENTATIONS = st.builds(
    Augmentation,
    blur=SHARES,
    ratio=st.floats(1, 3),
    down=SHARES,
    right=SHARES,
    flip=st.booleans(),
    shift=SHIFTS,
)

# The first call imports MindSpore: seconds, which no property's deadline has room for.
blur(np.zeros((1, 1, 3), np.uint8), 0.5)


def random_pixels(seed, shape, values=256):
    return np.random.default_rng(seed).integers(0, values, shape, np.uint8)


@given(SIDES, SIDES, AUGMENTATIONS)
def test_labels_keep_their_values_and_images_their_range(height, width, augmentation):
    label = random_pixels(height * 100 + width, (height, width), 19)

    prepared = prepare_image(random_pixels(height, (height, width, 3)), (16, 24), augmentation)
    target = prepare_label(label, (16, 24), augmentation=augmentation)

    assert prepared.shape == (3, 16, 24)
    assert prepared.dtype == np.float32
    assert 0 <= prepared.min() <= prepared.max() <= 1
    assert target.shape == (16, 24)
    assert target.dtype == np.int32
    assert set(np.unique(target)) <= {*np.unique(label), IGNORE}
    assert (IGNORE in target) == (augmentation.shift != (0, 0))


@given(st.integers(2, 4), st.integers(2, 4), AUGMENTATIONS, st.integers(0, 1000))
def test_image_and_label_move_together(rows, columns, augmentation, seed):
    """Blocks of one class each, whose colour is the class: inside a block colour and label must agree after."""
    # Large enough that even the smallest crop is not enlarged, which would widen the edges.
    label = np.kron(random_pixels(seed, (rows, columns), 19), np.ones((96, 144), np.uint8))
    image = np.repeat(10 + 10 * label[..., None], 3, axis=2)

    colour = prepare_image(image, (64, 96), augmentation)[0] * 255
    target = prepare_label(label, (64, 96), augmentation=augmentation)

    # Where a block meets another, the image is a mixture and the label one of the two.
    inner = _inner(target)
    assert inner.any()
    assert np.abs(colour[inner] - (10 + 10 * target[inner])).max(initial=0) <= 1
    assert (colour[target == IGNORE] == 0).all()


def _inner(target, reach=4):
    """Pixels around which all is of their class."""
    padded = np.pad(target, reach, constant_values=-1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1, 2 * reach + 1))
    return (windows == target[..., None, None]).all(axis=(2, 3)) & (target != IGNORE)


@given(SIDES, SIDES, SHIFTS)
def test_a_shift_fills_exactly_the_border(height, width, shift):
    pixels = random_pixels(height, (height, width), 19)
    down, right = shift

    moved = translate(pixels, shift, fill=IGNORE)

    for y in range(height):
        for x in (0, 1, width // 2, width - 2, width - 1):
            if 0 <= x < width:
                inside = 0 <= y - down < height and 0 <= x - right < width
                assert moved[y, x] == (pixels[y - down, x - right] if inside else IGNORE)


@given(SHIFTS)
def test_a_shift_back_restores_all_but_the_border(shift):
    pixels = random_pixels(1, (12, 14, 3))

    back = translate(translate(pixels, shift, 0), (-shift[0], -shift[1]), 0)

    assert (back[2:-2, 2:-2] == pixels[2:-2, 2:-2]).all()


@given(SIDES, SIDES)
def test_two_flips_are_none(height, width):
    label = random_pixels(width, (height, width), 20)
    size = (height, width)

    once = prepare_label(label, size, augmentation=Augmentation(flip=True)).astype(np.uint8)

    assert (once == label[:, ::-1]).all()
    assert (prepare_label(once, size, augmentation=Augmentation(flip=True)) == label).all()


def test_shifts_are_pixels_of_the_networks_input_before_an_eighth_is_taken():
    label = random_pixels(1, (128, 256), 19)
    plain = prepare_label(label, (64, 128))
    augmentation = Augmentation(shift=(2, -1))

    whole = prepare_label(label, (64, 128), augmentation=augmentation)
    eighth = prepare_label(label, (64, 128), 8, augmentation)

    assert (whole[2:, :-1] == plain[:-2, 1:]).all()
    assert (whole[:2] == IGNORE).all()
    assert (whole[:, -1] == IGNORE).all()
    assert (eighth == np.asarray(Image.fromarray(whole.astype(np.uint8)).resize((16, 8), 0))).all()


@pytest.mark.parametrize("radius", [0.05, 0.3, 0.6, 0.99])
def test_a_blur_is_a_gaussian_to_a_rounding(radius):
    image = random_pixels(1, (32, 48, 3))
    weights = np.exp(-(np.arange(-5, 6) ** 2) / (2 * radius**2))
    wanted = image.astype(float)
    for axis in (0, 1):
        wanted = np.apply_along_axis(np.convolve, axis, wanted, weights / weights.sum(), mode="same")
    inside = (slice(5, -5), slice(5, -5))

    blurred = blur(image, radius).astype(float)

    assert np.abs(blurred - wanted)[inside].max() <= 1.5
    assert np.abs(blurred - wanted)[inside].mean() <= 0.4


@pytest.mark.parametrize("radius", [0.05, 0.3, 0.6, 0.99])
def test_a_blur_is_that_of_pillow_to_few_grey_levels(radius):
    rows, columns = np.mgrid[:64, :96]
    image = np.stack([127 + 120 * np.sin(rows / wave) * np.cos(columns / wave) for wave in (2, 5, 9)], axis=2)
    image = image.astype(np.uint8)

    pillows = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))

    assert np.abs(blur(image, radius).astype(int) - pillows)[4:-4, 4:-4].max() <= 4


def test_images_are_blurred_as_found_and_labels_never():
    image, label = random_pixels(1, (32, 48, 3)), random_pixels(1, (32, 48), 19)
    augmentation = Augmentation(blur=0.8)

    assert (prepare_image(image, (16, 24), augmentation) == prepare_image(blur(image, 0.8), (16, 24))).all()
    assert (prepare_label(label, (32, 48), augmentation=augmentation) == label).all()


def test_plain_images_are_only_scaled():
    image = np.full((8, 8, 3), 255, np.uint8)
    image[..., 1] = 0

    assert (prepare_image(image, (8, 8))[0] == 1).all()
    assert (prepare_image(image, (8, 8))[1] == 0).all()


def test_an_eighth_is_pillows_nearest():
    label = random_pixels(1, (64, 128), 20)

    wanted = np.asarray(Image.fromarray(label).resize((16, 8), Image.Resampling.NEAREST))

    assert (shrink_label(label, 8) == wanted).all()
    assert (prepare_label(label, (64, 128), scale=8) == wanted).all()


@pytest.mark.parametrize("scale", [1, 8])
def test_ignored_pixels_stay_ignored(scale):
    assert (prepare_label(np.full((10, 10), IGNORE, np.uint8), (16, 16), scale) == IGNORE).all()
