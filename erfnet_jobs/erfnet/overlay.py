"""Pictures of what a network sees: overlays, and input, ground truth and prediction side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from erfnet_jobs.erfnet.labels import CLASS_NAMES, CLASSES, PALETTE, colourize

Pixels = NDArray[np.uint8]

# Of an inference so many pictures are reported one by one (all are in the folder), and so many stand on one sheet.
REPORTED = 20
PREVIEW_NAME = "preview.png"
PREVIEW_ROWS = 4

PANEL_WIDTH = 480
GAP = 8
CAPTION_HEIGHT = 22
LEGEND_HEIGHT = 24
SWATCH = 14
FONT_SIZE = 14
INK = (32, 32, 32)
PAPER = (255, 255, 255)


@dataclass(frozen=True)
class Seen:
    """A picture (uint8 H x W x 3) and its labels (uint8 H x W, train ids); `truth` is None where it is not known."""

    name: str
    image: Pixels
    prediction: Pixels
    truth: Pixels | None = None


def overlay(image: Pixels, label: Pixels, strength: float = 0.5) -> Pixels:
    """The picture tinted by class, `strength` of the colour; ignored pixels stay as they are."""
    tint = np.where((label < CLASSES)[..., None], colourize(label), image)
    mixed: Pixels = np.rint(image * (1 - strength) + tint * strength).astype(np.uint8)
    return mixed


def side_by_side(seen: Seen) -> Image.Image:
    """Input, ground truth where it is known, and prediction, with a legend of the classes in them."""
    return sheet([seen])


def sheet(pictures: Sequence[Seen]) -> Image.Image:
    """One row for each picture, and one legend for all."""
    rows = [_row(seen) for seen in pictures]
    width = max(row.width for row in rows)
    rows.append(legend(classes_in(pictures), width))
    page = Image.new("RGB", (width, sum(row.height for row in rows)), PAPER)
    top = 0
    for row in rows:
        page.paste(row, (0, top))
        top += row.height
    return page


def page(pictures: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Named pictures below each other, as wide as two panels."""
    width = 2 * PANEL_WIDTH
    heights = [max(1, round(width * picture.height / picture.width)) for _, picture in pictures]
    whole = Image.new("RGB", (width, sum(heights) + CAPTION_HEIGHT * len(pictures)), PAPER)
    pen = ImageDraw.Draw(whole)
    top = 0
    for (name, picture), height in zip(pictures, heights, strict=True):
        pen.text((GAP, top + 3), fitting(name, width - 2 * GAP), fill=INK, font=text_font())
        whole.paste(picture.convert("RGB").resize((width, height)), (0, top + CAPTION_HEIGHT))
        top += CAPTION_HEIGHT + height
    return whole


def _row(seen: Seen) -> Image.Image:
    panels = [(f"input: {seen.name}", seen.image)]
    if seen.truth is not None:
        panels.append(("ground truth", colourize(seen.truth)))
    panels.append(("prediction", colourize(seen.prediction)))
    height = max(1, round(PANEL_WIDTH * seen.image.shape[0] / seen.image.shape[1]))
    row = Image.new("RGB", (GAP + len(panels) * (PANEL_WIDTH + GAP), CAPTION_HEIGHT + height), PAPER)
    pen = ImageDraw.Draw(row)
    for place, (caption, pixels) in enumerate(panels):
        left = GAP + place * (PANEL_WIDTH + GAP)
        pen.text((left, 3), fitting(caption), fill=INK, font=text_font())
        method = Image.Resampling.BICUBIC if place == 0 else Image.Resampling.NEAREST
        row.paste(Image.fromarray(pixels).resize((PANEL_WIDTH, height), method), (left, CAPTION_HEIGHT))
    return row


def fitting(caption: str, width: int = PANEL_WIDTH) -> str:
    """The caption, cut where it is longer than `width` pixels."""
    font = text_font()
    while font.getlength(caption) > width and len(caption) > 1:
        caption = caption[:-2] + "…"
    return caption


def legend(classes: Sequence[int], width: int) -> Image.Image:
    """Swatches and names of train ids, as many lines as they need in `width` pixels."""
    places = _legend_places(classes, width)
    lines = places[-1][1] + 1 if places else 0
    key = Image.new("RGB", (width, GAP + lines * LEGEND_HEIGHT), PAPER)
    pen = ImageDraw.Draw(key)
    for train_id, (left, line) in zip(classes, places, strict=True):
        top = GAP + line * LEGEND_HEIGHT
        colour = tuple(int(part) for part in PALETTE[train_id])
        pen.rectangle((left, top, left + SWATCH, top + SWATCH), fill=colour, outline=INK)
        pen.text((left + SWATCH + 5, top - 1), _class_name(train_id), fill=INK, font=text_font())
    return key


def _legend_places(classes: Sequence[int], width: int) -> list[tuple[int, int]]:
    """Left edge and line of each class' swatch, breaking lines where the width ends."""
    places, left, line = [], GAP, 0
    for train_id in classes:
        needed = SWATCH + 5 + int(text_font().getlength(_class_name(train_id))) + 2 * GAP
        if left > GAP and left + needed > width:
            left, line = GAP, line + 1
        places.append((left, line))
        left += needed
    return places


def classes_in(pictures: Sequence[Seen]) -> list[int]:
    """The train ids in truths and predictions, ascending."""
    labels = [label for seen in pictures for label in (seen.prediction, seen.truth) if label is not None]
    return [int(train_id) for train_id in np.unique(np.concatenate([np.unique(label) for label in labels]))]


def _class_name(train_id: int) -> str:
    return CLASS_NAMES[train_id] if train_id < CLASSES else "ignored"


def text_font(size: int = FONT_SIZE) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of all pictures, which Pillow brings along; `size` in pixels."""
    return ImageFont.load_default(size)
