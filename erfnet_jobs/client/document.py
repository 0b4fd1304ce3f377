"""What the client returns and what `--json` prints: rows of the registry as JSON documents with stable keys.

Times are ISO 8601 in UTC to the microsecond, sizes bytes, durations seconds, fractions 0 to 1. Nothing is left out:
what is not known is null.
"""

from datetime import UTC, datetime
from typing import Any

Document = dict[str, Any]


def time_text(at: datetime | None) -> str | None:
    """ISO 8601 in UTC, to the microsecond as the registry has it, with Z."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
