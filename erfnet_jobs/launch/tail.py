"""The last lines of a log, without reading the whole of it. Stdlib only."""

import os
from pathlib import Path

MAX_BYTES = 64 * 1024


def tail(path: Path, lines: int, max_bytes: int = MAX_BYTES) -> list[str]:
    """The last `lines` lines within the last `max_bytes` bytes; a first line cut by that is left out.

    Bytes that are no UTF-8 are shown as replacement characters. A log that is not there has no lines, and one
    that cannot be read has one that says so.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - max_bytes))
            block = file.read(max_bytes)
    except FileNotFoundError:
        return []
    except OSError as error:
        return [f"{path} cannot be read ({error.strerror})"]
    found = block.decode(errors="replace").splitlines()
    if size > max_bytes and len(found) > 1:
        found = found[1:]
    return found[-lines:] if lines > 0 else []
