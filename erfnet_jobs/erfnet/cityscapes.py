"""Cityscapes' folders: which image belongs to which label, by name and never by position.

ROOT/leftImg8bit/SPLIT/CITY/CITY_SEQUENCE_FRAME_leftImg8bit.png
ROOT/gtFine/SPLIT/CITY/CITY_SEQUENCE_FRAME_gtFine_labelIds.png (or _gtFine_labelTrainIds.png)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from erfnet_jobs.erfnet.labels import LABEL_IDS_SUFFIX, TRAIN_IDS_SUFFIX
from erfnet_jobs.errors import BadData

IMAGES: Final = "leftImg8bit"
LABELS: Final = "gtFine"
IMAGE_SUFFIXES: Final = tuple(f"_{IMAGES}.{kind}" for kind in ("png", "jpg", "jpeg"))
# Where both are there, labelIds win: trainIds are made from them, and may be older.
LABEL_SUFFIXES: Final = (f"_{LABELS}{LABEL_IDS_SUFFIX}", f"_{LABELS}{TRAIN_IDS_SUFFIX}")
LISTED: Final = 10


@dataclass(frozen=True)
class Pair:
    """An image and its label; `name` is what their file names have in common (CITY_SEQUENCE_FRAME)."""

    name: str
    image: Path
    label: Path


@dataclass(frozen=True)
class Listing:
    """What one split holds; pairs are sorted by name.

    `unlabelled` are images without a label, `orphans` labels without an image, `doubles` names that stand in two
    cities, and `missing` the folders that are not there.
    """

    pairs: tuple[Pair, ...] = ()
    unlabelled: tuple[Path, ...] = ()
    orphans: tuple[Path, ...] = ()
    doubles: tuple[str, ...] = ()
    missing: tuple[Path, ...] = ()


def is_cityscapes(root: Path) -> bool:
    """Whether the folder looks like a dataset in this layout."""
    return (root / IMAGES).is_dir()


def splits_of(root: Path) -> tuple[str, ...]:
    """The splits that have an image folder, by name; raises BadData where there is no such dataset."""
    if not is_cityscapes(root):
        raise BadData(_no_dataset(root))
    return tuple(sorted(folder.name for folder in (root / IMAGES).iterdir() if folder.is_dir()))


def has_split(root: Path, split: str) -> bool:
    """Whether a dataset has image and label folders of a split; what they hold is not looked at."""
    return (root / IMAGES / split).is_dir() and (root / LABELS / split).is_dir()


def find_images(root: Path, split: str) -> tuple[tuple[str, Path], ...]:
    """Name and path of each image of a split, labelled or not, sorted by name; raises BadData where there is none."""
    folder = root / IMAGES / split
    if not folder.is_dir():
        raise BadData(_missing(root, split, (folder,)))
    images = tuple(sorted(_named(folder, IMAGE_SUFFIXES)))
    if not images:
        raise BadData(_no_images(folder))
    return images


def find_pairs(root: Path, split: str) -> tuple[Pair, ...]:
    """The pairs of a split, sorted by name.

    Raises BadData naming what is wrong: folders that are missing, no images, names that stand twice, images without a
    label (the first ten, and how many). Labels without an image do no harm here.
    """
    listing = list_split(root, split)
    if listing.missing:
        raise BadData(_missing(root, split, listing.missing))
    faults = []
    if not listing.pairs and not listing.unlabelled:
        faults.append(_no_images(root / IMAGES / split))
    if listing.unlabelled:
        faults.append(
            f"{len(listing.unlabelled)} of {len(listing.unlabelled) + len(listing.pairs)} images below "
            f"{root / IMAGES / split} have no label NAME{LABEL_SUFFIXES[0]} below {root / LABELS / split}: "
            f"{_first(list(map(str, listing.unlabelled)))}; add the labels or take the images away"
        )
    if listing.doubles:
        faults.append(f"names that stand in two cities of {split}: {_first(list(listing.doubles))}; rename one")
    if faults:
        raise BadData("\n".join(faults))
    return listing.pairs


def list_split(root: Path, split: str) -> Listing:
    """What the folders of a split hold, without judging it and without opening a file."""
    image_folder, label_folder = root / IMAGES / split, root / LABELS / split
    if missing := tuple(folder for folder in (image_folder, label_folder) if not folder.is_dir()):
        return Listing(missing=missing)
    images = sorted(_named(image_folder, IMAGE_SUFFIXES))
    labels = _labels_by_key(label_folder)
    pairs, unlabelled, used = [], [], set()
    for name, image in images:
        key = (image.parent.name, name)
        if key in labels:
            pairs.append(Pair(name, image, labels[key]))
            used.add(key)
        else:
            unlabelled.append(image)
    names = [name for name, _ in images]
    return Listing(
        tuple(pairs),
        tuple(unlabelled),
        tuple(sorted(path for key, path in labels.items() if key not in used)),
        tuple(sorted({one for one, other in pairwise(names) if one == other})),
    )


def _labels_by_key(folder: Path) -> dict[tuple[str, str], Path]:
    labels: dict[tuple[str, str], Path] = {}
    for suffix in reversed(LABEL_SUFFIXES):
        labels.update({(path.parent.name, name): path for name, path in _named(folder, (suffix,))})
    return labels


def _named(folder: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    for city in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        for path in city.iterdir():
            for suffix in suffixes:
                if path.name.endswith(suffix) and len(path.name) > len(suffix):
                    yield path.name.removesuffix(suffix), path


def _first(items: list[str]) -> str:
    return ", ".join(items[:LISTED]) + (f" and {len(items) - LISTED} more" if len(items) > LISTED else "")


def _no_dataset(root: Path) -> str:
    if not root.exists():
        return f"{root} does not exist: give a dataset folder in Cityscapes' layout, or a MindRecord"
    return (
        f"{root} is no dataset in Cityscapes' layout: it has no folder {IMAGES}; "
        f"give the folder that holds {IMAGES} and {LABELS}, or a MindRecord"
    )


def _missing(root: Path, split: str, folders: tuple[Path, ...]) -> str:
    if not is_cityscapes(root):
        return _no_dataset(root)
    there = ", ".join(splits_of(root)) or "none"
    return f"{' and '.join(map(str, folders))} not found for split {split}: splits with images are {there}"


def _no_images(folder: Path) -> str:
    return f"no images CITY/NAME{IMAGE_SUFFIXES[0]} below {folder}: the split is empty; fill it or name another"
