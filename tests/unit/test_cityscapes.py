import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erfnet_jobs.erfnet.cityscapes import find_images, find_pairs, list_split, splits_of
from erfnet_jobs.errors import BadData
from tests.small_data import make_dataset, paths_of

NAMES = st.sets(st.from_regex(r"\A[a-z]{1,4}_[0-9]{2}_[0-9]{2}\Z"), max_size=8)


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@settings(max_examples=40)
@given(NAMES, NAMES)
def test_pairs_are_made_by_name_whatever_lies_beside_them(images: set[str], labels: set[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "leftImg8bit" / "train").mkdir(parents=True)
        (root / "gtFine" / "train").mkdir(parents=True)
        for name in images:
            touch(paths_of(root, "train", name)[0])
        for name in labels:
            touch(paths_of(root, "train", name)[1])
        listing = list_split(root, "train")
    assert [pair.name for pair in listing.pairs] == sorted(images & labels)
    assert all(
        pair.image.name.startswith(f"{pair.name}_") and pair.label.name.startswith(f"{pair.name}_")
        for pair in listing.pairs
    )
    assert {path.name.removesuffix("_leftImg8bit.png") for path in listing.unlabelled} == images - labels
    assert {path.name.removesuffix("_gtFine_labelIds.png") for path in listing.orphans} == labels - images


def test_label_ids_win_over_train_ids_and_other_files_do_not_count(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "d", train=2, val=1)
    first, second = (pair.label for pair in find_pairs(root, "train"))
    touch(first.with_name(first.name.replace("labelIds", "labelTrainIds")))
    touch(first.with_name(first.name.replace("labelIds", "instanceIds")))
    touch(root / "leftImg8bit" / "train" / "aachen" / "notes.txt")
    second.rename(trained := second.with_name(second.name.replace("labelIds", "labelTrainIds")))
    assert [pair.label for pair in find_pairs(root, "train")] == [first, trained]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="nowhere does not exist"):
        find_pairs(tmp_path / "nowhere", "train")
    with pytest.raises(BadData, match="no folder leftImg8bit"):
        find_pairs(tmp_path, "train")
    root = make_dataset(tmp_path / "d")
    with pytest.raises(BadData, match=r"split test: splits with images are train, val"):
        find_pairs(root, "test")
    assert splits_of(root) == ("train", "val")


def test_an_empty_split_is_named(tmp_path: Path) -> None:
    for kind in ("leftImg8bit", "gtFine"):
        (tmp_path / kind / "val" / "city").mkdir(parents=True)
    with pytest.raises(BadData, match="the split is empty"):
        find_pairs(tmp_path, "val")
    with pytest.raises(BadData, match="the split is empty"):
        find_images(tmp_path, "val")


def test_images_without_labels_are_named_up_to_ten_and_counted(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "d", train=14, val=0)
    for pair in find_pairs(root, "train")[:12]:
        pair.label.unlink()
    with pytest.raises(BadData, match=r"12 of 14 images .* and 2 more; add the labels"):
        find_pairs(root, "train")
    assert len(find_images(root, "train")) == 14


def test_a_name_in_two_cities_is_refused(tmp_path: Path) -> None:
    for city in ("a", "b"):
        touch(tmp_path / "leftImg8bit" / "train" / city / "x_1_leftImg8bit.png")
        touch(tmp_path / "gtFine" / "train" / city / "x_1_gtFine_labelIds.png")
    with pytest.raises(BadData, match="stand in two cities of train: x_1"):
        find_pairs(tmp_path, "train")
