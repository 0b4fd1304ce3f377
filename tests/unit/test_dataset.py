from pathlib import Path

import numpy as np
import pytest

from erfnet_jobs.erfnet.data_hash import dataset_hash
from erfnet_jobs.erfnet.dataset import open_source
from erfnet_jobs.erfnet.labels import FROM_LABEL_IDS
from erfnet_jobs.errors import BadData
from tests.small_data import image_of, label_of, make_dataset, paths_of


def test_a_folder_gives_its_samples_in_order_of_names(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "d", train=3, size=(97, 133))
    source = open_source(root, "train")
    assert len(source) == 3
    assert source.names == ("aachen_000000_000019", "aachen_000002_000019", "bochum_000001_000019")
    assert [sample.name for sample in source] == list(source.names)
    last = source[-1]
    assert np.array_equal(last.image, image_of(1, (97, 133)))
    assert np.array_equal(last.label, FROM_LABEL_IDS[label_of(1, (97, 133))])
    assert [sample.name for sample in source[1:]] == list(source.names[1:])
    assert source.dataset_hash == dataset_hash(root, "train")
    with pytest.raises(IndexError):
        source[3]


def test_a_bad_sample_is_bad_data_when_it_is_read(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "d", train=2)
    paths_of(root, "train", "aachen_000000_000019")[0].write_bytes(b"")
    source = open_source(root, "train")
    with pytest.raises(BadData, match="aachen_000000_000019"):
        source[0]
    assert source[1].name == "bochum_000001_000019"


def test_neither_dataset_nor_mindrecord(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="does not exist"):
        open_source(tmp_path / "nowhere", "train")
    (tmp_path / "file").write_text("text")
    with pytest.raises(BadData, match="is no MindRecord"):
        open_source(tmp_path / "file", "train")
