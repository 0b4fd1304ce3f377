"""What an evaluation by files is of: the hash of images and labels, and how many images there are."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from erfnet_jobs.erfnet.cityscapes import IMAGES, LABELS, find_pairs, is_cityscapes
from erfnet_jobs.erfnet.data_hash import hash_of_files, hash_of_pairs
from erfnet_jobs.erfnet.pictures import SUFFIXES


@dataclass(frozen=True)
class MeasuredFiles:
    """`dataset_hash` as MindSpore's evaluations of the same split have it; `images` is how many it is over."""

    dataset_hash: str
    images: int


def measured_files(images: Path, labels: Path, split: str, cache_dir: Path) -> MeasuredFiles:
    """The images and labels of a split where both are one dataset in Cityscapes' layout, else all of both folders.

    Those have the names 'images/...' and 'labels/...' in their hash, relative to the folders. Raises BadData as
    `find_pairs`, and for a file that cannot be read.
    """
    if is_cityscapes(images) and images.resolve() == labels.resolve():
        pairs = find_pairs(images, split)
        return MeasuredFiles(hash_of_pairs(images, pairs, cache_dir), len(pairs))
    seen = dict(_pictures(images, IMAGES, split, "images"))
    return MeasuredFiles(hash_of_files({**seen, **dict(_pictures(labels, LABELS, split, "labels"))}), len(seen))


def _pictures(folder: Path, kind: str, split: str, name: str) -> Iterator[tuple[str, Path]]:
    """Those in the cities of a split, or in a flat folder itself: what lies deeper there the program does not read."""
    is_tree = (folder / kind).is_dir()
    place = folder / kind / split if is_tree else folder
    for path in place.rglob("*") if is_tree else place.iterdir():
        if path.suffix.lower() in SUFFIXES and path.is_file():
            yield f"{name}/{path.relative_to(place).as_posix()}", path
