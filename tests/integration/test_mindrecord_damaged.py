"""A damaged MindRecord is refused, and a cache with one is built anew."""

import json
import os
from pathlib import Path

import pytest

from erfnet_jobs.erfnet.mindrecord import ensure_mindrecord, open_mindrecord, training_rows
from erfnet_jobs.errors import BadData
from tests.mindrecords import build, quiet
from tests.small_data import make_dataset

pytestmark = pytest.mark.mindspore


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
