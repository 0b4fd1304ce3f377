import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from erfnet_jobs.choices import FOUND, RAW, STORES
from erfnet_jobs.erfnet.data_check import check_dataset
from erfnet_jobs.erfnet.data_hash import dataset_hash
from erfnet_jobs.erfnet.dataset import open_source
from erfnet_jobs.erfnet.mindrecord import (
    Build,
    MindRecord,
    build_mindrecord,
    ensure_mindrecord,
    is_mindrecord,
    open_mindrecord,
    training_rows,
)
from erfnet_jobs.errors import BadData, DiskFull, UsageError
from tests.small_data import add_pair, make_dataset, paths_of

pytestmark = pytest.mark.mindspore
PROGRAM = Path(__file__).with_name("building_process.py")
REPOSITORY = Path(__file__).parents[2]


def quiet(done: int, total: int) -> None:
    pass


def build(data: Path, target: Path, **options: Any) -> tuple[MindRecord, bool]:
    return build_mindrecord(Build(data, "train", target, "train.mindrecord", **options), None, quiet)


def read_with_mindspore(path: Path) -> dict[str, tuple[bytes, bytes]]:
    from mindspore.mindrecord import FileReader

    reader = FileReader(str(path))
    rows = {row["name"]: (bytes(row["image"]), bytes(row["label"])) for row in reader.get_next()}
    reader.close()
    return rows


def start(*arguments: object) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdout
    assert process.stdin
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("\n")
    process.stdin.flush()


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


@pytest.mark.parametrize("store", STORES)
def test_frames_are_stored_as_wanted_and_are_the_same_pixels(tmp_path: Path, store: str) -> None:
    data = make_dataset(tmp_path / "d", size=(97, 133))
    record, _ = build(data, tmp_path / "r", store=store)
    rows, source = training_rows(record), open_source(data, "train")
    for index, (sample, original) in enumerate(zip(rows, source, strict=True)):
        frame = rows.encoded(index)["image"]
        assert (frame == frame_file(data, original.name).read_bytes()) == (store == FOUND)
        assert frame.startswith(b"\x89PNG")
        assert np.array_equal(sample.image, original.image)
    assert record.meta
    assert record.meta.store == store
    assert rows.dataset_hash == source.dataset_hash


def frame_file(data: Path, name: str) -> Path:
    (path,) = data.rglob(f"{name}_leftImg8bit.png")
    return path


def test_jpegs_are_stored_as_found(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "d", train=1)
    name = open_source(data, "train").names[0]
    frame = frame_file(data, name)
    with Image.open(frame) as picture:
        picture.convert("RGB").save(frame.with_suffix(".jpg"))
    frame.unlink()
    record, _ = build(data, tmp_path / "r", store=RAW)
    assert training_rows(record).encoded(0)["image"] == frame.with_suffix(".jpg").read_bytes()


def test_another_store_is_built_anew_and_a_record_without_one_holds_frames_as_found(tmp_path: Path) -> None:
    data, target = make_dataset(tmp_path / "d"), tmp_path / "r"
    build(data, target, store=FOUND)
    meta = json.loads((target / "meta.json").read_bytes())
    assert meta.pop("store") == FOUND
    (target / "meta.json").write_text(json.dumps(meta))
    assert not build(data, target, store=FOUND)[1]
    assert build(data, target, store=RAW)[1]
    with pytest.raises(UsageError, match="store is zip"):
        build(data, target, store="zip")


def test_where_there_is_no_room_for_raw_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data = flat_frames(tmp_path / "d")
    free = sum(path.stat().st_size for path in data.rglob("*.png")) * 10 + (16 << 20)
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DiskFull, match="--store found"):
        build(data, tmp_path / "r")
    record = ensure_mindrecord(data, "train", tmp_path / "cache", 1, quiet)
    assert record.meta
    assert record.meta.store == FOUND
    assert "stored as found" in caplog.text


def test_a_frame_that_lies_about_its_size_is_bad_data(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "d", train=2)
    frame = frame_file(data, open_source(data, "train").names[0])
    content = frame.read_bytes()
    frame.write_bytes(content[:16] + b"\x7f\xff\xff\xff" * 2 + content[24:])
    with pytest.raises(BadData, match=frame.name):
        build(data, tmp_path / "r")


def flat_frames(root: Path) -> Path:
    """Frames of one colour: a thousand times as large without compression."""
    data = make_dataset(root, train=2, size=(512, 512))
    for path in (root / "leftImg8bit").rglob("*.png"):
        Image.new("RGB", (512, 512), (9, 9, 9)).save(path)
    for path in (root / "gtFine").rglob("*.png"):
        Image.new("L", (512, 512), 7).save(path)
    return data


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


def damage_missing_index(folder: Path) -> None:
    (folder / "train.mindrecord1.db").unlink()


def damage_missing_shard(folder: Path) -> None:
    (folder / "train.mindrecord1").unlink()


def damage_truncated_data(folder: Path) -> None:
    index = open_mindrecord(folder).index
    last = index.rows[-1]  # MindSpore spreads rows over shards as it likes
    os.truncate(index.files[last.shard], last.offset + last.length - 1)


def damage_truncated_index(folder: Path) -> None:
    os.truncate(folder / "train.mindrecord0.db", 5000)


def damage_renamed(folder: Path) -> None:
    for path in list(folder.glob("train*")):
        path.rename(path.with_name(path.name.replace("train", "other")))


