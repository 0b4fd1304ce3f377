"""What lines a street: buildings with windows, trees and hedges, walls and fences."""

import numpy as np

from erfnet_jobs.erfnet.scenes.chance import LEAVES, PAINT, STONE, Chance, between, count, darker, happens, tone
from erfnet_jobs.erfnet.scenes.pen import Colour, Pen


def building(pen: Pen, chance: Chance, x: float, z: tuple[float, float]) -> None:
    """A house front along the street at `x`, from depth z[0] to z[1], with the gable that faces the camera."""
    stone, tall = tone(chance, STONE), between(chance, 5, 20)
    outward = 12.0 if x > 0 else -12.0
    pen.upright((x, x + outward), (0, tall), z[0], darker(stone, between(chance, 0.7, 1.0)), "building")
    pen.along(x, (0, tall), z, stone, "building")
    if happens(chance, 0.5):
        pen.along(x, (tall * 0.92, tall), z, darker(stone, 0.6), None)
    _windows(pen, chance, x, z, tall)


def _windows(pen: Pen, chance: Chance, x: float, z: tuple[float, float], tall: float) -> None:
    glass = _glass(chance)
    storey, bay = between(chance, 2.7, 3.8), between(chance, 2.0, 4.0)
    wide, high = between(chance, 0.35, 0.7), between(chance, 0.4, 0.65)
    shop = tone(chance, PAINT) if happens(chance, 0.5) else glass
    for level in range(max(1, int(tall / storey))):
        bottom = level * storey + storey * 0.25
        for start in np.arange(z[0] + 0.4, z[1] - bay * wide, bay).tolist():
            colour = shop if level == 0 else glass
            pen.along(x, (bottom, bottom + storey * high), (start, start + bay * wide), colour, None)


def _glass(chance: Chance) -> Colour:
    colours = ((52, 58, 66), (90, 106, 122), (40, 42, 46), (150, 164, 176), (190, 160, 96))
    return tone(chance, colours)


def tree(pen: Pen, chance: Chance, x: float, z: float) -> None:
    """A trunk and a crown of leaves; Cityscapes counts both as vegetation."""
    leaves, bark = tone(chance, LEAVES), tone(chance, ((92, 80, 66), (110, 104, 96), (70, 60, 50)))
    trunk, spread = between(chance, 1.6, 3.2), between(chance, 1.2, 2.8)
    pen.stick(((x, 0, z), (x, trunk + spread, z)), between(chance, 0.2, 0.45), bark, "vegetation")
    for _ in range(count(chance, 7, 12)):
        at = (x + float(chance.normal(0, spread * 0.5)), trunk + spread + float(chance.normal(0, spread * 0.45)), z)
        radius = spread * between(chance, 0.35, 0.7)
        pen.disc(at, (radius, radius * 0.85), darker(leaves, between(chance, 0.65, 1.25)), "vegetation")


def hedge(pen: Pen, chance: Chance, x: float, z: tuple[float, float]) -> None:
    """Bushes along the street."""
    leaves, tall = tone(chance, LEAVES), between(chance, 0.8, 4.5)
    for depth in np.arange(z[1], z[0], -1.2).tolist():
        for _ in range(3):
            up = between(chance, 0.1, 0.9) * tall
            at = (x + between(chance, 0, 1.5) * np.sign(x), up, float(depth))
            pen.disc(at, (tall * 0.4 + 0.4, tall * 0.35), darker(leaves, between(chance, 0.65, 1.25)), "vegetation")


def wall(pen: Pen, chance: Chance, x: float, z: tuple[float, float]) -> None:
    """A free-standing wall, with courses of stone and a coping."""
    stone, tall = tone(chance, STONE), between(chance, 1.2, 3.2)
    pen.along(x, (0, tall), z, stone, "wall")
    for course in np.arange(0.35, tall, 0.45).tolist():
        pen.along(x, (course, course + 0.05), z, darker(stone, 0.82), None)
    pen.along(x, (tall, tall + 0.12), z, darker(stone, 1.15), "wall")


def fence(pen: Pen, chance: Chance, x: float, z: tuple[float, float]) -> None:
    """Rails on posts, or a railing of bars; what shows through is labelled fence, as in Cityscapes."""
    paint, tall = tone(chance, PAINT + STONE), between(chance, 0.9, 2.0)
    backing = tone(chance, LEAVES)
    pen.along(x, (0, tall), z, backing, "fence")
    for level in np.linspace(0.15, 0.95, count(chance, 2, 4)).tolist():
        pen.along(x, (tall * level - 0.05, tall * level + 0.05), z, paint, None)
    for depth in np.arange(z[1], z[0], -between(chance, 0.25, 0.8)).tolist():
        pen.along(x, (0, tall), (depth - 0.1, depth), paint, None)


def skyline(pen: Pen, chance: Chance) -> None:
    """Far houses and trees that close the view."""
    for x in np.arange(-180, 180, 14).tolist():
        far = between(chance, 170, 230)
        if happens(chance, 0.6):
            left, tall = x + between(chance, -4, 4), between(chance, 6, 24)
            pen.upright((left, left + between(chance, 8, 22)), (0, tall), far, tone(chance, STONE), "building")
    for x in np.arange(-120, 120, 7).tolist():
        if happens(chance, 0.55):
            at = (x + between(chance, -3, 3), between(chance, 1, 4), 160.0)
            radius = between(chance, 2.5, 6)
            pen.disc(at, (radius, radius), tone(chance, LEAVES), "vegetation")
