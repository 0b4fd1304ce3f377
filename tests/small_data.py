"""Tiny datasets in Cityscapes' layout for tests: noise for images, blocks of label ids for labels."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def label_of(seed: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """labelIds, uint8 H x W: blocks of 8 pixels of any id from 0 to 33."""
    height, width = size
    blocks = np.random.default_rng(seed).integers(0, 34, (height // 8 + 1, width // 8 + 1), dtype=np.uint8)
    return np.ascontiguousarray(np.kron(blocks, np.ones((8, 8), np.uint8))[:height, :width])


def image_of(seed: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Noise, uint8 H x W x 3."""
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def paths_of(root: Path, split: str, name: str) -> tuple[Path, Path]:
    """Where image and labelIds of CITY_..., such as 'aachen_000001_000019', lie."""
    city = name.split("_", maxsplit=1)[0]
    return (
        root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png",
        root / "gtFine" / split / city / f"{name}_gtFine_labelIds.png",
    )


def add_pair(root: Path, split: str, name: str, seed: int, size: tuple[int, int] = (24, 40)) -> tuple[Path, Path]:
    """Write an image and its label."""
    image, label = paths_of(root, split, name)
    for path, pixels in ((image, image_of(seed, size)), (label, label_of(seed, size))):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return image, label


def make_dataset(root: Path, train: int = 5, val: int = 2, size: tuple[int, int] = (24, 40)) -> Path:
    """A dataset of two cities to train on and one to validate on."""
    for split, count, cities in (("train", train, ("aachen", "bochum")), ("val", val, ("frankfurt",))):
        for number in range(count):
            name = f"{cities[number % len(cities)]}_{number:06d}_000019"
            add_pair(root, split, name, seed=number + 100 * (split == "val"), size=size)
    return root
