"""Our scores against those of Cityscapes' official script on the same PNGs."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from erfnet_jobs.erfnet.labels import IGNORE, LABEL_IDS, OUTPUTS, TO_LABEL_IDS
from erfnet_jobs.erfnet.metrics import confusion_matrix, scores
from erfnet_jobs.erfnet.pictures import load_label
from tests.official import assert_official, official_scores
from tests.small_data import label_of

SIZE = (48, 80)


def both(folder, labels, predictions):
    """Our scores and the script's of labelIds and of predicted train ids, by way of files."""
    total = np.zeros((OUTPUTS, OUTPUTS), np.int64)
    for number, (label, prediction) in enumerate(zip(labels, predictions, strict=True)):
        name = f"frankfurt_{number:06d}_000019"
        for path, ids in (
            (folder / "truth" / f"{name}_gtFine_labelIds.png", label),
            (folder / "predicted" / f"{name}_pred_labelIds.png", TO_LABEL_IDS[prediction]),
        ):
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(ids).save(path)
        total += confusion_matrix(load_label(folder / "truth" / f"{name}_gtFine_labelIds.png"), prediction)
    return scores(total), official_scores(folder / "truth", folder / "predicted")


def noise(seed, count=3):
    return list(np.random.default_rng(seed).integers(0, OUTPUTS, (count, *SIZE), dtype=np.uint8))


def nearly(labels, seed):
    """The truth with a fifth of its pixels changed."""
    chance = np.random.default_rng(seed)
    table = np.full(LABEL_IDS, IGNORE, np.uint8)
    table[TO_LABEL_IDS[:IGNORE]] = np.arange(IGNORE)
    changed = [table[label].copy() for label in labels]
    for one in changed:
        one[chance.random(SIZE) < 0.2] = chance.integers(0, OUTPUTS)
    return changed


BLOCKS = [label_of(seed, SIZE) for seed in range(3)]


@pytest.mark.parametrize(
    ("labels", "predictions"),
    [
        (BLOCKS, noise(1)),
        (BLOCKS, nearly(BLOCKS, 2)),
        (list(np.random.default_rng(3).integers(0, LABEL_IDS, (3, *SIZE), dtype=np.uint8)), noise(4)),
        # Some classes occur in neither, some in one of them.
        ([np.where(label < 20, label, 7).astype(np.uint8) for label in BLOCKS], [one % 6 for one in noise(5)]),
        ([np.full(SIZE, 7, np.uint8)], [np.zeros(SIZE, np.uint8)]),
        # All that is void, and nothing else.
        ([np.resize(np.array([0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30], np.uint8), SIZE)], noise(6, 1)),
        # Every label id predicted as nothing.
        ([np.resize(np.arange(LABEL_IDS, dtype=np.uint8), SIZE)], [np.full(SIZE, IGNORE, np.uint8)]),
    ],
    ids=["noise", "nearly right", "pixels", "absent classes", "one class", "void", "nothing predicted"],
)
def test_the_official_script_says_the_same(tmp_path, labels, predictions):
    ours, official = both(tmp_path, labels, predictions)

    assert_official(ours, official)


@settings(max_examples=25, deadline=None)
@given(
    arrays(np.uint8, (2, 6, 7), elements=st.integers(0, LABEL_IDS - 1)),
    arrays(np.uint8, (2, 6, 7), elements=st.integers(0, IGNORE)),
)
def test_it_says_the_same_of_anything(labels, predictions):
    with tempfile.TemporaryDirectory() as folder:
        ours, official = both(Path(folder), labels, predictions)

    assert_official(ours, official)
