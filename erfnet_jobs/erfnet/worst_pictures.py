"""The images that a network does worst on, and what it does there."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from erfnet_jobs.erfnet.labels import CLASSES
from erfnet_jobs.erfnet.overlay import GAP, INK, PAPER, Pixels, Seen, classes_in, fitting, legend, overlay, text_font

PANEL_WIDTH = 640
CAPTION_HEIGHT = 22
WRONG = (230, 20, 20)


def worst_images(image_ious: NDArray[np.float64], count: int) -> list[int]:
    """The places of the `count` images with the lowest mean IoU of their own, lowest first; NaN is none."""
    order = np.argsort(image_ious, kind="stable")[:count]
    return [int(place) for place in order if not np.isnan(image_ious[place])]


def worst_picture(image: Pixels, truth: Pixels, prediction: Pixels, title: str) -> Image.Image:
    """The image, truth and prediction over it, and the labelled pixels that are wrong in red, two and two.

    `truth` and `prediction` are uint8 H x W train ids, as large as the image.
    """
    labelled = truth < CLASSES
    wrong = labelled & (truth != prediction)
    share = wrong.sum() / max(1, labelled.sum())
    panels = (
        ("image", image),
        (f"wrong: {share:.1%} of the labelled pixels", _errors(image, wrong)),
        ("truth", overlay(image, truth, 0.7)),
        ("prediction", overlay(image, prediction, 0.7)),
    )
    height = max(1, round(PANEL_WIDTH * image.shape[0] / image.shape[1]))
    width = GAP + 2 * (PANEL_WIDTH + GAP)
    key = legend(classes_in([Seen(title, image, prediction, truth)]), width)
    line = CAPTION_HEIGHT + height + GAP
    page = Image.new("RGB", (width, CAPTION_HEIGHT + GAP + 2 * line + key.height), PAPER)
    pen = ImageDraw.Draw(page)
    pen.text((GAP, GAP), fitting(title, width - 2 * GAP), fill=INK, font=text_font())
    for place, (caption, pixels) in enumerate(panels):
        left = GAP + place % 2 * (PANEL_WIDTH + GAP)
        top = CAPTION_HEIGHT + GAP + place // 2 * line
        pen.text((left, top + 3), fitting(caption, PANEL_WIDTH), fill=INK, font=text_font())
        scaled = Image.fromarray(pixels).resize((PANEL_WIDTH, height), Image.Resampling.BILINEAR)
        page.paste(scaled, (left, top + CAPTION_HEIGHT))
    page.paste(key, (0, page.height - key.height))
    return page


def _errors(image: Pixels, wrong: NDArray[np.bool_]) -> Pixels:
    """The picture in light grey, with what is wrong in red."""
    grey = np.asarray(Image.fromarray(image).convert("L"))
    light = (128 + grey // 2)[..., None].repeat(3, axis=2)
    light[wrong] = WRONG
    return light
