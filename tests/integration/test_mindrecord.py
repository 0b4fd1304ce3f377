"""MindRecords: what our reader and MindSpore's see in them, which build serves whom, and what is refused."""

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from erfnet_jobs.erfnet.data_check import check_dataset
from erfnet_jobs.erfnet.data_hash import dataset_hash
from erfnet_jobs.erfnet.dataset import open_source
from erfnet_jobs.erfnet.mindrecord import ensure_mindrecord, is_mindrecord, open_mindrecord, training_rows
from erfnet_jobs.errors import BadData, UsageError
from tests.mindrecords import build, quiet
from tests.small_data import add_pair, make_dataset, paths_of

pytestmark = pytest.mark.mindspore


def read_with_mindspore(path: Path) -> dict[str, tuple[bytes, bytes]]:
    from mindspore.mindrecord import FileReader

    reader = FileReader(str(path))
    rows = {row["name"]: (bytes(row["image"]), bytes(row["label"])) for row in reader.get_next()}
    reader.close()
    return rows


@pytest.mark.parametrize(("shards", "count"), [(1, 5), (3, 11), (4, 2)])
def test_our_reader_and_mindspores_see_the_same_rows(tmp_path: Path, shards: int, count: int) -> None:
    data = make_dataset(tmp_path / "d", train=count, size=(97, 133))
    record, built = build(data, tmp_path / "train.mindrecord", shards=shards, workers=2)
    assert built
    rows, source = training_rows(record), open_source(data, "train")
    encoded = {
        name: (rows.encoded(index)["image"], rows.encoded(index)["label"]) for index, name in enumerate(rows.names)
    }
    assert read_with_mindspore(record.path) == encoded
    assert len(rows) == len(source) == count
    for sample, original in zip(rows, source, strict=True):
        assert sample.name == original.name
        assert np.array_equal(sample.image, original.image)
        assert np.array_equal(sample.label, original.label)
    assert rows.dataset_hash == source.dataset_hash


def test_mindspores_dataset_reads_it(tmp_path: Path) -> None:
    import mindspore.dataset as ds

    record, _ = build(make_dataset(tmp_path / "d"), tmp_path / "train.mindrecord", shards=2)
    found = ds.MindDataset(str(record.path), columns_list=["name", "label"], shuffle=False)
    assert {str(row["name"]) for row in found.create_dict_iterator(output_numpy=True)} == set(
        training_rows(record).names
    )


def test_rows_of_many_pages_are_found(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "d", train=12, size=(200, 300))
    record, _ = build(data, tmp_path / "train.mindrecord")
    assert record.path.stat().st_size > 2 << 20
    for sample, original in zip(training_rows(record), open_source(data, "train"), strict=True):
        assert np.array_equal(sample.image, original.image)


def test_a_built_folder_may_be_moved_and_named_in_three_ways(tmp_path: Path) -> None:
    build(make_dataset(tmp_path / "d"), tmp_path / "here", shards=2)
    (tmp_path / "elsewhere").mkdir()
    moved = (tmp_path / "here").rename(tmp_path / "elsewhere" / "there")
    for path in (moved, moved / "train.mindrecord0", moved / "train.mindrecord"):
        assert is_mindrecord(path)
        assert open_source(path, "train").names == training_rows(open_mindrecord(moved)).names
    assert len(read_with_mindspore(moved / "train.mindrecord0")) == 5
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in moved.iterdir())


