import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from erfnet_jobs.erfnet.png import encode_png, stored_size


@given(st.integers(1, 400), st.integers(1, 400), st.booleans(), st.sampled_from([0, 2]))
def test_any_reader_finds_the_same_pixels(height, width, colour, level):
    shape = (height, width, 3) if colour else (height, width)
    pixels = np.random.default_rng(height).integers(0, 256, shape, np.uint8)

    with Image.open(io.BytesIO(encode_png(pixels, level))) as picture:
        assert picture.format == "PNG"
        assert picture.mode == ("RGB" if colour else "L")
        picture.verify()
    with Image.open(io.BytesIO(encode_png(pixels, level))) as picture:
        assert (np.asarray(picture) == pixels).all()


@pytest.mark.parametrize("size", [(1, 1), (64, 100), (1024, 2048)])
def test_the_size_without_compression_is_known_from_the_header(size):
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    wanted = len(encode_png(pixels, 0))

    known = stored_size(buffer.getvalue()[:24])

    assert known is not None
    assert wanted <= known <= wanted * 1.001 + 120


def test_only_pngs_have_a_known_size():
    assert stored_size(b"\xff\xd8\xff\xe0" + bytes(20)) is None
    assert stored_size(b"") is None
