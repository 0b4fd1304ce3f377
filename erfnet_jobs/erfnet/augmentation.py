"""What is done to a training image by chance: four choices, each from one of the two recipes this follows.

`flip` and `translate` are those of erfnet_pytorch (train/main.py): a mirror image with probability 1/2; a shift by -2
to 2 pixels of the network's input on each axis, each as likely. `crop` and `blur` are those of the MindSpore port
(mindspore-ai/models, research/cv/erfnet, src/dataset.py, which mirrors too): with probability 1/2 a part of
height/ratio x width/ratio anywhere in the image; a Gaussian blur of the whole image by a radius from 0 to 1 pixel.

The order is blur, crop, resize, flip, translate: each recipe's own with what the other adds in between.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np

CROP_SHARE: Final = 0.5
FLIP_SHARE: Final = 0.5
MAX_SHIFT: Final = 2
MAX_BLUR: Final = 1.0


@dataclass(frozen=True)
class Choices:
    """Which augmentations are on; the fields are the names of `jobs.AUGMENTATIONS`."""

    flip: bool = False
    translate: bool = False
    crop: bool = False
    blur: bool = False

    @classmethod
    def of(cls, names: Collection[str]) -> "Choices":
        """Those named; raises TypeError for a name that there is not."""
        return cls(**dict.fromkeys(names, True))


@dataclass(frozen=True)
class Augmentation:
    """What is done to one image: blur by `blur` pixels, crop to 1/`ratio` of each side, mirror, shift.

    `down` and `right` say where the crop lies, as shares (0 to 1) of the room that there is. `shift` is by how many
    pixels of the network's input the result moves down and right.
    """

    blur: float = 0.0
    ratio: float = 1.0
    down: float = 0.0
    right: float = 0.0
    flip: bool = False
    shift: tuple[int, int] = (0, 0)


def draw_augmentation(chance: np.random.Generator, choices: Choices, ratios: tuple[float, float]) -> Augmentation:
    """An augmentation with a crop ratio between `ratios`.

    Always draws as many random numbers, so what one choice draws does not depend on whether another is on.
    """
    crops, ratio, down, right, flips, blur, shift_down, shift_right = chance.random(8).tolist()
    cropped = choices.crop and crops < CROP_SHARE
    return Augmentation(
        blur=MAX_BLUR * blur if choices.blur else 0.0,
        ratio=ratios[0] + (ratios[1] - ratios[0]) * ratio if cropped else 1.0,
        down=down if cropped else 0.0,
        right=right if cropped else 0.0,
        flip=choices.flip and flips < FLIP_SHARE,
        shift=(_shift(shift_down), _shift(shift_right)) if choices.translate else (0, 0),
    )


def crop_box(size: tuple[int, int], augmentation: Augmentation) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the crop in an image of `size` (height, width); inside the image, never empty."""
    height, width = (max(1, int(side / augmentation.ratio)) for side in size)
    top = round((size[0] - height) * augmentation.down)
    left = round((size[1] - width) * augmentation.right)
    return left, top, left + width, top + height


def _shift(share: float) -> int:
    return int(share * (2 * MAX_SHIFT + 1)) - MAX_SHIFT
