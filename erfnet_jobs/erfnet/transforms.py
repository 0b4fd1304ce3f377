"""From a picture and its label to the arrays of a sample, as they are or augmented.

The crop is that of the MindSpore port (mindspore-ai/models, research/cv/erfnet, src/dataset.py): with probability 1/2
a part of height/ratio x width/ratio anywhere in the image, scaled to the network's size; then, as likely, a flip.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CROP_SHARE = 0.5
FLIP_SHARE = 0.5

Size = tuple[int, int]
Images = NDArray[np.float32]
Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Augmentation:
    """What is done to one image: crop to 1/`ratio` of each side, mirror.

    `down` and `right` say where the crop lies, as shares (0 to 1) of the room that there is.
    """

    ratio: float = 1.0
    down: float = 0.0
    right: float = 0.0
    flip: bool = False


def draw_augmentation(chance: np.random.Generator, ratios: tuple[float, float]) -> Augmentation:
    """An augmentation with a crop ratio between `ratios`; always draws as many random numbers."""
    crops, ratio, down, right, flips = chance.random(5)
    flip = bool(flips < FLIP_SHARE)
    if crops >= CROP_SHARE:
        return Augmentation(flip=flip)
    low, high = ratios
    return Augmentation(ratio=float(low + (high - low) * ratio), down=float(down), right=float(right), flip=flip)


def crop_box(size: Size, augmentation: Augmentation) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the crop in an image of `size` (height, width); inside the image, never empty."""
    height, width = (max(1, int(side / augmentation.ratio)) for side in size)
    top = round((size[0] - height) * augmentation.down)
    left = round((size[1] - width) * augmentation.right)
    return left, top, left + width, top + height


def prepare_image(image: NDArray[np.uint8], size: Size, augmentation: Augmentation | None = None) -> Images:
    """uint8 H x W x 3 -> float32 3 x height x width in [0, 1], resized bilinearly (antialiased where it shrinks)."""
    box = crop_box(_size(image), augmentation) if augmentation else None
    pixels = np.asarray(_resized(image, size, Image.Resampling.BILINEAR, box))
    if augmentation and augmentation.flip:
        pixels = pixels[:, ::-1]
    scaled: Images = np.multiply(pixels.transpose(2, 0, 1), np.float32(1 / 255), dtype=np.float32)
    return scaled


def prepare_label(
    label: NDArray[np.uint8], size: Size, scale: int = 1, augmentation: Augmentation | None = None
) -> Labels:
    """uint8 H x W train ids -> int32 height/scale x width/scale, nearest: first to `size`, then by `scale`."""
    box = crop_box(_size(label), augmentation) if augmentation else None
    resized = np.asarray(_resized(label, size, Image.Resampling.NEAREST, box))
    if augmentation and augmentation.flip:
        resized = resized[:, ::-1]
    return shrink_label(resized, scale).astype(np.int32)


def shrink_label(label: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Every `scale`-th row and column of a label, from the middle of each block: Pillow's nearest resize."""
    return label[scale // 2 :: scale, scale // 2 :: scale]


def _size(pixels: NDArray[np.uint8]) -> Size:
    return pixels.shape[0], pixels.shape[1]


def _resized(
    pixels: NDArray[np.uint8], size: Size, method: Image.Resampling, box: tuple[int, int, int, int] | None
) -> Image.Image:
    return Image.fromarray(pixels).resize((size[1], size[0]), method, box)
