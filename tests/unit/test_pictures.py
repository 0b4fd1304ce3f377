import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from erfnet_jobs.erfnet import pictures
from erfnet_jobs.erfnet.labels import FROM_LABEL_IDS
from erfnet_jobs.errors import BadData
from tests.small_data import image_of, label_of

LABEL = "a_gtFine_labelIds.png"
SIDES = st.tuples(st.integers(1, 20), st.integers(1, 20))


def png(pixels: np.ndarray, mode: str | None = None, **options: int) -> bytes:
    picture = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (picture.convert(mode) if mode else picture).save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("size", [(1, 1), (97, 133), (24, 40)])
def test_odd_sizes_are_read_as_they_are(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "i.png").write_bytes(png(image_of(1, size)))
    (tmp_path / LABEL).write_bytes(png(label_of(1, size)))
    assert np.array_equal(pictures.load_image(tmp_path / "i.png"), image_of(1, size))
    assert np.array_equal(pictures.load_label(tmp_path / LABEL), FROM_LABEL_IDS[label_of(1, size)])


@given(arrays.arrays(np.uint8, SIDES, elements=st.integers(0, 33)))
def test_any_label_ids_become_train_ids_and_survive_the_records_encoding(raw: np.ndarray) -> None:
    label = pictures.decode_label(png(raw), LABEL)
    assert label.max() <= 19
    assert np.array_equal(pictures.decode_train_ids(pictures.encode_label(label), "a"), label)


@given(st.sets(st.integers(34, 254), min_size=1, max_size=4))
def test_values_that_are_no_label_ids_are_named(wrong: set[int]) -> None:
    raw = np.zeros((4, 4), np.uint8)
    raw.flat[: len(wrong)] = sorted(wrong)
    with pytest.raises(BadData, match=", ".join(map(str, sorted(wrong)))):
        pictures.decode_label(png(raw), LABEL)


def test_train_ids_may_not_hold_label_ids() -> None:
    with pytest.raises(BadData, match="holds the values 33: it may hold 0 to 18, and 255"):
        pictures.decode_label(png(np.array([[0, 33]], np.uint8)), "a_gtFine_labelTrainIds.png")
    found = pictures.decode_label(png(np.array([[18, 255]], np.uint8)), "a_gtFine_labelTrainIds.png")
    assert found.tolist() == [[18, 19]]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (png(np.zeros((4, 4), np.uint16)), "16-bit grey"),
        (png(np.zeros((4, 4, 3), np.uint8)), "8-bit RGB"),
        (png(np.zeros((4, 4), np.uint8), "1"), "1-bit grey"),
        (png(np.zeros((4, 4), np.uint8), "P", bits=4), "4-bit palette"),
        (b"GIF89a and more, long enough to be looked at", "no PNG"),
        (b"", "no PNG"),
    ],
)
def test_labels_that_are_no_8_bit_png_of_one_channel_are_refused(content: bytes, named: str) -> None:
    with pytest.raises(BadData, match=named):
        pictures.decode_label(content, LABEL)


@given(st.integers(0, 400))
def test_a_png_cut_anywhere_is_refused_or_complete(kept: int) -> None:
    image, label = png(image_of(3, (9, 7))), png(label_of(3, (9, 7)))
    for whole, decode in ((image, pictures.decode_image), (label, pictures.decode_label)):
        try:
            found = decode(whole[:kept], LABEL)
        except BadData as error:
            assert LABEL in str(error)  # noqa: PT017 - either outcome is right, not each at any length
        else:
            assert np.array_equal(found, decode(whole, LABEL))


def test_images_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "deep.png").write_bytes(png(np.zeros((4, 4), np.uint16)))
    for name, what in (("text.png", "no picture"), ("deep.png", "8-bit RGB"), ("absent.png", "cannot be read")):
        with pytest.raises(BadData, match=what):
            pictures.load_image(tmp_path / name)


def test_a_broken_picture_is_told_in_words_alone() -> None:
    for decode, content in (
        (pictures.decode_image, b"not a picture"),
        (pictures.decode_label, png(np.zeros((4, 4), np.uint8))[:40]),
    ):
        with pytest.raises(BadData, match=r"a_gtFine_labelIds\.png is damaged.* \(.+\): copy it again") as raised:
            decode(content, LABEL)
        assert "0x" not in str(raised.value)
        assert "<" not in str(raised.value)
        assert " )" not in str(raised.value)


def test_sizes_that_differ_are_named() -> None:
    with pytest.raises(BadData, match="x: the image is 4x6 and its label 4x5"):
        pictures.check_same_size(np.zeros((4, 6, 3), np.uint8), np.zeros((4, 5), np.uint8), "x")
