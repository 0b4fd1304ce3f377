import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from erfnet_jobs.erfnet.labels import CLASSES, IGNORE, OUTPUTS
from erfnet_jobs.erfnet.metrics import confusion_matrix, scores

LABELS = arrays(np.uint8, (7, 9), elements=st.integers(0, IGNORE))


def naive_iou(truth, prediction, train_id):
    """Pixel by pixel, as the definition says."""
    pixels = [(t, p) for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True) if t != IGNORE]
    hit = sum(t == p == train_id for t, p in pixels)
    union = sum(train_id in pixel for pixel in pixels)
    return hit / union if union else None


@given(LABELS, LABELS)
def test_scores_are_those_of_the_definition(truth, prediction):
    found = scores(confusion_matrix(truth, prediction))

    wanted = [naive_iou(truth, prediction, train_id) for train_id in range(CLASSES)]
    present = [iou for iou in wanted if iou is not None]
    assert found.iou_class == pytest.approx(wanted)
    assert found.mean_iou == pytest.approx(sum(present) / len(present) if present else 0)
    assert found.mean_iou_19 == pytest.approx(sum(present) / 19)


@given(LABELS, LABELS, LABELS, LABELS)
def test_matrices_add_up(truth, prediction, other_truth, other_prediction):
    both = confusion_matrix(np.stack([truth, other_truth]), np.stack([prediction, other_prediction]))

    parts = confusion_matrix(truth, prediction) + confusion_matrix(other_truth, other_prediction)
    assert (both == parts).all()
    assert both.shape == (OUTPUTS, OUTPUTS)
    assert both.sum() == 2 * truth.size


@given(LABELS)
def test_the_truth_is_perfect(truth):
    found = scores(confusion_matrix(truth, truth))

    assert set(found.iou_class) <= {1.0, None}
    assert found.pixel_accuracy == (1.0 if (truth != IGNORE).any() else 0.0)


def test_a_pixel_predicted_as_ignored_is_a_miss():
    truth, prediction = np.array([[0, 0]]), np.array([[0, IGNORE]])

    found = scores(confusion_matrix(truth, prediction))

    assert found.iou_class[0] == 0.5
    assert found.pixel_accuracy == 0.5


def test_nothing_labelled_is_no_division_by_zero():
    found = scores(confusion_matrix(np.full((2, 2), IGNORE), np.zeros((2, 2), np.int32)))

    assert found.iou_class == (None,) * CLASSES
    assert (found.mean_iou, found.pixel_accuracy) == (0.0, 0.0)
