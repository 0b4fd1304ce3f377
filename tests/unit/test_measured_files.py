"""What an evaluation by files is of."""

import shutil
from pathlib import Path

import pytest

from erfnet_jobs.erfnet.data_hash import dataset_hash
from erfnet_jobs.erfnet.measured_files import MeasuredFiles, measured_files
from erfnet_jobs.errors import BadData
from tests.small_data import make_dataset, paths_of


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "d", train=2, val=3)


def test_a_dataset_is_hashed_as_evaluations_hash_it(data: Path, tmp_path: Path) -> None:
    assert measured_files(data, data, "val", tmp_path / "cache") == MeasuredFiles(dataset_hash(data, "val"), 3)
    link = tmp_path / "link"
    link.symlink_to(data)
    assert measured_files(data, link, "val", tmp_path / "cache").dataset_hash == dataset_hash(data, "val")


def test_a_dataset_whose_labels_are_not_whole_is_refused(data: Path, tmp_path: Path) -> None:
    paths_of(data, "val", "frankfurt_000001_000019")[1].unlink()
    with pytest.raises(BadData, match="1 of 3 images"):
        measured_files(data, data, "val", tmp_path / "cache")


def flat(data: Path, folder: Path) -> tuple[Path, Path]:
    images, labels = folder / "i", folder / "l"
    for kind, place in (("leftImg8bit", images), ("gtFine", labels)):
        place.mkdir(parents=True)
        for path in (data / kind / "val").rglob("*.png"):
            shutil.copy(path, place)
    return images, labels


def test_folders_are_hashed_by_names_and_contents(data: Path, tmp_path: Path) -> None:
    images, labels = flat(data, tmp_path / "one")
    found = measured_files(images, labels, "val", tmp_path)
    assert found.images == 3
    assert measured_files(*flat(data, tmp_path / "two"), "val", tmp_path) == found
    (images / "notes.txt").write_text("no picture")
    shutil.copytree(labels, images / "an older output")
    assert measured_files(images, labels, "val", tmp_path) == found
    for changed in (*images.glob("*.png"), *labels.glob("*.png")):
        before = changed.read_bytes()
        changed.write_bytes(before + b"\0")
        assert measured_files(images, labels, "val", tmp_path).dataset_hash != found.dataset_hash
        changed.write_bytes(before)
    changed.rename(changed.with_name("other.png"))
    assert measured_files(images, labels, "val", tmp_path).dataset_hash != found.dataset_hash


def test_of_two_datasets_only_the_split_counts(data: Path, tmp_path: Path) -> None:
    other = make_dataset(tmp_path / "other", train=1, val=3)
    found = measured_files(data, other, "val", tmp_path)
    assert found.images == 3
    shutil.rmtree(other / "gtFine" / "train")
    assert measured_files(data, other, "val", tmp_path) == found
    assert found.dataset_hash != dataset_hash(data, "val")
