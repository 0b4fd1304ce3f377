import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.erfnet.record_index import read_index, split_blob
from erfnet_jobs.errors import BadData

FIELDS = ("image", "label")


def blob_of(*fields: bytes) -> bytes:
    body = b"".join(struct.pack(">Q", len(field)) + field for field in fields)
    return struct.pack("<Q", len(body)) + body


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_fields_come_back(image: bytes, label: bytes) -> None:
    assert split_blob(blob_of(image, label), FIELDS) == {"image": image, "label": label}


@given(st.binary(max_size=20), st.binary(max_size=20), st.data())
def test_a_blob_cut_short_is_refused(image: bytes, label: bytes, data: st.DataObject) -> None:
    blob = blob_of(image, label)
    with pytest.raises(ValueError, match="blob of"):
        split_blob(blob[: data.draw(st.integers(0, len(blob) - 1))], FIELDS)


@given(st.binary(max_size=80))
def test_noise_never_does_worse_than_value_error(blob: bytes) -> None:
    try:
        split_blob(blob, FIELDS)
    except ValueError:
        return


@given(st.binary(max_size=60))
def test_a_file_of_noise_is_no_mindrecord(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path: Path = tmp_path_factory.mktemp("noise") / "x.mindrecord"
    path.write_bytes(content)
    with pytest.raises(BadData, match="is no MindRecord"):
        read_index(path)
