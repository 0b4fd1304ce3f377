"""Reading one image or one label file, and refusing what is not one."""

import io
import re
import struct
import zlib
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from erfnet_jobs.erfnet.labels import FROM_TRAIN_IDS, IGNORE, INVALID, LABEL_IDS, table_for
from erfnet_jobs.erfnet.png import SIGNATURE, encode_png
from erfnet_jobs.errors import BadData

Pixels = NDArray[np.uint8]

# Of the files in a flat folder these are pictures.
SUFFIXES: Final = (".png", ".jpg", ".jpeg")

# What Pillow raises for files that are cut short, damaged, or no picture.
_UNREADABLE: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    zlib.error,
    struct.error,
    Image.DecompressionBombError,
)
_COLOUR_MODES: Final = frozenset({"RGB", "RGBA", "L", "P", "LA", "PA"})
_OBJECT: Final = re.compile(r"\s*<[^<>]* object at 0x[0-9a-f]+>")
# PNG (RFC 2083): 8 bytes of signature, then IHDR with length, type, width, height, bit depth, colour type.
_IHDR: Final = struct.Struct(">8sI4sIIBB")


def read_bytes(path: Path) -> bytes:
    """The file's content; raises BadData where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadData(f"{path} cannot be read ({error.strerror}): correct the dataset or its permissions") from error


def decode_image(content: bytes, name: str) -> Pixels:
    """An encoded picture as uint8 H x W x 3 (RGB).

    Raises BadData, with `name`, for what is cut short, damaged, no picture, or deeper than 8 bits.
    """
    try:
        with Image.open(io.BytesIO(content)) as picture:
            if picture.mode not in _COLOUR_MODES:
                raise BadData(f"{name} has mode {picture.mode}: images are 8-bit RGB; convert it")
            return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))
    except _UNREADABLE as error:
        raise BadData(f"{name} is damaged or no picture ({_told(error)}): copy it again") from error


def decode_label(content: bytes, name: str) -> Pixels:
    """An encoded label file as train ids, uint8 H x W with values 0 to 19; by `name` it holds labelIds or trainIds.

    Raises BadData for anything but a whole 8-bit PNG of one channel, and for values that such a file cannot hold.
    """
    raw = _one_channel(content, name)
    label: Pixels = np.take(table_for(name), raw)
    if (label == INVALID).any():
        wrong = np.unique(raw[label == INVALID]).tolist()
        listed = ", ".join(map(str, wrong[:10])) + (" ..." if len(wrong) > 10 else "")
        allowed = "0 to 18" if table_for(name) is FROM_TRAIN_IDS else f"0 to {LABEL_IDS - 1}"
        raise BadData(f"{name} holds the values {listed}: it may hold {allowed}, and 255 for none; make it again")
    return label


def decode_train_ids(content: bytes, name: str) -> Pixels:
    """A PNG written by `encode_label`: uint8 H x W with values 0 to 19; raises BadData."""
    label = _one_channel(content, name)
    if label.size and int(label.max()) > IGNORE:
        raise BadData(f"the label of {name} holds {int(label.max())}: it may hold 0 to 19; build the MindRecord again")
    return label


def _one_channel(content: bytes, name: str) -> Pixels:
    # Pillow scales 1-, 2- and 4-bit greys up to 255, so the depth is read from the file itself.
    if len(content) < _IHDR.size or not content.startswith(SIGNATURE):
        raise BadData(f"{name} is no PNG: labels are 8-bit PNGs of one channel; copy or convert it")
    *_, depth, colour = _IHDR.unpack_from(content)
    if depth != 8 or colour not in (0, 3):
        kind = {0: "grey", 2: "RGB", 3: "palette", 4: "grey and alpha", 6: "RGBA"}.get(colour, str(colour))
        raise BadData(f"{name} is a {depth}-bit {kind} PNG: labels are 8-bit PNGs of one channel; convert it")
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return np.asarray(picture)
    except _UNREADABLE as error:
        raise BadData(f"{name} is damaged ({_told(error)}): copy it again") from error


def _told(error: Exception) -> str:
    """What Pillow says, without the address of what it read from in place of a name."""
    return _OBJECT.sub("", str(error)) or type(error).__name__


def encode_label(label: Pixels) -> bytes:
    """Train ids (uint8 H x W) as a PNG; small as labels are, and decoded in half the time of Pillow's own PNG."""
    return encode_png(label, level=2)


def encode_image(image: Pixels) -> bytes:
    """RGB (uint8 H x W x 3) as a PNG without compression: thrice the size of a street scene's, a tenth of its time."""
    return encode_png(image, level=0)


def load_image(path: Path) -> Pixels:
    """The picture as uint8 H x W x 3 (RGB); raises BadData as `decode_image`."""
    return decode_image(read_bytes(path), str(path))


def load_label(path: Path) -> Pixels:
    """The label file as train ids, uint8 H x W with values 0 to 19; raises BadData as `decode_label`."""
    return decode_label(read_bytes(path), str(path))


def check_same_size(image: Pixels, label: Pixels, name: str) -> None:
    """Raise BadData unless image and label have one height and width."""
    if image.shape[:2] != label.shape:
        (height, width), (label_height, label_width) = image.shape[:2], label.shape
        raise BadData(
            f"{name}: the image is {height}x{width} and its label {label_height}x{label_width} (height x width); "
            "they must be of one size"
        )