def test_rows_go_to_threads_and_other_processes(tmp_path: Path) -> None:
    rows = training_rows(build(make_dataset(tmp_path / "d", train=8), tmp_path / "r", shards=2)[0])
    expected = [sample.image.tobytes() for sample in rows]
    with ThreadPoolExecutor(4) as pool:
        assert [sample.image.tobytes() for sample in pool.map(rows.read, range(8))] == expected
    copy = pickle.loads(pickle.dumps(rows))  # noqa: S301 - what multiprocessing does with it
    assert [sample.image.tobytes() for sample in copy] == expected


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_parts_are_equal_and_cover_all(tmp_path: Path, shards: int) -> None:
    record, _ = build(make_dataset(tmp_path / "d"), tmp_path / "r")
    parts = [training_rows(record, shard, shards).names for shard in range(shards)]
    assert {len(part) for part in parts} == {-(-5 // shards)}
    assert {name for part in parts for name in part} == set(training_rows(record).names)
    with pytest.raises(ValueError, match="shard 9"):
        training_rows(record, 9, shards)


def test_a_second_build_does_nothing_unless_data_changed_or_force(tmp_path: Path) -> None:
    data, target = make_dataset(tmp_path / "d"), tmp_path / "r"
    build(data, target)
    inode = target.stat().st_ino
    assert not build(data, target)[1]
    assert target.stat().st_ino == inode
    assert build(data, target, force=True)[1]
    add_pair(data, "train", "ulm_000001_000019", seed=50)
    record, built = build(data, target)
    assert built
    assert record.count == 6
    assert {entry.name for entry in tmp_path.iterdir()} == {"d", "r", ".r.lock"}


def test_what_was_not_built_from_this_dataset_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "r"
    build(make_dataset(tmp_path / "one"), target)
    with pytest.raises(UsageError, match=r"was built from .*one: choose another name, or give --force"):
        build(make_dataset(tmp_path / "two", train=3), target)
    assert build(tmp_path / "two", target, force=True)[0].count == 3
    (tmp_path / "mine").mkdir()
    with pytest.raises(UsageError, match="was not built here"):
        build(tmp_path / "two", tmp_path / "mine")


@pytest.mark.parametrize("options", [{"shards": 0}, {"shards": 1001}, {"workers": 0}])
def test_what_cannot_be_meant_is_refused(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="give a number from 1"):
        build(tmp_path, tmp_path / "r", **options)


def test_bad_pairs_are_named_and_nothing_is_left(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "d", train=14)
    names = [f"{('aachen', 'bochum')[number % 2]}_{number:06d}_000019" for number in range(14)]
    Image.fromarray(np.full((24, 40), 200, np.uint8)).save(paths_of(data, "train", names[0])[1])
    paths_of(data, "train", names[1])[0].write_bytes(b"half a picture")
    with pytest.raises(BadData, match="2 of 14 pairs") as raised:
        build(data, tmp_path / "r", workers=2)
    assert all(name in str(raised.value) for name in names[:2])
    assert {entry.name for entry in tmp_path.iterdir()} == {"d", ".r.lock"}
    for name in names[:12]:
        paths_of(data, "train", name)[1].write_bytes(b"")
    with pytest.raises(BadData, match=r"12 of 14 pairs[\s\S]*and 2 more"):
        build(data, tmp_path / "r", workers=2)


def test_ensure_builds_once_by_content_and_takes_a_mindrecord_as_it_is(tmp_path: Path) -> None:
    data, cache = make_dataset(tmp_path / "d"), tmp_path / "cache"
    seen: list[tuple[int, int]] = []
    record = ensure_mindrecord(data, "train", cache, 2, lambda done, total: seen.append((done, total)))
    assert record.path == cache / dataset_hash(data, "train") / "train" / "train.mindrecord"
    assert record.meta
    assert (record.meta.count, sum(record.meta.pixels), record.meta.sizes) == (5, 5 * 24 * 40, {"24x40": 5})
    assert seen == [(done, 5) for done in range(6)]
    shutil.copytree(data, tmp_path / "copy")
    assert ensure_mindrecord(tmp_path / "copy", "train", cache, 2, quiet).path == record.path
    assert len(seen) == 6
    assert ensure_mindrecord(record.path.parent, "train", tmp_path / "unused", 2, quiet).path == record.path
    assert not (tmp_path / "unused").exists()
    with pytest.raises(BadData, match="holds the split train, not val"):
        ensure_mindrecord(record.path, "val", cache, 2, quiet)


def test_a_mindrecord_without_meta_is_hashed_by_its_rows(tmp_path: Path) -> None:
    for name, shards in (("one", 1), ("two", 2)):
        build(make_dataset(tmp_path / "d"), tmp_path / name, shards=shards)
        (tmp_path / name / "meta.json").unlink()
    one, two = (open_mindrecord(tmp_path / name) for name in ("one", "two"))
    assert one.dataset_hash == two.dataset_hash
    assert open_source(tmp_path / "one", "val").dataset_hash == one.dataset_hash


def test_a_mindrecord_is_not_checked_as_a_dataset(tmp_path: Path) -> None:
    record, _ = build(make_dataset(tmp_path / "d", train=2), tmp_path / "r")

    for path in (tmp_path / "r", record.path):
        with pytest.raises(BadData, match="is a MindRecord, checked when it was built"):
            check_dataset(path)
    with pytest.raises(BadData, match="is no dataset"):
        check_dataset(next((tmp_path / "d").rglob("*.png")))
