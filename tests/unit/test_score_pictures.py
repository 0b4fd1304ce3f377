import math

import numpy as np
import pytest

from erfnet_jobs.erfnet.labels import CLASSES, IGNORE, OUTPUTS, PALETTE
from erfnet_jobs.erfnet.metrics import scores
from erfnet_jobs.erfnet.score_pictures import CELL, confusion_picture, draw_scores, iou_picture
from erfnet_jobs.erfnet.worst_pictures import WRONG, worst_images, worst_picture


def matrix_of(right: int = 90, wrong: int = 10) -> np.ndarray:
    matrix = np.diag(np.full(OUTPUTS, right, np.int64))
    matrix[np.arange(CLASSES), (np.arange(CLASSES) + 1) % CLASSES] = wrong
    return matrix


def test_a_column_more_where_pixels_are_predicted_as_none():
    matrix = matrix_of()
    plain = confusion_picture(matrix, "x")
    matrix[0, IGNORE] = 1

    assert confusion_picture(matrix, "x").width == plain.width + CELL


def test_rows_are_shares_whatever_their_size():
    matrix = matrix_of()
    larger = matrix * 1000

    assert confusion_picture(matrix, "x").tobytes() == confusion_picture(larger, "x").tobytes()


def test_bars_have_their_classes_colours_and_absent_ones_none():
    matrix = matrix_of(wrong=0)
    matrix[13, 13] = 0
    colours = {colour for _, colour in iou_picture(scores(matrix), "x").getcolors(1 << 24)}

    # Car's is vehicle's too; truck's is there.
    assert tuple(PALETTE[14].tolist()) in colours
    assert tuple(PALETTE[18].tolist()) in colours
    everything = iou_picture(scores(matrix_of()), "x").tobytes()
    assert iou_picture(scores(matrix), "x").tobytes() != everything


@pytest.mark.parametrize("matrix", [np.zeros((OUTPUTS, OUTPUTS), np.int64), matrix_of(0, 0)])
def test_nothing_labelled_can_be_drawn(matrix):
    assert set(draw_scores(matrix, scores(matrix), "x" * 500)) == {"confusion", "iou"}


def test_the_worst_come_first_and_what_has_no_label_never():
    ious = np.array([0.5, math.nan, 0.1, 0.9, 0.1])

    assert worst_images(ious, 3) == [2, 4, 0]
    assert worst_images(ious, 9) == [2, 4, 0, 3]
    assert worst_images(ious, 0) == []


def test_wrong_pixels_are_red_and_ignored_ones_not():
    image = np.full((40, 80, 3), 77, np.uint8)
    truth = np.zeros((40, 80), np.uint8)
    truth[:, 40:] = IGNORE
    right = worst_picture(image, truth, np.zeros_like(truth), "t").getcolors(1 << 24)
    wrong = worst_picture(image, truth, np.full_like(truth, 8), "t").getcolors(1 << 24)

    assert WRONG not in {colour for _, colour in right}
    (pixels,) = [count for count, colour in wrong if colour == WRONG]
    # Half of a panel of 640 x 320; its edge is blended.
    assert 0.45 * 640 * 320 < pixels <= 0.5 * 640 * 320
