"""Text and numbers that both databases take, whatever file names and programs put into them."""

import math


def printable(text: str) -> str:
    """Without NUL, which PostgreSQL refuses, and without bytes that are no UTF-8, which stand as lone surrogates."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def finite(value: float | None) -> float | None:
    """The number, or None for NaN and infinities, which SQLite would not give back."""
    return value if value is not None and math.isfinite(value) else None
