"""From a picture and its label to the arrays of a sample, as they are or augmented."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from erfnet_jobs.erfnet.augmentation import Augmentation, crop_box
from erfnet_jobs.erfnet.labels import IGNORE

Size = tuple[int, int]
Images = NDArray[np.float32]
Labels = NDArray[np.int32]

NONE: Final = Augmentation()
# What 8-bit values are multiplied with, here and on the device: both then have the same bits.
UNIT: Final = np.float32(1 / 255)
# 3 standard deviations to both sides of a pixel, for the largest that is drawn.
_KERNEL: Final = 7
# Below it a Gaussian's neighbours weigh less than 1e-21.
_LEAST_BLUR: Final = 0.1


def prepare_pixels(image: NDArray[np.uint8], size: Size, augmentation: Augmentation = NONE) -> NDArray[np.uint8]:
    """uint8 H x W x 3 -> uint8 3 x height x width, resized bilinearly (antialiased where it shrinks)."""
    picture = Image.fromarray(blur(image, augmentation.blur))
    pixels = _moved(_resized(picture, size, Image.Resampling.BILINEAR, augmentation), augmentation, fill=0)
    return pixels.transpose(2, 0, 1)


def prepare_image(image: NDArray[np.uint8], size: Size, augmentation: Augmentation = NONE) -> Images:
    """The same as float32 in [0, 1], which a network takes."""
    scaled: Images = np.multiply(prepare_pixels(image, size, augmentation), UNIT, dtype=np.float32)
    return scaled


def prepare_label(label: NDArray[np.uint8], size: Size, scale: int = 1, augmentation: Augmentation = NONE) -> Labels:
    """uint8 H x W train ids -> int32 height/scale x width/scale, nearest: first to `size`, then by `scale`.

    What a shift leaves free is ignored.
    """
    picture = Image.fromarray(label)
    pixels = _moved(_resized(picture, size, Image.Resampling.NEAREST, augmentation), augmentation, fill=IGNORE)
    return shrink_label(pixels, scale).astype(np.int32)


def shrink_label(label: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Every `scale`-th row and column of a label, from the middle of each block: Pillow's nearest resize."""
    return label[scale // 2 :: scale, scale // 2 :: scale]


def blur(image: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    """A Gaussian of `radius` (standard deviation, 0 to 1 pixel) over uint8 H x W x 3.

    By MindSpore's C++ operator: Pillow's GaussianBlur, of which the port's is one, approaches the same Gaussian by six
    box filters, which round more and take some twenty times as long.
    """
    if radius < _LEAST_BLUR:
        return image
    from mindspore.dataset import vision  # seconds to import; only training with a blur needs it

    blurred: NDArray[np.uint8] = vision.GaussianBlur(_KERNEL, radius)(image)
    return blurred


def translate(pixels: NDArray[np.uint8], shift: tuple[int, int], fill: int) -> NDArray[np.uint8]:
    """H x W (x C) moved down and right by `shift` (up and left where negative); `fill` where nothing moved to."""
    if shift == (0, 0):
        return pixels
    moved = np.full_like(pixels, fill)
    rows, columns = (_spans(side, by) for side, by in zip(pixels.shape[:2], shift, strict=True))
    moved[rows[0], columns[0]] = pixels[rows[1], columns[1]]
    return moved


def _spans(side: int, by: int) -> tuple[slice, slice]:
    """Where the kept part of a side lies after a move, and before it."""
    kept = max(0, side - abs(by))
    to, start = max(0, by), max(0, -by)
    return slice(to, to + kept), slice(start, start + kept)


def _moved(pixels: NDArray[np.uint8], augmentation: Augmentation, fill: int) -> NDArray[np.uint8]:
    return translate(pixels[:, ::-1] if augmentation.flip else pixels, augmentation.shift, fill)


def _resized(
    picture: Image.Image, size: Size, method: Image.Resampling, augmentation: Augmentation
) -> NDArray[np.uint8]:
    box = crop_box((picture.height, picture.width), augmentation)
    return np.asarray(picture.resize((size[1], size[0]), method, box))
