"""Random access to the rows of a MindRecord, without MindSpore: its layout read with the standard library.

A MindRecord file X (version 3.0) is a header (u64 length, JSON, padded to `header_size`) and pages of `page_size`.
X.db is SQLite: its table INDEXES says where each row's blob lies, and holds the indexed fields (`name_0` for the field
`name`). A blob is a little-endian u64, its length, and for each blob field a big-endian u64 and that many bytes. The
shards X0, X1, ... know each other's names from their headers, never their folder, so a folder may be moved.
"""

import json
import sqlite3
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from erfnet_jobs.errors import BadData

FIELDS: Final = ("image", "label")
_LENGTH: Final = struct.Struct("<Q")
_FIELD: Final = struct.Struct(">Q")
_MAX_HEADER: Final = 128 << 20
_HEADER_KEYS: Final = frozenset({"shard_addresses", "header_size", "page_size", "schema", "index_fields"})


@dataclass(frozen=True)
class RowPlace:
    """Where a row's blob is: the shard's position in the list of files, byte offset and length."""

    name: str
    shard: int
    offset: int
    length: int


@dataclass(frozen=True)
class RecordIndex:
    """The data files of a MindRecord, the order of a blob's fields, and the places of all rows, sorted by name."""

    files: tuple[Path, ...]
    fields: tuple[str, ...]
    rows: tuple[RowPlace, ...]


def read_index(first: Path) -> RecordIndex:
    """The index of the MindRecord that the data file `first` belongs to.

    Raises BadData where files are missing or damaged, or the columns are not name, image and label.
    """
    names = _header(first)["shard_addresses"]
    files = tuple(first.with_name(Path(name).name) for name in names)
    if first not in files:
        raise BadData(f"{first} was renamed: it was written as {', '.join(names)}; rename it back, or its folder")
    headers = [_header(path) for path in files]
    fields = _fields(first, headers[0])
    rows = [row for shard, path in enumerate(files) for row in _rows(path, shard, headers[shard])]
    return RecordIndex(files, fields, tuple(sorted(rows, key=lambda row: (row.name, row.shard, row.offset))))


def split_blob(blob: bytes, fields: Sequence[str]) -> dict[str, bytes]:
    """The fields of a blob; raises ValueError where its lengths do not add up."""
    if len(blob) < _LENGTH.size or _LENGTH.unpack_from(blob)[0] != len(blob) - _LENGTH.size:
        raise ValueError(f"a blob of {len(blob)} bytes does not hold the length it names")
    values, position = {}, _LENGTH.size
    for field in fields:
        if position + _FIELD.size > len(blob):
            raise ValueError(f"a blob of {len(blob)} bytes ends before its field {field}")
        (length,) = _FIELD.unpack_from(blob, position)
        position += _FIELD.size
        values[field] = blob[position : position + length]
        position += length
    if position != len(blob):
        raise ValueError(f"a blob of {len(blob)} bytes has fields of {position}")
    return values


def _header(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            header = json.loads(file.read(length)) if 0 < length <= _MAX_HEADER else None
    except FileNotFoundError as error:
        raise BadData(f"{path} is missing: a MindRecord needs all its files; build it again") from error
    except (OSError, ValueError, struct.error) as error:
        raise BadData(f"{path} is no MindRecord or is damaged ({error}): build it again") from error
    if not isinstance(header, dict) or not set(header) >= _HEADER_KEYS:
        raise BadData(f"{path} is no MindRecord: its header lacks what a MindRecord's has; build it again")
    if header.get("compression_size"):
        raise BadData(f"{path} is a compressed MindRecord, which cannot be read: build it again")
    return header


def _fields(path: Path, header: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        schema = header["schema"][0]
        fields = tuple(schema["blob_fields"])
        indexed = [entry["index_field"] for entry in header["index_fields"] or ()]
    except (KeyError, TypeError, IndexError) as error:
        raise BadData(f"{path} is no MindRecord of samples ({error!r} in its header): build it again") from error
    if set(fields) != set(FIELDS) or indexed != ["name"]:
        columns = ", ".join(sorted(schema["schema"]))
        raise BadData(
            f"{path} has the columns {columns}, by index {', '.join(indexed) or 'none'}: "
            "name (the index), image and label are needed; build it with `erfnet-jobs data build`"
        )
    return fields


def _rows(path: Path, shard: int, header: Mapping[str, Any]) -> list[RowPlace]:
    index = path.with_name(f"{path.name}.db")
    if not index.is_file():
        raise BadData(f"{index} is missing: a MindRecord needs all its files; build it again")
    # immutable: nobody writes to a built MindRecord, and SQLite need not lock (read-only mounts, network file systems).
    uri = f"file:{index.absolute().as_posix().replace('%', '%25').replace('?', '%3f').replace('#', '%23')}"
    try:
        connection = sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True)
        try:
            found = connection.execute(
                "SELECT name_0, PAGE_ID_BLOB, PAGE_OFFSET_BLOB, PAGE_OFFSET_BLOB_END FROM INDEXES ORDER BY ROW_ID"
            ).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise BadData(f"{index} is no MindRecord's index or is damaged ({error}): build it again") from error
    start, page_size = header["header_size"], header["page_size"]
    rows = [RowPlace(name, shard, start + page * page_size + begin, end - begin) for name, page, begin, end in found]
    size = path.stat().st_size
    if any(row.offset + row.length > size for row in rows):
        raise BadData(f"{path} is cut short ({size} bytes): build it again")
    return rows
