"""Writing PNGs that decode fast: rows unfiltered (RFC 2083, filter type 0), which Pillow has no option for.

Undoing the filters that encoders choose costs half of a frame's decoding, inflating it the other half. Everything long
here runs without the GIL.
"""

import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
# The signature, and of IHDR its length, its name, width and height.
HEADER_BYTES: Final = 24
_CHUNK: Final = struct.Struct(">I4s")
_CRC: Final = struct.Struct(">I")
# Width, height, bit depth, colour type (0 grey, 2 RGB), and 0 for compression, filter and interlace method.
_IHDR: Final = struct.Struct(">IIBBBBB")
_GREY: Final = 0
_RGB: Final = 2


def encode_png(pixels: NDArray[np.uint8], level: int) -> bytes:
    """uint8 H x W or H x W x 3 (RGB) as a PNG; zlib's `level` 0 stores the pixels as they are."""
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + pixels[0].size), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    header = _IHDR.pack(width, height, 8, _GREY if pixels.ndim == 2 else _RGB, 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows.data, level)), _chunk(b"IEND", b""))
    return b"".join((SIGNATURE, *chunks))


def stored_size(header: bytes) -> int | None:
    """At most the size at level 0 of the picture whose PNG begins with `header` (HEADER_BYTES); None for no PNG."""
    if len(header) < HEADER_BYTES or not header.startswith(SIGNATURE):
        return None
    width, height = struct.unpack_from(">II", header, 16)
    pixels: int = height * (1 + 3 * width)
    # zlib stores blocks of up to 65,535 bytes with 5 of header; chunks, signature and checksums are below 100.
    return pixels + 5 * (pixels // 16_383 + 1) + 100


def _chunk(kind: bytes, content: bytes) -> bytes:
    return b"".join((_CHUNK.pack(len(content), kind), content, _CRC.pack(zlib.crc32(content, zlib.crc32(kind)))))
