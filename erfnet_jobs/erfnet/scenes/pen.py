"""Drawing in a street: world coordinates in metres, projected, lit, and written as colour and as label alike.

x is to the right of the camera, y up from the road, z ahead. Everything is drawn twice as large as the picture; colours
are averaged down, which smooths their edges, and labels are sampled, which does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from erfnet_jobs.erfnet.labels import TRAIN_CLASSES

SCALE: Final = 2
NEAR: Final = 1.5
Colour = tuple[float, float, float]
Point = tuple[float, float, float]

# labelIds by class name, and the two ignored ones that scenes use (ego vehicle, static things).
LABEL: Final = {entry.name: entry.label_id for entry in TRAIN_CLASSES} | {"ego": 1, "static": 4}


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: focal length and vanishing point in pixels of the drawing, its height in metres."""

    focal: float
    centre: float
    horizon: float
    height: float

    def project(self, point: Point) -> tuple[float, float]:
        """A point in the world as (x, y) in the drawing."""
        x, y, z = point
        depth = max(z, NEAR)
        return self.centre + self.focal * x / depth, self.horizon - self.focal * (y - self.height) / depth


@dataclass(frozen=True)
class Light:
    """How surfaces look: brightness of faces to the left and right, and haze that takes over with depth."""

    left: float
    right: float
    haze: Colour
    haze_depth: float

    def on(self, colour: Colour, depth: float, shade: float) -> tuple[int, int, int]:
        """A surface's colour, 0 to 255, as seen from `depth` metres."""
        kept = float(np.exp(-depth / self.haze_depth))
        red, green, blue = (
            int(min(255.0, max(0.0, value * shade * kept + haze * (1 - kept))))
            for value, haze in zip(colour, self.haze, strict=True)
        )
        return red, green, blue


class Pen:
    """Paints one scene of `size` (height, width)."""

    def __init__(self, size: tuple[int, int], camera: Camera, light: Light) -> None:
        self.height, self.width = size[0] * SCALE, size[1] * SCALE
        self.camera = camera
        self.light = light
        self._colour = Image.new("RGB", (self.width, self.height))
        self._label = Image.new("L", (self.width, self.height))
        self._draw = ImageDraw.Draw(self._colour)
        self._mark = ImageDraw.Draw(self._label)

    def backdrop(self, colours: NDArray[np.uint8], label: int) -> None:
        """Fill everything: uint8 H x W x 3 colours in drawing pixels, one label."""
        self._colour.paste(Image.fromarray(colours))
        self._label.paste(label, (0, 0, self.width, self.height))

    def area(self, points: Sequence[Point], colour: Colour, label: str | None, shade: float = 1.0) -> None:
        """Fill a polygon; without a label what lies below keeps its own (a window in a wall, paint on a road)."""
        depth = min(point[2] for point in points)
        self.flat([self.camera.project(point) for point in points], self.light.on(colour, depth, shade), label)

    def upright(
        self, x: tuple[float, float], y: tuple[float, float], z: float, colour: Colour, label: str | None
    ) -> None:
        """Fill a rectangle that faces the camera."""
        self.area([(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)], colour, label)

    def along(
        self, x: float, y: tuple[float, float], z: tuple[float, float], colour: Colour, label: str | None
    ) -> None:
        """Fill an upright rectangle that runs along the street."""
        shade = self.light.left if x < 0 else self.light.right
        self.area([(x, y[0], z[0]), (x, y[0], z[1]), (x, y[1], z[1]), (x, y[1], z[0])], colour, label, shade)

    def ground(
        self, x: tuple[float, float], z: tuple[float, float], colour: Colour, label: str | None, y: float = 0.0
    ) -> None:
        """Fill a rectangle that lies flat."""
        self.area([(x[0], y, z[0]), (x[1], y, z[0]), (x[1], y, z[1]), (x[0], y, z[1])], colour, label)

    def disc(self, centre: Point, radii: tuple[float, float], colour: Colour, label: str | None) -> None:
        """Fill an ellipse that faces the camera; radii in metres."""
        x, y = self.camera.project(centre)
        wide, high = (self.camera.focal * radius / max(centre[2], NEAR) for radius in radii)
        box = (x - wide, y - high, x + wide, y + high)
        self._draw.ellipse(box, fill=self.light.on(colour, centre[2], 1.0))
        if label is not None:
            self._mark.ellipse(box, fill=LABEL[label])

    def stick(self, ends: tuple[Point, Point], wide: float, colour: Colour, label: str | None) -> None:
        """Draw a line `wide` metres thick, at least a pixel of the picture."""
        depth = min(end[2] for end in ends)
        pixels = max(SCALE, round(self.camera.focal * wide / max(depth, NEAR)))
        points = [self.camera.project(end) for end in ends]
        self._draw.line(points, fill=self.light.on(colour, depth, 1.0), width=pixels)
        if label is not None:
            self._mark.line(points, fill=LABEL[label], width=pixels)

    def shadows(self, outlines: Sequence[Sequence[Point]], kept: float) -> None:
        """Darken polygons to `kept` (0 to 1) of their brightness; labels stay."""
        mask = Image.new("L", (self.width, self.height), 255)
        draw = ImageDraw.Draw(mask)
        for outline in outlines:
            draw.polygon([self.camera.project(point) for point in outline], fill=int(255 * kept))
        self._colour.paste(ImageChops.multiply(self._colour, Image.merge("RGB", (mask, mask, mask))))

    def flat(self, points: Sequence[tuple[float, float]], colour: tuple[int, int, int], label: str | None) -> None:
        """Fill a polygon given in drawing pixels."""
        self._draw.polygon(list(points), fill=colour)
        if label is not None:
            self._mark.polygon(list(points), fill=LABEL[label])

    def result(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Colours as float32 H x W x 3 (0 to 255) and labelIds as uint8 H x W, at the picture's size."""
        colours = np.asarray(self._colour.reduce(SCALE), np.float32)
        return colours, np.ascontiguousarray(np.asarray(self._label)[SCALE // 2 :: SCALE, SCALE // 2 :: SCALE])
