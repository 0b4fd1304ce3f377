"""Checks that specs share: a value that cannot be meant is refused with its name and the remedy. Stdlib only."""

import re

from erfnet_jobs.choices import DOWNSAMPLING, MAX_CARDS
from erfnet_jobs.errors import UsageError

REFERENCE = re.compile(r"\d+(:(best|last|all))?")


def is_reference(checkpoint: str) -> bool:
    """Whether a checkpoint is named by id, or by its job, and not by path."""
    return REFERENCE.fullmatch(checkpoint) is not None


def require(condition: bool, name: str, value: object, remedy: str) -> None:
    """Raise UsageError with the name, the value and the remedy unless the condition holds."""
    if not condition:
        raise UsageError(f"{name} is {value!r}: {remedy}")


def whole(value: object, low: int, high: int) -> bool:
    """Whether it is a whole number in that range; True is none, and neither is 1.0."""
    return type(value) is int and low <= value <= high


def require_folder(name: str, value: object) -> None:
    """Raise UsageError unless it names a folder, or is None: an empty name is a variable that was not set."""
    require(value is None or (isinstance(value, str) and value != ""), name, value, "give a folder")


def check_common(cards: int, size: tuple[int, int], batch_size: int) -> None:
    """Raise UsageError for cards, a size (height, width) or a batch that no job can have."""
    require(whole(cards, 1, MAX_CARDS), "cards", cards, f"give a number from 1 to {MAX_CARDS}")
    require(whole(batch_size, 1, 1024), "batch size", batch_size, "give a number from 1 to 1024 (images per rank)")
    require(
        len(size) == 2 and all(whole(side, 64, 8192) and side % DOWNSAMPLING == 0 for side in size),
        "size",
        size,
        f"give HEIGHTxWIDTH, both multiples of {DOWNSAMPLING} from 64 to 8192, such as 512x1024",
    )
