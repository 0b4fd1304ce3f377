"""What the C++ program makes of picture files is what the Python side makes of them, value for value."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from erfnet_jobs.erfnet.labels import IGNORE
from erfnet_jobs.erfnet.pictures import load_image, load_label
from erfnet_jobs.erfnet.transforms import prepare_image, prepare_label, prepare_pixels
from erfnet_jobs.errors import BadData
from tests.cxx_builds import BUILD_GROUP, Probe, Refused, probe

pytestmark = pytest.mark.xdist_group(BUILD_GROUP)
SIDES = st.integers(1, 40)
# PNG (RFC 2083): for each colour type its bit depths and number of channels.
_PNG_KINDS = [
    (colour, depth, channels)
    for colour, depths, channels in (
        (0, (1, 2, 4, 8, 16), 1),
        (2, (8, 16), 3),
        (3, (1, 2, 4, 8), 1),
        (4, (8, 16), 2),
        (6, (8, 16), 4),
    )
    for depth in depths
]
many = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def cxx() -> Iterator[Probe]:
    yield from probe("release")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cxx") / "picture.png"


def noise(seed: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@many
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 99))
def test_bilinear_is_pillows(cxx: Probe, file: Path, height: int, width: int, to: int, across: int, seed: int) -> None:
    image = noise(seed, height, width, 3)
    file.write_bytes(png(Image.fromarray(image)))
    expected = prepare_pixels(image, (to, across)).transpose(1, 2, 0)
    np.testing.assert_array_equal(cxx.pixels("bilinear", file, to, across), expected)


@pytest.mark.parametrize(
    "size", [(512, 1024), (1024, 2048), (333, 777), (1, 1), (1025, 2049), (1024, 100), (37, 2048), (100, 2000)]
)
def test_bilinear_is_pillows_for_a_street_scene(cxx: Probe, file: Path, size: tuple[int, int]) -> None:
    image = noise(0, 1024, 2048, 3)
    image[::7] = 255  # sums at their ends
    image[:, ::5] = 0
    file.write_bytes(png(Image.fromarray(image)))
    np.testing.assert_array_equal(cxx.pixels("bilinear", file, *size), prepare_pixels(image, size).transpose(1, 2, 0))


@many
@given(SIDES, SIDES, st.integers(1, 90), st.integers(1, 90), st.booleans())
def test_nearest_is_pillows(cxx: Probe, file: Path, height: int, width: int, to: int, across: int, swap: bool) -> None:
    sizes = ((to, across), (height, width)) if swap else ((height, width), (to, across))
    image = noise(1, *sizes[0], 3)
    file.write_bytes(png(Image.fromarray(image)))
    expected = np.stack([prepare_label(image[..., channel], sizes[1]) for channel in range(3)], axis=-1)
    np.testing.assert_array_equal(cxx.pixels("nearest", file, *sizes[1]), expected)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("kind", ["fp32", "fp16", "uint8"])
@pytest.mark.parametrize("size", [(64, 128), (19, 23)])
def test_prepares_as_training_does(cxx: Probe, file: Path, kind: str, layout: str, size: tuple[int, int]) -> None:
    image = noise(2, 64, 128, 3)
    image[:2, :, 0] = np.arange(256, dtype=np.uint8).reshape(2, 128)
    file.write_bytes(png(Image.fromarray(image)))
    expected = prepare_pixels(image, size) if kind == "uint8" else prepare_image(image, size)
    if kind == "fp16":
        expected = expected.astype(np.float16)
    if layout == "nhwc":
        expected = expected.transpose(1, 2, 0)
    told = cxx.pixels("prepare", file, *size, kind, layout)
    assert isinstance(told, np.ndarray)
    assert told.tobytes() == np.ascontiguousarray(expected).tobytes()


def assert_reads_the_same(cxx: Probe, path: Path, *, label: bool = False) -> None:
    try:
        expected = load_label(path) if label else load_image(path)
    except BadData:
        told = cxx.pixels("label" if label else "image", path)
        assert isinstance(told, Refused)
        assert told.code == BadData.exit_code
        assert told.message.startswith(f"{path} ")
        assert "\n" not in told.message
    else:
        np.testing.assert_array_equal(cxx.pixels("label" if label else "image", path), expected)


@st.composite
def png_files(draw: st.DrawFn) -> bytes:
    """A whole PNG of any kind, also of those that Pillow does not write; interlaced ones have a test of their own."""
    colour, depth, channels = draw(st.sampled_from(_PNG_KINDS))
    height, width = draw(SIDES), draw(SIDES)
    row_bytes = (width * depth * channels + 7) // 8
    rows = noise(draw(st.integers(0, 99)), height, row_bytes + 1)
    rows[:, 0] = draw(st.integers(0, 4))  # the filter
    chunks = []
    if colour == 3:
        chunks.append((b"PLTE", noise(3, 2**depth * 3).tobytes()))
    if draw(st.booleans()):
        chunks.append((b"gAMA", struct.pack(">I", 100000)))
    if draw(st.booleans()) and colour in (0, 2, 3):
        chunks.append((b"tRNS", b"\0\1" * {0: 1, 2: 3, 3: 1}[colour]))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows.tobytes(), 1))]
    if draw(st.booleans()):
        chunks.append((b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@many
@given(png_files(), st.booleans())
def test_reads_every_kind_of_png_as_python_does(cxx: Probe, file: Path, content: bytes, label: bool) -> None:
    file.write_bytes(content)
    assert_reads_the_same(cxx, file, label=label)


@many
@given(
    SIDES,
    SIDES,
    st.sampled_from(["RGB", "L", "CMYK"]),
    st.integers(1, 100),
    st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
    st.booleans(),
    st.booleans(),
)
def test_reads_every_kind_of_jpeg_as_python_does(
    cxx: Probe,
    file: Path,
    height: int,
    width: int,
    mode: str,
    quality: int,
    subsampling: str,
    progressive: bool,
    turned: bool,
) -> None:
    picture = Image.fromarray(noise(4, height, width, 3)).convert(mode)
    exif = Image.Exif()
    if turned:
        exif[0x0112] = 6  # Orientation: a quarter turn
    picture.save(file, "JPEG", quality=quality, subsampling=subsampling, progressive=progressive, exif=exif)
    assert_reads_the_same(cxx, file)


@many
@given(st.data())
def test_refuses_files_that_are_cut_short_where_python_does(cxx: Probe, file: Path, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["PNG", "JPEG"]))
    buffer = io.BytesIO()
    Image.fromarray(noise(5, 24, 31, 3)).save(buffer, kind)
    content = buffer.getvalue()
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    assert_reads_the_same(cxx, file)


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_reads_interlaced_pngs(cxx: Probe, file: Path, mode: str) -> None:
    """Adam7, made here as Pillow writes none: seven small pictures in one."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    image = noise(6, 21, 35, 3) if mode == "RGB" else noise(6, 21, 35, 1)
    rows = b""
    for top, left, down, across in passes:
        for row in image[top::down, left::across]:
            rows += b"\0" + row.tobytes()
    colour = {"L": 0, "RGB": 2, "P": 3}[mode]
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 35, 21, 8, colour, 0, 0, 1))]
    if mode == "P":
        chunks.append((b"PLTE", noise(7, 768).tobytes()))
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks))
    if mode != "P":
        np.testing.assert_array_equal(load_image(file), np.broadcast_to(image, (21, 35, 3)))
    assert_reads_the_same(cxx, file)
    assert_reads_the_same(cxx, file, label=True)


