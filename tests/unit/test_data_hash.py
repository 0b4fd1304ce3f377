import json
import shutil
from pathlib import Path

import pytest

from erfnet_jobs.erfnet.data_hash import dataset_hash
from erfnet_jobs.errors import BadData
from tests.small_data import add_pair, make_dataset, paths_of


def test_the_hash_names_contents_not_places(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "d")
    before = dataset_hash(root, "train")
    shutil.copytree(root, tmp_path / "copy")
    assert dataset_hash(tmp_path / "copy", "train") == before
    assert dataset_hash(root, "val") != before
    add_pair(root, "val", "frankfurt_000009_000019", seed=9)
    assert dataset_hash(root, "train") == before


@pytest.mark.parametrize("which", [0, 1], ids=["image", "label"])
def test_any_change_changes_it(tmp_path: Path, which: int) -> None:
    root = make_dataset(tmp_path / "d")
    before = dataset_hash(root, "train", tmp_path / "cache")
    with paths_of(root, "train", "aachen_000000_000019")[which].open("ab") as file:
        file.write(b"\0")
    assert dataset_hash(root, "train", tmp_path / "cache") != before


def test_files_are_read_once(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "d")
    before = dataset_hash(root, "train", tmp_path / "cache")
    (cache,) = (tmp_path / "cache" / "hashes").iterdir()
    document = json.loads(cache.read_text())
    assert len(document["files"]) == 10
    first = next(iter(document["files"].values()))
    first[1] = "0" * 64
    cache.write_text(json.dumps(document))
    # What the cache says is believed while the file's signature stands.
    assert dataset_hash(root, "train", tmp_path / "cache") != before


@pytest.mark.parametrize("content", ["", "[]", "{", '{"version": 0, "files": {}}', '{"version": 1, "files": {"a": 1}}'])
def test_a_damaged_cache_is_made_again(tmp_path: Path, content: str) -> None:
    root = make_dataset(tmp_path / "d")
    before = dataset_hash(root, "train", tmp_path / "cache")
    (cache,) = (tmp_path / "cache" / "hashes").iterdir()
    cache.write_text(content)
    assert dataset_hash(root, "train", tmp_path / "cache") == before
    assert json.loads(cache.read_text())["version"] == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "d")
    image, _ = paths_of(root, "train", "aachen_000000_000019")
    image.unlink()
    image.mkdir()
    with pytest.raises(BadData, match=r"aachen_000000_000019_leftImg8bit\.png cannot be read"):
        dataset_hash(root, "train")
