"""Small draws of chance that the scenes are made of."""

from typing import Final

import numpy as np

from erfnet_jobs.erfnet.scenes.pen import Colour

Chance = np.random.Generator

# Wide on purpose: a class is told by shape, place and texture, so most colours belong to several.
STONE: Final[tuple[Colour, ...]] = (
    (196, 178, 148), (170, 160, 150), (150, 92, 74), (205, 200, 190), (128, 130, 138), (178, 140, 100),
    (112, 104, 98), (214, 190, 160), (140, 150, 160), (120, 84, 70),
)  # fmt: skip
PAINT: Final[tuple[Colour, ...]] = (
    (30, 30, 34), (225, 225, 225), (160, 162, 168), (96, 98, 104), (140, 24, 28), (28, 52, 110), (60, 84, 62),
    (190, 170, 120), (196, 120, 30), (70, 120, 160),
)  # fmt: skip
CLOTH: Final[tuple[Colour, ...]] = (
    (36, 38, 48), (60, 62, 70), (150, 40, 44), (44, 70, 120), (190, 186, 176), (110, 90, 66), (66, 96, 60),
    (190, 150, 60), (120, 60, 110), (86, 84, 80),
)  # fmt: skip
LEAVES: Final[tuple[Colour, ...]] = (
    (66, 92, 44), (52, 78, 48), (88, 104, 48), (104, 98, 50), (74, 96, 66), (128, 100, 44), (44, 62, 38),
)  # fmt: skip
GRASS: Final[tuple[Colour, ...]] = ((104, 126, 66), (126, 128, 78), (136, 118, 86), (90, 116, 60), (150, 142, 100))
SKIN: Final[tuple[Colour, ...]] = ((224, 180, 150), (180, 130, 100), (120, 84, 62), (238, 200, 170))


def between(chance: Chance, low: float, high: float) -> float:
    """A number of [low, high)."""
    return float(chance.uniform(low, high))


def happens(chance: Chance, probability: float) -> bool:
    """True as often as `probability` says."""
    return bool(chance.random() < probability)


def count(chance: Chance, low: int, high: int) -> int:
    """A whole number from low to high."""
    return int(chance.integers(low, high + 1))


def tone(chance: Chance, colours: tuple[Colour, ...], spread: float = 12.0) -> Colour:
    """One of the colours, varied in brightness and a little in hue."""
    red, green, blue = colours[int(chance.integers(len(colours)))]
    gain = between(chance, 0.8, 1.2)
    shift = chance.normal(0.0, spread / 2, 3)
    return red * gain + float(shift[0]), green * gain + float(shift[1]), blue * gain + float(shift[2])


def darker(colour: Colour, factor: float) -> Colour:
    """The colour times a factor."""
    return colour[0] * factor, colour[1] * factor, colour[2] * factor
