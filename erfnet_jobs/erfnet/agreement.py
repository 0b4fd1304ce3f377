"""Whether an exported model is the network: both run on made-up street scenes, and what they say is compared."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from erfnet_jobs.erfnet.scenes.scene import draw_scene
from erfnet_jobs.erfnet.transforms import Images, Size, prepare_image

# So many scenes are compared, or as many as a batch holds.
FRAMES = 4
# Scenes are drawn no larger than this (height, width): a larger one is scaled up.
DRAWN = (512, 1024)

Run = Callable[[Images], NDArray[Any]]
Compare = Callable[[NDArray[np.float32], NDArray[Any]], "Agreement"]


@dataclass(frozen=True)
class Agreement:
    """How alike two outputs are.

    `difference` is a share of the largest logit, infinite where outputs cannot be compared; `same_classes` the share of
    pixels with the same class.
    """

    difference: float
    same_classes: float


def scene_batches(size: Size, batch: int) -> Iterator[Images]:
    """Street scenes as float32 `batch` x 3 x height x width in [0, 1]; the same ones each time, no two alike.

    From the FRAMES-th image on of a batch, the scenes come again, shifted to the side.
    """
    drawn = (min(size[0], DRAWN[0]), min(size[1], DRAWN[1]))
    scenes = [prepare_image(draw_scene((0, number), drawn)[0], size) for number in range(FRAMES)]
    for first in range(0, FRAMES, batch):
        yield np.stack([_shifted(scenes, first + index) for index in range(batch)])


def _shifted(scenes: list[Images], number: int) -> Images:
    return np.roll(scenes[number % FRAMES], number // FRAMES, axis=2)


def agreement(network: Run, model: Run, compare: Compare, batches: Iterable[Images]) -> Agreement:
    """How far `model` is from `network`'s logits at its worst batch, and on how many pixels of all they agree."""
    found = [compare(network(images), model(images)) for images in batches]
    same = sum(one.same_classes for one in found) / len(found)
    return Agreement(max(one.difference for one in found), same)


def compare_logits(wanted: NDArray[np.float32], found: NDArray[Any]) -> Agreement:
    """Compare logits N x C x h x w: by their largest difference."""
    if wanted.shape != found.shape or found.dtype != np.float32:
        return Agreement(float("inf"), 0.0)
    same = float(np.mean(wanted.argmax(1) == found.argmax(1)))
    return Agreement(_share(np.abs(wanted - found).max(), wanted), same)


def compare_classes(wanted: NDArray[np.float32], found: NDArray[Any]) -> Agreement:
    """Compare train ids N x h x w with the network's logits N x C x h x w.

    By what the network's logit of the class that was found lacks to its largest: nothing where the classes are the
    same, little at a tie.
    """
    shape = (wanted.shape[0], *wanted.shape[2:])
    if found.shape != shape or found.dtype != np.int32 or found.min() < 0 or found.max() >= wanted.shape[1]:
        return Agreement(float("inf"), 0.0)
    chosen = np.take_along_axis(wanted, found[:, None], 1)[:, 0]
    same = float(np.mean(wanted.argmax(1) == found))
    return Agreement(_share((wanted.max(1) - chosen).max(), wanted), same)


def _share(difference: np.floating[Any], wanted: NDArray[np.float32]) -> float:
    """The difference as a share of the largest logit; infinite where either is not finite."""
    largest = float(np.abs(wanted).max())
    if not (np.isfinite(difference) and np.isfinite(largest)):
        return float("inf")
    return float(difference) / largest if largest else float("inf") if difference else 0.0
