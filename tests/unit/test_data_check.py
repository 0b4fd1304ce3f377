from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from erfnet_jobs.erfnet.data_check import check_dataset
from erfnet_jobs.erfnet.labels import CLASS_NAMES
from erfnet_jobs.errors import BadData
from tests.small_data import add_pair, make_dataset, paths_of


def test_a_good_dataset_has_no_faults(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    result = check_dataset(make_dataset(tmp_path / "d"), progress=lambda done, total: seen.append((done, total)))
    document = result.document()
    assert document["ok"]
    assert document["faults"] == []
    assert [split.split for split in result.splits] == ["train", "val"]
    assert document["splits"]["train"]["sizes"] == {"24x40": 5}
    assert list(document["splits"]["train"]["classes"]) == list(CLASS_NAMES)
    train = result.splits[0]
    assert sum(train.pixels) == 5 * 24 * 40
    assert sum(train.shares) == pytest.approx(1)
    assert seen[-1] == (7, 7)


def test_every_fault_is_named(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "d", train=8, val=1)
    names = [f"{('aachen', 'bochum')[number % 2]}_{number:06d}_000019" for number in range(8)]
    paths = [paths_of(root, "train", name) for name in names]
    paths[0][1].unlink()
    paths[1][0].unlink()
    Image.fromarray(np.full((24, 40), 77, np.uint8)).save(paths[2][1])
    paths[3][0].write_bytes(paths[3][0].read_bytes()[:200])
    Image.fromarray(np.zeros((24, 40), np.uint16)).save(paths[4][1])
    Image.fromarray(np.zeros((24, 41), np.uint8)).save(paths[5][1])
    faults = check_dataset(root).faults
    expected = ("has no label", "has no image", "the values 77", "damaged", "16-bit", "24x40 and its label 24x41")
    assert len(faults) == len(expected)
    for index, what in enumerate(expected):
        assert any(what in fault and names[index] in fault for fault in faults), what


def test_more_faults_than_ten_are_all_named(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "d", train=12, val=0)
    for label in (root / "gtFine").rglob("*.png"):
        label.write_bytes(b"")
    assert len(check_dataset(root, ("train",)).faults) == 12


def test_splits_that_are_missing_or_empty_are_faults(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "d", val=0)
    for kind in ("leftImg8bit", "gtFine"):
        (root / kind / "val").mkdir()
    assert any("has no images" in fault for fault in check_dataset(root).faults)
    assert len(check_dataset(root, ("test",)).faults) == 2


def test_no_dataset_at_all_is_bad_data(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="does not exist"):
        check_dataset(tmp_path / "nowhere")
    add_pair(tmp_path / "d", "extra", "ulm_000000_000019", 1)
    with pytest.raises(BadData, match="none of the splits train, val, test: it has extra"):
        check_dataset(tmp_path / "d")
