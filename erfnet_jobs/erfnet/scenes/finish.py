"""From flat colours to a picture: texture of each class, light, tint, blur and noise of a camera."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from erfnet_jobs.erfnet.scenes.chance import Chance, between
from erfnet_jobs.erfnet.scenes.pen import LABEL

Field = NDArray[np.float32]

# How much fine grain, blotches and vertical streaks each class has, in grey levels.
_TEXTURE: Final = {
    "road": (5, 4, 0), "sidewalk": (6, 5, 0), "building": (4, 4, 5), "wall": (9, 7, 2), "fence": (8, 4, 6),
    "vegetation": (20, 12, 0), "terrain": (13, 9, 0), "sky": (0, 2, 0), "person": (6, 3, 4), "rider": (6, 3, 4),
    "pole": (3, 0, 5), "car": (3, 5, 0), "truck": (3, 4, 2), "bus": (3, 4, 0), "train": (3, 4, 0),
}  # fmt: skip
_PLAIN: Final = (4, 3, 0)


def _table() -> Field:
    table = np.zeros((256, 3), np.float32)
    for name, label in LABEL.items():
        table[label] = _TEXTURE.get(name, _PLAIN)
    return table


_AMPLITUDES: Final = _table()


def develop(chance: Chance, colours: Field, label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture, uint8 H x W x 3, of flat colours (float32 H x W x 3) and their labelIds (uint8 H x W)."""
    textured = colours + _texture(chance, label)[..., None]
    lit = _expose(chance, textured)
    picture = Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))
    blurred = picture.filter(ImageFilter.GaussianBlur(between(chance, 0.1, 0.55) * label.shape[0] / 128))
    noise = chance.standard_normal(colours.shape, np.float32) * np.float32(between(chance, 0.8, 4.0))
    return np.clip(np.asarray(blurred, np.float32) + noise, 0, 255).astype(np.uint8)


def _texture(chance: Chance, label: NDArray[np.uint8]) -> Field:
    height, width = label.shape
    grain = chance.standard_normal((height, width), np.float32)
    blotches = _stretched(chance, (height // 8 + 2, width // 8 + 2), (height, width))
    streaks = _stretched(chance, (3, width // 2 + 1), (height, width))
    amplitude = _AMPLITUDES[label]
    fields = (grain, blotches, streaks)
    texture = np.zeros((height, width), np.float32)
    for index, field in enumerate(fields):
        texture += amplitude[..., index] * field
    return texture


def _stretched(chance: Chance, small: tuple[int, int], size: tuple[int, int]) -> Field:
    seed = Image.fromarray(chance.standard_normal(small, np.float32))
    return np.asarray(seed.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def _expose(chance: Chance, colours: Field) -> Field:
    """Time of day: exposure, a tint from warm to cold, contrast, and corners a little darker."""
    height, width = colours.shape[:2]
    warm = float(chance.normal(0, 0.06))
    tint = np.array([1 + warm, 1.0, 1 - warm], np.float32) * np.float32(between(chance, 0.7, 1.3))
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    vignette = 1 - np.float32(between(chance, 0, 0.12)) * (rows**2 + columns**2)
    gamma = np.float32(between(chance, 0.85, 1.25))
    share = np.clip(colours * tint * vignette[..., None] / 255, 0, 1)
    powered: Field = np.float32(255) * share**gamma
    return powered
