import math

import numpy as np
import pytest

from erfnet_jobs.erfnet import labels


def test_the_tables_send_label_ids_to_the_19_classes_and_the_rest_to_ignore() -> None:
    known = {entry.label_id: entry.train_id for entry in labels.TRAIN_CLASSES}
    assert sorted(known.values()) == list(range(19))
    for value in range(256):
        expected = known.get(value, 19) if value < 34 or value == 255 else labels.INVALID
        assert labels.FROM_LABEL_IDS[value] == expected


def test_cityscapes_own_examples() -> None:
    assert labels.FROM_LABEL_IDS[[0, 7, 26, 33, 29, 255]].tolist() == [19, 0, 13, 18, 19, 19]


def test_train_ids_stand_for_themselves() -> None:
    assert labels.FROM_TRAIN_IDS[:19].tolist() == list(range(19))
    assert labels.FROM_TRAIN_IDS[255] == 19
    assert set(labels.FROM_TRAIN_IDS[19:255].tolist()) == {labels.INVALID}


def test_the_suffix_decides_the_table() -> None:
    assert labels.table_for("a_gtFine_labelTrainIds.png") is labels.FROM_TRAIN_IDS
    assert labels.table_for("a_gtFine_labelIds.png") is labels.FROM_LABEL_IDS


@pytest.mark.parametrize(
    ("weights", "offset"), [(labels.ENCODER_WEIGHTS, 1.2), (labels.DECODER_WEIGHTS, 1.1)], ids=["encoder", "decoder"]
)
def test_weights_follow_the_papers_formula(weights: tuple[float, ...], offset: float) -> None:
    assert len(weights) == 20
    assert weights[19] == 0
    # w = 1 / ln(offset + share): the shares are a distribution, of which some 12 % of the pixels are ignored.
    shares = [math.exp(1 / weight) - offset for weight in weights[:19]]
    assert all(share > 0 for share in shares)
    assert math.isclose(sum(shares), 0.88, abs_tol=0.01)


def test_colours_are_one_for_each_class_and_black_for_ignored() -> None:
    assert len({entry.colour for entry in labels.TRAIN_CLASSES}) == 19
    picture = labels.colourize(np.array([[0, 13, 19]], np.uint8))
    assert picture.tolist() == [[[128, 64, 128], [0, 0, 142], [0, 0, 0]]]


def test_tables_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        labels.FROM_LABEL_IDS[0] = 1
