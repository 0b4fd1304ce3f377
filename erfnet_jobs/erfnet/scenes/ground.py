"""What lies flat: the street with its marks, pavements, shadows; and the sky over it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from erfnet_jobs.erfnet.scenes.chance import GRASS, Chance, between, darker, happens, tone
from erfnet_jobs.erfnet.scenes.pen import NEAR, Colour, Pen, Point

FAR: Final = 400.0
CURB: Final = 0.12


@dataclass(frozen=True)
class Street:
    """Where things lie across the street, in metres right of the camera."""

    road: tuple[float, float]
    pavement: tuple[float, float]
    verge: tuple[float, float]
    lanes: int


def lay_out(chance: Chance) -> Street:
    """A street of two to four lanes, with the camera in a lane right of its middle."""
    lanes = 2 if happens(chance, 0.6) else 4
    half = lanes * between(chance, 1.6, 2.0) + between(chance, 0.0, 1.8)
    middle = -half / 2 + between(chance, -0.6, 0.6)
    road = (middle - half, middle + half)
    pavement = (road[0] - between(chance, 2.0, 4.5), road[1] + between(chance, 2.0, 4.5))
    verge = tuple(between(chance, 1.5, 7.0) if happens(chance, 0.65) else 0.0 for _ in range(2))
    return Street(road, pavement, (pavement[0] - verge[0], pavement[1] + verge[1]), lanes)


def sky(chance: Chance, size: tuple[int, int], horizon: float) -> tuple[NDArray[np.uint8], Colour]:
    """A sky of `size` with clouds, as colours uint8 H x W x 3, and the colour it has at the horizon."""
    height, width = size
    tops = ((92, 138, 196), (150, 170, 196), (176, 180, 186), (96, 104, 124), (120, 130, 170), (70, 96, 150))
    lows = ((190, 206, 222), (214, 216, 216), (222, 206, 186), (236, 190, 150), (170, 176, 186), (200, 205, 206))
    top, low = np.array(tone(chance, tops)), np.array(tone(chance, lows))
    share = np.clip(np.arange(height) / max(horizon, 1.0), 0, 1)[:, None, None]
    colours = top * (1 - share) + low * share
    cover = _clouds(chance, size) * between(chance, 0.0, 0.9)
    white = np.array((236, 236, 238)) * between(chance, 0.7, 1.0)
    colours = colours * (1 - cover) + white * cover
    return np.clip(colours, 0, 255).astype(np.uint8) * np.ones((1, width, 1), np.uint8), tuple(low.tolist())


def _clouds(chance: Chance, size: tuple[int, int]) -> NDArray[np.float32]:
    height, width = size
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    field = np.zeros((height, width), np.float32)
    for octave in range(1, 5):
        wave = chance.uniform(0, 2 * np.pi, 2)
        slope = chance.normal(0, 0.35)
        phase = rows / height * octave * 14 + columns / width * octave * (5 + slope * 8)
        field += np.sin(phase + wave[0] + 2 * np.sin(columns / width * octave * 4 + wave[1])) / octave
    return np.clip(field, 0, 1.4)[..., None] / 1.4


def paint_ground(pen: Pen, chance: Chance, street: Street) -> None:
    """Verges, pavements, carriageway, and the paint on it."""
    grass, stone = tone(chance, GRASS), _grey(chance, 100, 180)
    pen.ground((-200, 200), (NEAR, FAR), grass, "terrain")
    pen.ground(street.pavement, (NEAR, FAR), stone, "sidewalk", CURB)
    _joints(pen, street, darker(stone, 0.9))
    pen.ground((street.road[0] - 0.15, street.road[1] + 0.15), (NEAR, FAR), darker(stone, 1.1), "sidewalk", CURB)
    asphalt = _grey(chance, 62, 128)
    pen.ground(street.road, (NEAR, FAR), asphalt, "road")
    _patches(pen, chance, street, asphalt)
    _marks(pen, chance, street)


def cast_shadows(pen: Pen, chance: Chance, street: Street) -> None:
    """Shadows of what stands at one side, over pavement and road; labels stay."""
    side = 0 if happens(chance, 0.5) else 1
    edge, reach = street.pavement[side], between(chance, 1.0, 9.0) * (1 if side == 0 else -1)
    z = between(chance, 3, 9)
    outlines: list[list[Point]] = []
    while z < 90:
        length = between(chance, 2, 14)
        lean = between(chance, -2, 3)
        far = edge + reach
        outlines.append([(edge, 0, z), (far, 0, z + lean), (far, 0, z + length + lean), (edge, 0, z + length)])
        z += length + between(chance, 1, 12)
    pen.shadows(outlines, between(chance, 0.4, 0.7))


def _grey(chance: Chance, low: float, high: float) -> Colour:
    level, tint = between(chance, low, high), chance.normal(0, 5, 3)
    return level + float(tint[0]), level + float(tint[1]), level + float(tint[2])


def _joints(pen: Pen, street: Street, colour: Colour) -> None:
    for inner, outer in zip(street.road, street.pavement, strict=True):
        for z in np.geomspace(3, 50, 18).tolist():
            pen.ground((min(inner, outer), max(inner, outer)), (z, z * 1.012), colour, None, CURB)


def _patches(pen: Pen, chance: Chance, street: Street, asphalt: Colour) -> None:
    for _ in range(4):
        x, z = between(chance, street.road[0], street.road[1] - 2), between(chance, 4, 30)
        edges = (x, x + between(chance, 0.5, 2)), (z, z + between(chance, 1, 8))
        pen.ground(*edges, darker(asphalt, between(chance, 0.85, 1.12)), None)


def _marks(pen: Pen, chance: Chance, street: Street) -> None:
    left, right = street.road
    white: Colour = (205, 205, 200) if happens(chance, 0.85) else (200, 170, 70)
    for lane in range(1, street.lanes):
        x = left + (right - left) * lane / street.lanes
        solid = happens(chance, 0.3)
        z = between(chance, 2, 6)
        while z < 120:
            length = 30.0 if solid else 3.0
            pen.ground((x - 0.08, x + 0.08), (z, z + length), white, None)
            z += length if solid else 8.0
    if happens(chance, 0.5):
        for x in (left + 0.35, right - 0.35):
            pen.ground((x - 0.06, x + 0.06), (NEAR, 120), white, None)
    if happens(chance, 0.3):
        z = between(chance, 8, 20)
        for stripe in np.arange(left + 0.4, right - 0.6, 1.0).tolist():
            pen.ground((stripe, stripe + 0.5), (z, z + 3.2), white, None)
