import json

import pytest

from erfnet_jobs.erfnet.manifest import MANIFEST_NAME, Entry, Manifest, check_hash
from erfnet_jobs.errors import BadCheckpoint
from erfnet_jobs.files import sha256_of


def put(folder, stage, epoch, content=b"weights"):
    name = f"ERFNet_stage{stage}-{epoch}_10.ckpt"
    (folder / name).write_bytes(content)
    return Entry("erfnet", stage, epoch, 10, name, sha256_of(folder / name), len(content))


def test_what_was_added_is_on_disk(tmp_path):
    manifest = Manifest(tmp_path / "checkpoints")
    manifest.add(put(manifest.folder, 3, 1))

    assert Manifest(manifest.folder).entries == manifest.entries
    assert Manifest(manifest.folder).newest(3).epoch == 1
    assert Manifest(manifest.folder).newest(4) is None


def test_the_data_is_named_from_the_next_change_on(tmp_path):
    manifest = Manifest(tmp_path)
    assert manifest.dataset_hash is None
    manifest.dataset_hash = "abc"
    manifest.add(put(tmp_path, 3, 1))

    assert Manifest(tmp_path).dataset_hash == "abc"
    Manifest(tmp_path).add(put(tmp_path, 3, 2))
    assert Manifest(tmp_path).dataset_hash == "abc"


def test_a_manifest_of_before_says_no_data(tmp_path):
    (tmp_path / MANIFEST_NAME).write_text('{"version": 1, "checkpoints": []}')

    assert Manifest(tmp_path).dataset_hash is None


def test_pruning_keeps_the_newest_of_its_stage(tmp_path):
    manifest = Manifest(tmp_path)
    for stage in (3, 4):
        for epoch in (1, 2, 10):
            manifest.add(put(tmp_path, stage, epoch))

    removed = manifest.prune(3, 2)

    assert [entry.epoch for entry in removed] == [1]
    assert sorted(path.name for path in tmp_path.glob("*stage3*")) == [
        "ERFNet_stage3-10_10.ckpt",
        "ERFNet_stage3-2_10.ckpt",
    ]
    assert len(list(tmp_path.glob("*stage4*"))) == 3
    assert manifest.prune(3, 5) == []


def test_pruning_keeps_the_best_too(tmp_path):
    manifest = Manifest(tmp_path)
    for epoch, mean_iou in ((1, 0.3), (2, 0.5), (3, 0.5), (4, 0.2), (5, None)):
        entry = put(tmp_path, 3, epoch)
        manifest.add(entry)
        if mean_iou is not None:
            manifest.measured(entry.file, mean_iou)
    manifest.add(put(tmp_path, 4, 1))

    assert [entry.epoch for entry in manifest.prune(3, 1)] == [1, 2, 4]
    reread = Manifest(tmp_path)
    assert (reread.best(3).epoch, reread.best(3).mean_iou) == (3, 0.5)
    assert reread.newest(3).epoch == 5
    assert reread.best(4) is None


def test_an_epoch_written_again_replaces_the_older(tmp_path):
    manifest = Manifest(tmp_path)
    manifest.add(put(tmp_path, 3, 1))
    manifest.add(put(tmp_path, 3, 1, b"other weights"))

    assert [entry.size for entry in manifest.entries] == [len(b"other weights")]


def test_adopting_takes_the_file_in(tmp_path):
    earlier = tmp_path / "1"
    earlier.mkdir()
    entry = put(earlier, 2, 5)
    manifest = Manifest(tmp_path / "2")

    manifest.adopt(earlier / entry.file, entry)
    manifest.adopt(earlier / entry.file, entry)

    assert (manifest.folder / entry.file).read_bytes() == b"weights"
    assert manifest.newest(2) == entry
    assert (earlier / entry.file).exists()


def test_a_changed_file_is_refused(tmp_path):
    entry = put(tmp_path, 1, 1)
    path = tmp_path / entry.file
    check_hash(path, entry.sha256)
    path.write_bytes(b"changed")

    with pytest.raises(BadCheckpoint, match="has changed since it was recorded"):
        check_hash(path, entry.sha256)
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        check_hash(tmp_path / "absent.ckpt", None)


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1}', json.dumps({"version": 9, "checkpoints": []})])
def test_a_damaged_manifest_is_told(tmp_path, content):
    (tmp_path / MANIFEST_NAME).write_text(content)

    with pytest.raises(BadCheckpoint, match=MANIFEST_NAME):
        Manifest(tmp_path)
