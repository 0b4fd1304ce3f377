"""How a MindRecord stores frames: as found or without compression, and always the same pixels."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from erfnet_jobs.choices import FOUND, RAW, STORES
from erfnet_jobs.erfnet.dataset import open_source
from erfnet_jobs.erfnet.mindrecord import ensure_mindrecord, training_rows
from erfnet_jobs.errors import BadData, DiskFull, UsageError
from tests.mindrecords import build, quiet
from tests.small_data import make_dataset

pytestmark = pytest.mark.mindspore


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
