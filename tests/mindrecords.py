"""Building MindRecords of small datasets."""

from pathlib import Path
from typing import Any

from erfnet_jobs.erfnet.mindrecord import Build, MindRecord, build_mindrecord


def quiet(done: int, total: int) -> None:
    """Progress that nobody looks at."""


def build(data: Path, target: Path, **options: Any) -> tuple[MindRecord, bool]:
    """The split train of a dataset in a folder, and whether it was built now."""
    return build_mindrecord(Build(data, "train", target, "train.mindrecord", **options), None, quiet)