@pytest.mark.parametrize("suffix", ["_gtFine_labelIds.png", "_gtFine_labelTrainIds.png", ".png"])
@pytest.mark.parametrize("mode", ["L", "P"])
@pytest.mark.parametrize("most", [18, 33, 34, 254, 255])
def test_reads_labels_as_python_does(cxx: Probe, tmp_path: Path, suffix: str, mode: str, most: int) -> None:
    values = np.append(np.arange(most + 1), 255).astype(np.uint8)[None]
    picture = Image.fromarray(values)
    if mode == "P":
        picture = Image.fromarray(values, "L")
        picture.putpalette(noise(8, 768).tobytes())
    path = tmp_path / f"street{suffix}"
    picture.save(path)
    assert_reads_the_same(cxx, path, label=True)
    told = cxx.pixels("label", path)
    if most == 18:
        assert isinstance(told, np.ndarray)
        assert told[0, -1] == IGNORE
    if most == 254:
        assert isinstance(told, Refused)
        assert "..., " not in told.message
        assert "it may hold 0 to" in told.message


def test_refuses_what_is_no_picture_with_the_reason(cxx: Probe, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    bomb = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
    (tmp_path / "bomb.png").write_bytes(bomb + _chunk(b"IDAT", zlib.compress(b"")))
    for name, reason in (
        ("text.png", "neither PNG nor JPEG"),
        ("empty.png", "neither PNG nor JPEG"),
        ("folder.png", "it is no file"),
        ("none.png", "No such file or directory"),
        ("bomb.png", "100000x100000"),
    ):
        told = cxx.pixels("image", tmp_path / name)
        assert isinstance(told, Refused), name
        assert told.code == BadData.exit_code
        assert reason in told.message
        with pytest.raises(BadData):
            load_image(tmp_path / name)
