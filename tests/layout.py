"""Folders that look like a dataset, for tests whose ranks read none."""

from pathlib import Path


def empty_dataset(root: Path, *splits: str) -> Path:
    """Cityscapes' folders for the splits (none named: train and val), with nothing in them."""
    for split in splits or ("train", "val"):
        for name in ("leftImg8bit", "gtFine"):
            (root / name / split).mkdir(parents=True, exist_ok=True)
    return root
