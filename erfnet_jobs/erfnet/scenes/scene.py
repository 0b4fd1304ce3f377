"""One street scene: laid out by chance, painted from far to near."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from erfnet_jobs.erfnet.scenes import furniture, people, sides, vehicles
from erfnet_jobs.erfnet.scenes.chance import Chance, between, count, happens
from erfnet_jobs.erfnet.scenes.finish import develop
from erfnet_jobs.erfnet.scenes.ground import Street, cast_shadows, lay_out, paint_ground, sky
from erfnet_jobs.erfnet.scenes.pen import LABEL, SCALE, Camera, Light, Pen

Paint = Callable[[], None]
Things = list[tuple[float, Paint]]


def draw_scene(key: tuple[int, ...], size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Image (uint8 H x W x 3) and labelIds (uint8 H x W) of the scene with this key: the same key, the same bytes."""
    chance = np.random.default_rng(key)
    height, width = size[0] * SCALE, size[1] * SCALE
    camera = Camera(
        focal=between(chance, 0.62, 0.95) * width,
        centre=width * between(chance, 0.4, 0.6),
        horizon=height * between(chance, 0.38, 0.5),
        height=between(chance, 1.2, 1.7),
    )
    colours, haze = sky(chance, (height, width), camera.horizon)
    sunny = between(chance, 0.7, 1.15)
    light = Light(sunny, 1.85 - sunny, haze, between(chance, 120, 600))
    pen = Pen(size, camera, light)
    pen.backdrop(colours, LABEL["sky"])
    _paint(pen, chance, lay_out(chance))
    flat, label = pen.result()
    return develop(chance, flat, label), label


def _paint(pen: Pen, chance: Chance, street: Street) -> None:
    sides.skyline(pen, chance)
    paint_ground(pen, chance, street)
    if happens(chance, 0.55):
        cast_shadows(pen, chance, street)
    things: Things = []
    for side in (0, 1):
        things += _line_of_houses(pen, chance, street, side)
        things += _kerb(pen, chance, street, side)
        things += _pavement(pen, chance, street, side)
    things += _traffic(pen, chance, street)
    for _, paint in sorted(things, key=lambda thing: -thing[0]):
        paint()
    if happens(chance, 0.25):
        _bonnet(pen)


def _line_of_houses(pen: Pen, chance: Chance, street: Street, side: int) -> Things:
    x, z = street.verge[side], between(chance, 4, 9)
    things: Things = []
    kinds = (
        sides.building,
        sides.building,
        sides.building,
        sides.hedge,
        sides.hedge,
        sides.wall,
        sides.fence,
        sides.fence,
    )
    while z < 110:
        kind = kinds[int(chance.integers(len(kinds)))]
        end = z + between(chance, 6, 18)
        behind = x + (2.5 if side else -2.5)
        if kind in (sides.wall, sides.fence):
            behind_kind = sides.building if happens(chance, 0.5) else sides.hedge
            things.append((end + 0.1, partial(behind_kind, pen, chance, behind, (z, end))))
        things.append((z + 0.5, partial(kind, pen, chance, x, (z, end))))
        z = end + (between(chance, 1, 7) if happens(chance, 0.35) else 0.0)
    return things


def _kerb(pen: Pen, chance: Chance, street: Street, side: int) -> Things:
    edge = street.road[side] + (0.5 if side else -0.5)
    outer = (street.pavement[side] + street.verge[side]) / 2
    things: Things = []
    z = between(chance, 6, 12)
    kinds = (furniture.lamp, furniture.sign, furniture.sign, furniture.traffic_light, furniture.litter_bin)
    while z < 70:
        kind = kinds[int(chance.integers(len(kinds)))]
        things.append((z, partial(kind, pen, chance, edge, z)))
        if happens(chance, 0.55):
            things.append((z + 2, partial(sides.tree, pen, chance, outer, z + 2)))
        z += between(chance, 4, 12)
    return things


def _pavement(pen: Pen, chance: Chance, street: Street, side: int) -> Things:
    inner, outer = sorted((street.road[side], street.pavement[side]))
    things: Things = []
    for _ in range(count(chance, 1, 5)):
        z = between(chance, 5, 32)
        things.append((z, partial(people.person, pen, chance, between(chance, inner, outer), z)))
    for kind, share in ((people.bicycle, 0.5), (people.motorcycle, 0.4)):
        if happens(chance, share):
            z = between(chance, 5, 16)
            things.append((z, partial(kind, pen, chance, between(chance, inner, outer), z)))
    return things


def _traffic(pen: Pen, chance: Chance, street: Street) -> Things:
    left, right = street.road
    lane = (right - left) / street.lanes
    things: Things = []
    for position in range(street.lanes):
        x = left + lane * (position + 0.5)
        z = between(chance, 8, 24)
        while z < 90:
            kind = _vehicle(chance)
            things.append((z, partial(kind, pen, chance, x, z)))
            z += between(chance, 16, 50)
    for x in (left + 0.2, right - 0.2):
        if happens(chance, 0.5):
            things += [(z, partial(vehicles.car, pen, chance, x, z)) for z in _parked(chance)]
    for _ in range(count(chance, 0, 2)):
        x, z = between(chance, left + 0.5, right - 0.5), between(chance, 6, 22)
        things.append((z, partial(people.rider, pen, chance, x, z)))
    if happens(chance, 0.2):
        x, z = between(chance, left, right), between(chance, 7, 18)
        things.append((z, partial(people.person, pen, chance, x, z)))
    return things


def _vehicle(chance: Chance) -> Callable[[Pen, Chance, float, float], None]:
    draw = chance.random()
    if draw < 0.62:
        return vehicles.car
    if draw < 0.77:
        return vehicles.truck
    return vehicles.bus if draw < 0.9 else vehicles.tram


def _parked(chance: Chance) -> list[float]:
    start = between(chance, 5, 16)
    return [start + 6.2 * place for place in range(count(chance, 1, 4))]


def _bonnet(pen: Pen) -> None:
    """The camera's own car at the lower edge, which Cityscapes ignores."""
    wide, high = pen.width, pen.height
    pen.flat([(wide * 0.1, high), (wide * 0.2, high * 0.95), (wide * 0.5, high * 0.92), (wide * 0.8, high * 0.95),
              (wide * 0.9, high)], (40, 42, 46), "ego")  # fmt: skip