def damage_meta(folder: Path) -> None:
    (folder / "meta.json").write_text("{}")


def damage_count(folder: Path) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps({**meta, "count": 9}))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_missing_index, "is missing"),
        (damage_missing_shard, "is missing"),
        (damage_truncated_data, "cut short"),
        (damage_truncated_index, "damaged"),
        (damage_renamed, "was renamed"),
        (damage_meta, "cannot be read"),
        (damage_count, "not 9"),
    ],
)
def test_a_damaged_mindrecord_is_refused(tmp_path: Path, damage: "type[object]", said: str) -> None:
    build(make_dataset(tmp_path / "d", size=(200, 300)), tmp_path / "r", shards=2)
    damage(tmp_path / "r")
    with pytest.raises(BadData, match=said):
        open_mindrecord(tmp_path / "r")


def test_a_mindrecord_of_other_columns_is_refused(tmp_path: Path) -> None:
    from mindspore.mindrecord import FileWriter

    writer = FileWriter(str(tmp_path / "x.mindrecord"))
    writer.add_schema({"data": {"type": "bytes"}, "label": {"type": "bytes"}}, "")
    writer.write_raw_data([{"data": b"d", "label": b"l"}])
    writer.commit()
    with pytest.raises(BadData, match="has the columns data, label"):
        open_mindrecord(tmp_path / "x.mindrecord")


def test_of_several_processes_one_builds_and_all_follow(tmp_path: Path) -> None:
    data, cache = make_dataset(tmp_path / "d", train=60, size=(200, 300)), tmp_path / "cache"
    processes = [start(data, "train", cache) for _ in range(2)]
    try:
        for process in processes:
            go(process)
        outputs = [process.communicate(timeout=120)[0].splitlines() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    path = cache / dataset_hash(data, "train") / "train" / "train.mindrecord"
    assert [process.returncode for process in processes] == [0, 0]
    assert [lines[-1] for lines in outputs] == [f"built {path} 60"] * 2
    # Only a builder sees every image; one who waits looks some times a second.
    assert sum([f"{done} 60" for done in range(61)] == lines[:-1] for lines in outputs) == 1


def test_what_a_killed_builder_left_is_built_anew(tmp_path: Path) -> None:
    data, cache = make_dataset(tmp_path / "d", train=60, size=(200, 300)), tmp_path / "cache"
    process = start(data, "train", cache)
    try:
        go(process)
        assert process.stdout
        while process.stdout.readline() != "20 60\n":
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    folder = cache / dataset_hash(data, "train")
    assert (folder / ".train.building").is_dir()
    assert not (folder / "train").exists()
    assert ensure_mindrecord(data, "train", cache, 2, quiet).count == 60
    assert {entry.name for entry in folder.iterdir()} == {"train", ".train.lock"}


def test_a_build_killed_between_its_two_renames_is_put_back(tmp_path: Path) -> None:
    data, target = make_dataset(tmp_path / "d"), tmp_path / "r"
    build(data, target)
    target.rename(tmp_path / ".r.old")
    assert not build(data, target)[1]
    assert {entry.name for entry in tmp_path.iterdir()} == {"d", "r", ".r.lock"}


def test_a_disk_that_is_full_on_the_way_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    data, cache = make_dataset(tmp_path / "d", train=30, size=(200, 300)), tmp_path / "cache"
    process = start(data, "train", cache, 2 << 20)
    try:
        go(process)
        output = process.communicate(timeout=120)[0].splitlines()
    finally:
        process.kill()
        process.wait()
    assert process.returncode not in {0, None}
    assert "cannot" in output[-1]
    assert {entry.name for entry in (cache / dataset_hash(data, "train")).iterdir()} == {".train.lock"}
    assert ensure_mindrecord(data, "train", cache, 2, quiet).count == 30


@pytest.mark.parametrize("name", ["train.mindrecord", "train.mindrecord.db", "meta.json"])
@pytest.mark.parametrize("content", [b"damaged", None])
def test_a_damaged_cache_is_built_anew(tmp_path: Path, name: str, content: bytes | None) -> None:
    data, cache = make_dataset(tmp_path / "d", train=2), tmp_path / "cache"
    damaged = ensure_mindrecord(data, "train", cache, 1, quiet).path.with_name(name)
    damaged.unlink()
    if content is not None:
        damaged.write_bytes(content)

    assert len(training_rows(ensure_mindrecord(data, "train", cache, 1, quiet))) == 2


def test_a_damaged_build_is_replaced_by_force(tmp_path: Path) -> None:
    data, target = make_dataset(tmp_path / "d", train=2), tmp_path / "train.mindrecord"
    build(data, target)
    (target / "train.mindrecord").write_bytes(b"damaged")

    with pytest.raises(BadData, match="--force"):
        build(data, target)

    assert build(data, target, force=True)[1]


def test_a_mindrecord_is_not_checked_as_a_dataset(tmp_path: Path) -> None:
    record, _ = build(make_dataset(tmp_path / "d", train=2), tmp_path / "r")

    for path in (tmp_path / "r", record.path):
        with pytest.raises(BadData, match="is a MindRecord, checked when it was built"):
            check_dataset(path)
    with pytest.raises(BadData, match="is no dataset"):
        check_dataset(next((tmp_path / "d").rglob("*.png")))
