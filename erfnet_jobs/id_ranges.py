"""Device ids as short text, '0-3,6', and back. Stdlib only."""

from collections.abc import Iterable
from functools import lru_cache

from erfnet_jobs.errors import UsageError


def to_ranges(ids: Iterable[int]) -> str:
    """Ids as ascending ranges: {0, 1, 2, 6} is '0-2,6', none is ''."""
    runs: list[list[int]] = []
    for number in sorted(set(ids)):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


@lru_cache(maxsize=1024)
def from_ranges(text: str) -> frozenset[int]:
    """The ids of such a text; raises UsageError for any other text."""
    ids: set[int] = set()
    for run in text.split(",") if text else ():
        first, dash, last = run.partition("-")
        if not (_is_id(first) and _is_id(last if dash else first)) or (dash and int(first) > int(last)):
            raise UsageError(
                f"{text!r} is no list of ids: give numbers and ranges with commas between them, as '0-3,6'"
            )
        ids.update(range(int(first), int(last if dash else first) + 1))
    return frozenset(ids)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len("9999")
