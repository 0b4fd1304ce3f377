"""Cars, trucks, buses and trams: a face to the camera, a side towards the vanishing point, wheels, glass and lamps."""

from dataclasses import dataclass

import numpy as np

from erfnet_jobs.erfnet.scenes.chance import PAINT, Chance, between, darker, happens, tone
from erfnet_jobs.erfnet.scenes.pen import Colour, Pen


@dataclass(frozen=True)
class Box:
    """A vehicle's place: left and right edge, near and far end, in metres."""

    x: tuple[float, float]
    z: tuple[float, float]

    @property
    def inner(self) -> float:
        """The edge whose side the camera sees."""
        return self.x[0] if self.x[0] > 0 else self.x[1]


def _box(x: float, z: float, wide: float, length: float) -> Box:
    return Box((x - wide / 2, x + wide / 2), (z, z + length))


def _shadow(pen: Pen, box: Box) -> None:
    pen.ground((box.x[0] - 0.15, box.x[1] + 0.15), (box.z[0] - 0.25, box.z[1]), (34, 34, 38), None, 0.02)


def _side(pen: Pen, box: Box, y: tuple[float, float], colour: Colour, label: str | None) -> None:
    if box.x[0] > 0 or box.x[1] < 0:
        pen.along(box.inner, y, box.z, colour, label)


def _wheels(pen: Pen, box: Box, radius: float, label: str) -> None:
    for x in (box.x[0] + 0.2, box.x[1] - 0.2):
        pen.upright((x - 0.13, x + 0.13), (0, radius), box.z[0], (26, 26, 28), label)
    for z in (box.z[0] + 0.9, box.z[1] - 0.9):
        if box.x[0] > 0 or box.x[1] < 0:
            pen.along(box.inner, (0.0, radius * 1.9), (z - radius, z + radius), (30, 30, 32), label)


def _lamps(pen: Pen, box: Box, y: float, rear: bool) -> None:
    colour: Colour = (200, 30, 26) if rear else (244, 240, 216)
    for x in (box.x[0] + 0.05, box.x[1] - 0.4):
        pen.upright((x, x + 0.35), (y, y + 0.18), box.z[0], colour, None)


def car(pen: Pen, chance: Chance, x: float, z: float) -> None:
    """A car, seen from behind right of the camera and from the front left of it."""
    box = _box(x, z, between(chance, 1.65, 1.9), between(chance, 3.6, 4.8))
    paint, roof, belt = tone(chance, PAINT), between(chance, 1.4, 1.85), between(chance, 0.8, 0.95)
    left, right = box.x
    _shadow(pen, box)
    _side(pen, box, (0.25, belt), darker(paint, 0.85), "car")
    cabin = Box((left + 0.15, right - 0.15), (z + 0.5, box.z[1] - 0.9))
    _side(pen, cabin, (belt, roof), darker(paint, 0.75), "car")
    _side(pen, Box(cabin.x, (z + 0.7, box.z[1] - 1.3)), (belt + 0.05, roof - 0.12), (44, 50, 58), None)
    _wheels(pen, box, 0.33, "car")
    pen.upright(box.x, (0.25, belt), z, paint, "car")
    shoulders = [(left + 0.08, belt, z), (right - 0.08, belt, z)]
    pen.area([*shoulders, (right - 0.3, roof, z + 0.5), (left + 0.3, roof, z + 0.5)], paint, "car")
    glass = tone(chance, ((50, 56, 64), (120, 134, 146), (34, 36, 40)))
    pen.area([(left + 0.2, belt + 0.04, z), (right - 0.2, belt + 0.04, z), (right - 0.38, roof - 0.1, z + 0.45),
              (left + 0.38, roof - 0.1, z + 0.45)], glass, None)  # fmt: skip
    _lamps(pen, box, 0.6, rear=x > -1.0)
    pen.upright((left + 0.6, right - 0.6), (0.42, 0.56), z, (220, 220, 214), None)


def truck(pen: Pen, chance: Chance, x: float, z: float) -> None:
    """A truck: a plain box body, wheels below it, a darker cab in front of it."""
    box = _box(x, z, 2.4, between(chance, 6, 9))
    body, tall = tone(chance, PAINT), between(chance, 2.9, 3.8)
    _shadow(pen, box)
    _side(pen, box, (0.8, tall), darker(body, 0.85), "truck")
    _wheels(pen, box, 0.5, "truck")
    pen.upright(box.x, (0.45, tall), z, body, "truck")
    pen.upright((box.x[0] + 0.1, box.x[1] - 0.1), (0.35, 0.75), z, (40, 40, 44), "truck")
    if x < -1.0:
        pen.upright((box.x[0] + 0.15, box.x[1] - 0.15), (1.5, 2.3), z, (50, 58, 66), None)
    else:
        pen.upright((x - 0.03, x + 0.03), (0.8, tall), z, darker(body, 0.6), None)
    _lamps(pen, box, 0.6, rear=x > -1.0)


def bus(pen: Pen, chance: Chance, x: float, z: float) -> None:
    """A bus: glass all along, a wide pane towards the camera."""
    box = _box(x, z, 2.5, between(chance, 9, 13))
    body, tall = tone(chance, PAINT), between(chance, 2.9, 3.3)
    _shadow(pen, box)
    _side(pen, box, (0.35, tall), darker(body, 0.9), "bus")
    _side(pen, box, (1.3, 2.4), (52, 60, 70), None)
    _wheels(pen, box, 0.45, "bus")
    pen.upright(box.x, (0.35, tall), z, body, "bus")
    pen.upright((box.x[0] + 0.12, box.x[1] - 0.12), (1.2, 2.5), z, tone(chance, ((56, 64, 74), (100, 116, 130))), None)
    pen.upright((x - 0.7, x + 0.7), (2.62, 2.86), z, (214, 160, 50), None)
    _lamps(pen, box, 0.55, rear=x > -1.0)


def tram(pen: Pen, chance: Chance, x: float, z: float) -> None:
    """A tram on rails, higher, rounder and longer than a bus; its class is train."""
    box = _box(x, z, 2.4, between(chance, 20, 30))
    body, tall = tone(chance, PAINT), between(chance, 3.3, 3.7)
    for rail in (x - 0.72, x + 0.72):
        pen.ground((rail - 0.05, rail + 0.05), (2, z), (120, 118, 116), None)
    _shadow(pen, box)
    _side(pen, box, (0.2, tall), darker(body, 0.9), "train")
    _side(pen, box, (1.5, 2.6), (48, 54, 62), None)
    for joint in np.arange(box.z[0] + 5, box.z[1], 7).tolist():
        _side(pen, Box(box.x, (joint, joint + 0.6)), (0.2, tall), (60, 60, 62), None)
    left, right = box.x
    pen.area([(left, 0.2, z), (right, 0.2, z), (right, tall * 0.7, z), (right - 0.4, tall, z), (left + 0.4, tall, z),
              (left, tall * 0.7, z)], body, "train")  # fmt: skip
    pen.upright((left + 0.2, right - 0.2), (1.3, 2.6), z, (44, 52, 60), None)
    pen.stick(((x, tall, z + 4), (x, tall + 1.2, z + 4)), 0.08, (70, 70, 74), "train")
    if happens(chance, 0.7):
        pen.disc((x, 0.8, z), (0.2, 0.2), (244, 240, 210), None)
