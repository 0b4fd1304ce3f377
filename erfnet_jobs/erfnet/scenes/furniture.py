"""Thin and small things at the kerb: poles, lamps, signs, traffic lights, bins."""

import math

from erfnet_jobs.erfnet.scenes.chance import CLOTH, Chance, between, darker, happens, tone
from erfnet_jobs.erfnet.scenes.pen import Colour, Pen, Point


def _pole(pen: Pen, chance: Chance, x: float, z: float, tall: float) -> Colour:
    steel = tone(chance, ((120, 122, 124), (84, 86, 90), (160, 160, 156), (70, 80, 70)))
    pen.stick(((x, 0, z), (x, tall, z)), between(chance, 0.1, 0.2), steel, "pole")
    return steel


def lamp(pen: Pen, chance: Chance, x: float, z: float) -> None:
    """A street lamp with an arm over the road."""
    tall, reach = between(chance, 4.5, 8), -math.copysign(between(chance, 0.4, 1.8), x)
    steel = _pole(pen, chance, x, z, tall)
    pen.stick(((x, tall, z), (x + reach, tall + 0.2, z)), 0.1, steel, "pole")
    pen.disc((x + reach, tall + 0.15, z), (0.3, 0.12), darker(steel, 1.3), "pole")


def sign(pen: Pen, chance: Chance, x: float, z: float) -> None:
    """One or two traffic signs on a pole."""
    tall = between(chance, 2.4, 3.4)
    _pole(pen, chance, x, z, tall)
    for level in (tall, tall - 0.85) if happens(chance, 0.4) else (tall,):
        _plate(pen, chance, (x, level, z - 0.05))


def _plate(pen: Pen, chance: Chance, at: Point) -> None:
    rim: Colour = (180, 30, 34)
    face: Colour = (226, 224, 216)
    style = int(chance.integers(6))
    corners = {0: 40, 1: 3, 2: 4, 3: 8, 4: 40, 5: 4}[style]
    colours: tuple[Colour, Colour] = {
        0: (rim, face), 1: (rim, face), 2: ((34, 70, 150), face), 3: (rim, rim), 4: ((34, 70, 150), (34, 70, 150)),
        5: ((214, 180, 40), (226, 224, 216)),
    }[style]  # fmt: skip
    radius = between(chance, 0.38, 0.58)
    turn = {1: math.pi / 2, 2: math.pi / 4, 3: math.pi / 8}.get(style, 0.0)
    _polygon(pen, at, radius, corners, turn, colours[0], "traffic sign")
    _polygon(pen, at, radius * 0.66, corners, turn, colours[1], None)


def _polygon(pen: Pen, at: Point, radius: float, corners: int, turn: float, colour: Colour, label: str | None) -> None:
    angles = [turn + 2 * math.pi * corner / corners for corner in range(corners)]
    points = [(at[0] + radius * math.cos(angle), at[1] + radius * math.sin(angle), at[2]) for angle in angles]
    pen.area(points, colour, label)


def traffic_light(pen: Pen, chance: Chance, x: float, z: float) -> None:
    """A box with three lamps on a pole, sometimes a second one over the road."""
    tall = between(chance, 2.8, 3.6)
    steel = _pole(pen, chance, x, z, tall + (2.2 if happens(chance, 0.4) else 0.0))
    _lamps(pen, chance, x, tall, z - 0.1)
    if happens(chance, 0.4):
        reach = x - math.copysign(between(chance, 1.5, 4), x)
        pen.stick(((x, tall + 2.2, z), (reach, tall + 2.3, z)), 0.12, steel, "pole")
        pen.stick(((x, 0, z), (x, tall + 2.2, z)), 0.14, steel, "pole")
        _lamps(pen, chance, x, tall, z - 0.1)
        _lamps(pen, chance, reach, tall + 2.2, z - 0.1)


def _lamps(pen: Pen, chance: Chance, x: float, top: float, z: float) -> None:
    body = tone(chance, ((30, 34, 32), (46, 50, 46), (60, 58, 40)))
    pen.upright((x - 0.24, x + 0.24), (top - 1.15, top), z, body, "traffic light")
    burning = int(chance.integers(3))
    for lamp_at, colour in enumerate(((240, 50, 40), (244, 180, 50), (60, 220, 130))):
        seen = colour if lamp_at == burning else darker(colour, 0.2)
        pen.disc((x, top - 0.22 - 0.36 * lamp_at, z - 0.02), (0.15, 0.15), seen, None)


def litter_bin(pen: Pen, chance: Chance, x: float, z: float) -> None:
    """A bin or a cabinet: static, which Cityscapes ignores."""
    wide, tall = between(chance, 0.25, 0.5), between(chance, 0.8, 1.4)
    pen.upright((x - wide, x + wide), (0.1, tall), z, tone(chance, CLOTH), "static")
    pen.upright((x - wide, x + wide), (tall - 0.12, tall), z, (70, 72, 74), "static")
