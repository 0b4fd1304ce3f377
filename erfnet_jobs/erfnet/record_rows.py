"""A MindRecord of samples: what it is (`meta.json` beside it), and its rows by index.

Rows are read from the data files where the index says they are (one `pread` each), not through MindDataset: that gives
any row at any time, the same to every rank, from threads and forked or spawned processes alike, with nothing buffered.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from erfnet_jobs.erfnet.pictures import check_same_size, decode_image, decode_train_ids
from erfnet_jobs.erfnet.record_index import RecordIndex, read_index, split_blob
from erfnet_jobs.erfnet.samples import Sample, Source
from erfnet_jobs.errors import BadData
from erfnet_jobs.jobs import FOUND

META_NAME: Final = "meta.json"
SCHEMA_VERSION: Final = 1


@dataclass(frozen=True)
class RecordMeta:
    """What a MindRecord was built from. `pixels` counts the pixels of train ids 0 to 19, `sizes` images by 'HxW'.

    `store` is how frames are stored (of `jobs.STORES`; what was built before there was a choice holds them as found).
    """

    dataset_hash: str
    subset: str
    count: int
    source: str
    shards: int
    pixels: tuple[int, ...]
    sizes: dict[str, int] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION
    store: str = FOUND


@dataclass(frozen=True)
class MindRecord:
    """A MindRecord on disk: its first data file, its index, and its meta where it was built here."""

    path: Path
    index: RecordIndex
    meta: RecordMeta | None

    @property
    def count(self) -> int:
        """How many samples it holds."""
        return len(self.index.rows)

    @cached_property
    def dataset_hash(self) -> str:
        """The hash of the dataset it was built from; of its own rows where that is not known."""
        return self.meta.dataset_hash if self.meta else _hash_of_rows(self)


def first_file(path: Path) -> Path | None:
    """The first data file of the MindRecord that `path` names: the file, its name without shard number, or its folder.

    None where there is none. Raises BadData where a folder holds several.
    """
    if path.is_dir():
        found = [index.with_suffix("") for index in sorted(path.glob("*.db")) if index.with_suffix("").is_file()]
        if len({stem.name.rstrip("0123456789") for stem in found}) > 1:
            listed = ", ".join(stem.name for stem in found)
            raise BadData(f"{path} holds several MindRecords ({listed}): name one of the files")
        return found[0] if found else None
    if path.is_file():
        return path
    shards = sorted(shard for shard in path.parent.glob("*.db") if shard.stem.rstrip("0123456789") == path.name)
    return shards[0].with_suffix("") if shards else None


def is_mindrecord(path: Path) -> bool:
    """Whether `path` names a MindRecord rather than a dataset folder (it may still be damaged)."""
    return first_file(path) is not None


def open_mindrecord(path: Path) -> MindRecord:
    """The MindRecord that `path` names; raises BadData where it is absent, incomplete or damaged."""
    first = first_file(path)
    if first is None:
        raise BadData(f"{path} is no MindRecord: give the file or folder that `erfnet-jobs data build` made")
    index = read_index(first)
    meta = read_meta(first.parent)
    if meta and meta.count != len(index.rows):
        raise BadData(f"{first} holds {len(index.rows)} rows, not {meta.count}: build it again with --force")
    if not index.rows:
        raise BadData(f"{first} holds no rows: build it again from a split that has images")
    return MindRecord(first, index, meta)


def check_subset(record: MindRecord, subset: str) -> MindRecord:
    """The record itself; raises BadData where it is known to hold another split than `subset`."""
    if record.meta and record.meta.subset != subset:
        raise BadData(
            f"{record.path} holds the split {record.meta.subset}, not {subset}: name the MindRecord of {subset}"
        )
    return record


def read_meta(folder: Path) -> RecordMeta | None:
    """The meta of the MindRecord in a folder; None where there is none; raises BadData where it cannot be read."""
    path = folder / META_NAME
    try:
        values: dict[str, Any] = json.loads(path.read_bytes())
        return RecordMeta(**{**values, "pixels": tuple(values["pixels"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadData(f"{path} cannot be read ({error}): build the MindRecord again with --force") from error


def meta_to_json(meta: RecordMeta) -> bytes:
    """The content of `meta.json`."""
    return json.dumps(asdict(meta), indent=2).encode() + b"\n"


class Rows(Source):
    """Decoded samples of a MindRecord by index; may be pickled, and shared by threads and forked processes."""

    def __init__(self, record: MindRecord, positions: tuple[int, ...] | None = None) -> None:
        self._record = record
        chosen = range(record.count) if positions is None else positions
        self._places = tuple(record.index.rows[position] for position in chosen)
        self._fds: dict[int, int] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all rows, in order."""
        return tuple(place.name for place in self._places)

    @property
    def dataset_hash(self) -> str:
        """The record's."""
        return self._record.dataset_hash

    def __len__(self) -> int:
        return len(self._places)

    def encoded(self, index: int) -> dict[str, bytes]:
        """The row's bytes as stored: `image` (PNG or JPEG) and `label` (PNG of train ids); raises BadData."""
        place = self._places[index]
        path = self._record.index.files[place.shard]
        try:
            blob = os.pread(self._fd(place.shard), place.length, place.offset)
            return split_blob(blob, self._record.index.fields)
        except (OSError, ValueError) as error:
            raise BadData(f"{path}: row {place.name} cannot be read ({error}); build the MindRecord again") from error

    def read(self, index: int) -> Sample:
        """The decoded row; raises BadData where it is damaged."""
        row = self.encoded(index)
        name = self._places[index].name
        image, label = decode_image(row["image"], name), decode_train_ids(row["label"], name)
        check_same_size(image, label, name)
        return Sample(image, label, name)

    def close(self) -> None:
        """Close the data files; they open again when needed."""
        while self._fds:
            os.close(self._fds.popitem()[1])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_fds": {}}

    def __del__(self) -> None:
        self.close()

    def _fd(self, shard: int) -> int:
        if shard not in self._fds:
            fd = os.open(self._record.index.files[shard], os.O_RDONLY | os.O_CLOEXEC)
            # Two threads may open the same shard at once; one keeps its descriptor, the other's is closed.
            if self._fds.setdefault(shard, fd) != fd:
                os.close(fd)
        return self._fds[shard]


def training_rows(record: MindRecord, shard: int = 0, shards: int = 1) -> Rows:
    """The rows of one of `shards` equal parts: row i is row (i * shards + shard) modulo count of the whole.

    Each part has ceil(count / shards) rows, the last ones wrapped around, as MindDataset's num_shards pads. With the
    defaults: all rows, for callers that shuffle the whole by (seed, epoch) and take every n-th themselves.
    """
    if not 0 <= shard < shards:
        raise ValueError(f"shard {shard} of {shards}")
    length = -(-record.count // shards)
    return Rows(record, tuple((position * shards + shard) % record.count for position in range(length)))


def _hash_of_rows(record: MindRecord) -> str:
    rows, digest = Rows(record), hashlib.sha256()
    for position, place in enumerate(record.index.rows):
        row = rows.encoded(position)
        contents = "\0".join(hashlib.sha256(row[name]).hexdigest() for name in sorted(row))
        digest.update(f"{place.name}\0{contents}\n".encode())
    rows.close()
    return digest.hexdigest()
