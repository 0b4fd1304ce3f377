"""What counts as the same network: logits by their difference, classes by what the network's logits say of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from erfnet_jobs.erfnet.agreement import FRAMES, agreement, compare_classes, compare_logits, scene_batches

LOGITS = arrays(np.float32, (2, 4, 3, 5), elements=st.floats(-10, 10, width=32))
HERE = (1, 2, 1, 3)


@given(LOGITS)
def test_equal_outputs_do_not_differ(logits):
    assert compare_logits(logits, logits).difference == 0
    found = compare_classes(logits, logits.argmax(1).astype(np.int32))
    assert (found.difference, found.same_classes) == (0, 1)


@given(LOGITS, st.floats(0, 1))
def test_the_largest_difference_counts(logits, off):
    logits[0, 0, 0, 0] = 10
    other = logits.copy()
    other[HERE] += np.float32(off)
    assert compare_logits(logits, other).difference == pytest.approx(off / 10, abs=1e-6)


def test_another_class_counts_by_its_logit():
    logits = np.zeros((2, 4, 3, 5), np.float32)
    logits[:, 1] = 8
    logits[1, 2, 1, 3] = 7.5
    classes = logits.argmax(1).astype(np.int32)
    classes[1, 1, 3] = 2
    found = compare_classes(logits, classes)
    assert (found.difference, found.same_classes) == (0.0625, pytest.approx(29 / 30))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_no_agreement(bad):
    logits = np.ones((1, 4, 2, 2), np.float32)
    broken = logits.copy()
    broken[0, 1, 1, 1] = bad
    assert compare_logits(logits, broken).difference == np.inf
    assert compare_logits(broken, logits).difference == np.inf
    assert compare_classes(broken, np.zeros((1, 2, 2), np.int32)).difference == np.inf
    nothing = np.zeros((1, 4, 2, 2), np.float32)
    assert compare_logits(nothing, nothing).difference == 0
    assert compare_logits(nothing, logits).difference == np.inf


@pytest.mark.parametrize(
    "found",
    [
        np.zeros((1, 2, 3), np.int32),
        np.zeros((1, 2, 2), np.int64),
        np.full((1, 2, 2), 4, np.int32),
        np.full((1, 2, 2), -1, np.int32),
    ],
)
def test_what_are_no_classes(found):
    assert compare_classes(np.ones((1, 4, 2, 2), np.float32), found).difference == np.inf
    assert compare_logits(np.ones((1, 4, 2, 2), np.float32), found).difference == np.inf


def test_the_worst_batch_counts():
    batches = [np.full((1, 3, 2, 2), value, np.float32) for value in (1, 2)]
    found = agreement(lambda images: images, lambda images: images**2, compare_logits, batches)
    assert (found.difference, found.same_classes) == (1.0, 1.0)


@pytest.mark.parametrize(("batch", "count"), [(1, FRAMES), (3, 2), (6, 1)])
def test_batches_are_full_and_of_different_scenes(batch, count):
    made = list(scene_batches((64, 72), batch))
    assert [images.shape for images in made] == [(batch, 3, 64, 72)] * count
    images = np.concatenate(made)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) >= (0, 0.5)
    assert images.max() <= 1
    assert len({image.tobytes() for image in images}) == len(images)
    assert all(np.array_equal(one, two) for one, two in zip(made, scene_batches((64, 72), batch), strict=True))


def test_a_large_size_is_scaled_up():
    (images,) = scene_batches((520, 1032), FRAMES)
    assert images.shape == (FRAMES, 3, 520, 1032)
