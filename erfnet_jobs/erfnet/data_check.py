"""Checking a dataset: every pair is opened, and every fault is named."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from erfnet_jobs.erfnet.cityscapes import Listing, Pair, list_split, splits_of
from erfnet_jobs.erfnet.labels import CLASS_NAMES, CLASSES, IGNORE, OUTPUTS
from erfnet_jobs.erfnet.record_rows import is_mindrecord
from erfnet_jobs.erfnet.samples import read_pair
from erfnet_jobs.errors import BadData

SPLITS: Final = ("train", "val", "test")
_AT_ONCE: Final = 64


@dataclass(frozen=True)
class SplitCheck:
    """One split: good pairs, their sizes as 'HxW', pixels by train id 0 to 19, images that show each class, faults."""

    split: str
    pairs: int
    sizes: dict[str, int]
    pixels: tuple[int, ...]
    images_with: tuple[int, ...]
    faults: tuple[str, ...]

    @property
    def shares(self) -> tuple[float, ...]:
        """Each class' share (0 to 1) of the pixels that are not ignored."""
        labelled = sum(self.pixels[:CLASSES]) or 1
        return tuple(count / labelled for count in self.pixels[:CLASSES])


@dataclass(frozen=True)
class CheckResult:
    """All splits that were checked."""

    root: Path
    splits: tuple[SplitCheck, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """Every fault, as one line each."""
        return tuple(fault for split in self.splits for fault in split.faults)

    def document(self) -> dict[str, Any]:
        """JSON-ready, with stable keys."""
        return {
            "path": str(self.root),
            "ok": not self.faults,
            "splits": {split.split: _document(split) for split in self.splits},
            "faults": list(self.faults),
        }


@dataclass
class _Tally:
    sizes: Counter[str] = field(default_factory=Counter)
    pixels: Counter[int] = field(default_factory=Counter)
    images_with: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, seen: "_Seen | BadData") -> None:
        if isinstance(seen, BadData):
            self.faults.append(str(seen))
            return
        self.sizes[f"{seen.size[0]}x{seen.size[1]}"] += 1
        for train_id, count in enumerate(seen.pixels):
            self.pixels[train_id] += count
            self.images_with[train_id] += count > 0


@dataclass(frozen=True)
class _Seen:
    size: tuple[int, int]
    pixels: tuple[int, ...]


def check_dataset(
    root: Path,
    splits: Sequence[str] | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> CheckResult:
    """Open every pair of the splits (None: those of train, val and test that are there) and gather every fault.

    Raises BadData where there is no dataset in Cityscapes' layout at all, or none of its splits.
    """
    if _is_record(root):
        raise BadData(f"{root} is a MindRecord, checked when it was built: give the dataset folder it was built from")
    present = splits_of(root)
    chosen = tuple(splits) if splits else tuple(split for split in SPLITS if split in present)
    if not chosen:
        raise BadData(f"{root} has none of the splits {', '.join(SPLITS)}: it has {', '.join(present) or 'none'}")
    listings = {split: list_split(root, split) for split in chosen}
    total = sum(len(listing.pairs) for listing in listings.values())
    done, results = 0, []
    for split, listing in listings.items():
        tally = _Tally(faults=_listing_faults(root, split, listing))
        for seen in _look(listing.pairs, workers):
            tally.add(seen)
            done += 1
            if progress:
                progress(done, total)
        results.append(_result(split, tally))
    return CheckResult(root, tuple(results))


def _is_record(path: Path) -> bool:
    lone_file = path.is_file() and not Path(f"{path}.db").is_file()
    return not lone_file and is_mindrecord(path)


def _listing_faults(root: Path, split: str, listing: Listing) -> list[str]:
    faults = [f"{folder} is missing" for folder in listing.missing]
    faults += [f"{image} has no label" for image in listing.unlabelled]
    faults += [f"{label} has no image" for label in listing.orphans]
    faults += [f"{name} stands in two cities of {split}" for name in listing.doubles]
    if not (listing.missing or listing.pairs or listing.unlabelled):
        faults.append(f"split {split} of {root} has no images")
    return faults


def _look(pairs: Sequence[Pair], workers: int) -> Iterator[_Seen | BadData]:
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(pairs), _AT_ONCE):
            yield from pool.map(_see, pairs[start : start + _AT_ONCE])


def _see(pair: Pair) -> _Seen | BadData:
    try:
        sample = read_pair(pair)
    except BadData as error:
        return error
    height, width = sample.label.shape
    return _Seen((height, width), tuple(np.bincount(sample.label.ravel(), minlength=OUTPUTS).tolist()))


def _result(split: str, tally: _Tally) -> SplitCheck:
    return SplitCheck(
        split,
        tally.sizes.total(),
        dict(sorted(tally.sizes.items())),
        tuple(tally.pixels[train_id] for train_id in range(OUTPUTS)),
        tuple(tally.images_with[train_id] for train_id in range(OUTPUTS)),
        tuple(tally.faults),
    )


def _document(split: SplitCheck) -> dict[str, Any]:
    classes = {
        name: {"share": round(share, 6), "pixels": pixels, "images": images}
        for name, share, pixels, images in zip(
            CLASS_NAMES, split.shares, split.pixels[:CLASSES], split.images_with[:CLASSES], strict=True
        )
    }
    return {
        "pairs": split.pairs,
        "sizes": split.sizes,
        "ignored_pixels": split.pixels[IGNORE],
        "classes": classes,
        "faults": list(split.faults),
    }
