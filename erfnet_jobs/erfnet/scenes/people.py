"""People on foot and on two wheels."""

from itertools import pairwise

from erfnet_jobs.erfnet.scenes.chance import CLOTH, PAINT, SKIN, Chance, between, darker, happens, tone
from erfnet_jobs.erfnet.scenes.pen import Pen


def person(pen: Pen, chance: Chance, x: float, z: float) -> None:
    """Someone who stands or walks: legs, trunk, arms, head."""
    tall = between(chance, 1.5, 1.9)
    top, legs, skin = tone(chance, CLOTH), tone(chance, CLOTH), tone(chance, SKIN)
    stride = between(chance, 0.05, 0.32)
    for foot in (-stride, stride):
        pen.stick(((x, tall * 0.5, z), (x + foot, 0, z)), 0.19, legs, "person")
    _trunk(pen, chance, (x, tall * 0.48, z), tall * 0.36, "person")
    swing = between(chance, 0.1, 0.3)
    for side in (-1, 1):
        pen.stick(
            ((x + side * 0.2, tall * 0.8, z), (x + side * (0.2 + swing * 0.5), tall * 0.45, z)), 0.12, top, "person"
        )
    pen.disc((x, tall * 0.93, z), (0.13, 0.15), skin, "person")
    if happens(chance, 0.7):
        pen.disc((x, tall * 0.97, z), (0.13, 0.09), tone(chance, ((40, 32, 26), (110, 80, 50), (150, 146, 140))), None)


def _trunk(pen: Pen, chance: Chance, foot: tuple[float, float, float], tall: float, label: str) -> None:
    x, y, z = foot
    cloth = tone(chance, CLOTH)
    points = [(x - 0.18, y, z), (x + 0.18, y, z), (x + 0.25, y + tall, z), (x - 0.25, y + tall, z)]
    pen.area(points, cloth, label)


def bicycle(pen: Pen, chance: Chance, x: float, z: float, ridden: bool = False) -> None:
    """A bicycle from the side, or from behind where it is ridden; wheels count whole, as in Cityscapes."""
    paint = tone(chance, PAINT)
    if ridden and happens(chance, 0.5):
        pen.disc((x, 0.36, z), (0.1, 0.36), (34, 34, 36), "bicycle")
        pen.stick(((x - 0.28, 1.0, z), (x + 0.28, 1.0, z)), 0.06, paint, "bicycle")
        return
    shows = tone(chance, ((120, 118, 112), (90, 92, 92)))
    for wheel in (x - 0.52, x + 0.52):
        pen.disc((wheel, 0.35, z), (0.36, 0.36), (30, 30, 32), "bicycle")
        pen.disc((wheel, 0.35, z), (0.27, 0.27), shows, "bicycle")
    frame = ((x - 0.52, 0.35), (x - 0.2, 0.85), (x + 0.4, 0.85), (x, 0.35), (x - 0.2, 0.85))
    for start, end in pairwise(frame):
        pen.stick(((*start, z), (*end, z)), 0.08, paint, "bicycle")
    pen.stick(((x + 0.4, 0.95, z), (x + 0.52, 0.35, z)), 0.08, paint, "bicycle")


def motorcycle(pen: Pen, chance: Chance, x: float, z: float) -> None:
    """A motorcycle or scooter: thick wheels and a solid body between them."""
    paint = tone(chance, PAINT)
    for wheel in (x - 0.65, x + 0.65):
        pen.disc((wheel, 0.32, z), (0.34, 0.34), (28, 28, 30), "motorcycle")
    pen.area([(x - 0.8, 0.4, z), (x + 0.6, 0.35, z), (x + 0.75, 0.95, z), (x + 0.2, 0.75, z), (x - 0.85, 0.85, z)],
             paint, "motorcycle")  # fmt: skip
    pen.disc((x, 0.42, z), (0.28, 0.2), darker(paint, 0.5), None)
    pen.stick(((x + 0.6, 0.4, z), (x + 0.5, 1.15, z)), 0.09, (50, 50, 54), "motorcycle")


def rider(pen: Pen, chance: Chance, x: float, z: float) -> None:
    """Someone on a bicycle or a motorcycle."""
    seat = between(chance, 0.75, 0.9)
    if happens(chance, 0.7):
        bicycle(pen, chance, x, z, ridden=True)
    else:
        motorcycle(pen, chance, x, z)
    legs = tone(chance, CLOTH)
    for foot in (-0.14, 0.16):
        pen.stick(((x, seat + 0.1, z), (x + foot, 0.3, z)), 0.18, legs, "rider")
    _trunk(pen, chance, (x, seat, z), 0.62, "rider")
    arm = tone(chance, CLOTH)
    pen.stick(((x + 0.2, seat + 0.55, z), (x + 0.42, seat + 0.2, z)), 0.12, arm, "rider")
    pen.disc((x, seat + 0.76, z), (0.14, 0.16), tone(chance, SKIN), "rider")
    if happens(chance, 0.6):
        pen.disc((x, seat + 0.82, z), (0.15, 0.12), tone(chance, PAINT), None)
