"""Writing samples into MindRecord files with MindSpore's writer, its failures told in our errors."""

import os
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from erfnet_jobs.choices import FOUND, RAW
from erfnet_jobs.erfnet.build_lock import Progress
from erfnet_jobs.erfnet.cityscapes import LISTED, Pair
from erfnet_jobs.erfnet.disk import disk_full, megabytes
from erfnet_jobs.erfnet.labels import OUTPUTS
from erfnet_jobs.erfnet.pictures import (
    check_same_size,
    decode_image,
    decode_label,
    encode_image,
    encode_label,
    read_bytes,
)
from erfnet_jobs.erfnet.png import HEADER_BYTES, stored_size
from erfnet_jobs.errors import BadData, DiskFull, ErfnetJobsError

SCHEMA: Final = {"name": {"type": "string"}, "image": {"type": "bytes"}, "label": {"type": "bytes"}}
_SLACK: Final = 16 << 20
# Labels are stored for speed as well; those measured grew to three times their size.
_LABEL_GROWTH: Final = 4
# Larger frames stay as found: a row must fit into a page. So do those whose header lies about their size.
_MAX_RAW: Final = 64 << 20
# What FileWriter.set_page_size and set_header_size accept at most.
_MAX_PAGE: Final = 256 << 20
_MAX_HEADER: Final = 128 << 20
_HEADER_BYTES_A_PAGE: Final = 256


@dataclass(frozen=True)
class Row:
    """A sample ready to be written, its (height, width), and how many of its pixels have each train id (0 to 19)."""

    name: str
    image: bytes
    label: bytes
    size: tuple[int, int]
    pixels: tuple[int, ...]


@dataclass(frozen=True)
class Written:
    """What was written: pixels by train id over all rows, and images by 'HxW'."""

    pixels: tuple[int, ...]
    sizes: dict[str, int]


def read_row(pair: Pair, store: str) -> Row:
    """Read and check a pair; raises BadData.

    The label becomes a PNG of train ids. The image stays as found, unless it is a PNG (of up to 64 MB without
    compression) and `store` is RAW: then it is written anew without compression.
    """
    encoded = read_bytes(pair.image)
    image = decode_image(encoded, str(pair.image))
    label = decode_label(read_bytes(pair.label), str(pair.label))
    check_same_size(image, label, str(pair.image))
    pixels = Image.fromarray(label).histogram()[:OUTPUTS]
    height, width = label.shape
    content = encode_image(image) if store == RAW and _raw_size(encoded) else encoded
    return Row(pair.name, content, encode_label(label), (height, width), tuple(pixels))


def write_rows(
    pairs: Sequence[Pair], path: Path, shards: int, workers: int, progress: Progress, store: str = RAW
) -> Written:
    """Write the pairs into MindRecord files `path` (or path0, path1, ...), which must not exist.

    Raises BadData with every pair that is at fault (ten named, all counted), DiskFull, or ErfnetJobsError for any other
    failure of MindSpore's writer. The caller removes what was written then.
    """
    needed = row_sizes(pairs, store)
    check_space(sum(needed), path.parent.parent, store)
    totals, sizes, faults = np.zeros(OUTPUTS, np.int64), dict[str, int](), list[str]()
    writer = _open_writer(needed, path, shards)
    for done, row in enumerate(_read_ahead(pairs, workers, store), start=1):
        if isinstance(row, BadData):
            faults.append(str(row))
        elif not faults:
            _call(path, writer.write_raw_data, [{"name": row.name, "image": row.image, "label": row.label}])
            totals += np.asarray(row.pixels)
            size = f"{row.size[0]}x{row.size[1]}"
            sizes[size] = sizes.get(size, 0) + 1
        progress(done, len(pairs))
    if faults:
        more = [f"... and {len(faults) - LISTED} more"] if len(faults) > LISTED else []
        raise BadData(f"{len(faults)} of {len(pairs)} pairs cannot be used:\n" + "\n".join(faults[:LISTED] + more))
    _call(path, writer.commit)
    return Written(tuple(totals.tolist()), dict(sorted(sizes.items())))


def row_sizes(pairs: Sequence[Pair], store: str) -> list[int]:
    """At most how many bytes each pair's row takes; raises BadData for a file that cannot be read."""
    return [_image_size(pair.image, store) + _LABEL_GROWTH * _file_size(pair.label) for pair in pairs]


def has_space(needed: int, folder: Path) -> bool:
    """Whether `folder` has space for files of so many bytes and a little more."""
    return shutil.disk_usage(folder).free >= needed + _SLACK


def check_space(needed: int, folder: Path, store: str) -> None:
    """Raise DiskFull unless `folder` has space for files of so many bytes and a little more."""
    if has_space(needed, folder):
        return
    free = shutil.disk_usage(folder).free
    smaller = f"free some, give --store {FOUND} (about a third)" if store == RAW else "free some"
    raise DiskFull(
        f"{folder} has {megabytes(free)} free and the MindRecord needs {megabytes(needed + _SLACK)}: "
        f"{smaller}, or put ERFNET_JOBS_HOME (or --output-dir) on another disk"
    )


def _image_size(path: Path, store: str) -> int:
    found = _file_size(path)
    if store != RAW:
        return found
    try:
        with path.open("rb") as file:
            return _raw_size(file.read(HEADER_BYTES)) or found
    except OSError as error:
        raise BadData(f"{path} cannot be read ({error.strerror}): correct the dataset or its permissions") from error


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise BadData(f"{path} cannot be read ({error.strerror}): correct the dataset or its permissions") from error


def _raw_size(content: bytes) -> int | None:
    """At most how large the frame is that is stored raw; None where it stays as found."""
    size = stored_size(content)
    return size if size and size <= _MAX_RAW else None


def _read_ahead(pairs: Sequence[Pair], workers: int, store: str) -> Iterator[Row | BadData]:
    # Threads suffice: Pillow decodes and encodes without the GIL. The window bounds what is in memory.
    pool = ThreadPoolExecutor(workers)
    window: deque[Future[Row | BadData]] = deque()
    try:
        for pair in pairs:
            window.append(pool.submit(_row_or_fault, pair, store))
            if len(window) > 2 * workers:
                yield window.popleft().result()
        while window:
            yield window.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _row_or_fault(pair: Pair, store: str) -> Row | BadData:
    try:
        return read_row(pair, store)
    except BadData as error:
        return error


def _open_writer(sizes: Sequence[int], path: Path, shards: int) -> Any:
    from mindspore.mindrecord import FileWriter  # seconds to import; only builders need it

    # A row must fit into a page; with eight and more to a page little is left empty at its end.
    page = min(_MAX_PAGE, _power_of_two(max(1 << 20, 8 * max(sizes))))
    header = min(_MAX_HEADER, _power_of_two(max(1 << 16, 2 * _HEADER_BYTES_A_PAGE * (sum(sizes) // page + 2))))
    writer = _call(path, FileWriter, str(path), shards)
    _call(path, writer.set_page_size, page)
    _call(path, writer.set_header_size, header)
    _call(path, writer.add_schema, SCHEMA, "erfnet")
    _call(path, writer.add_index, ["name"])
    return writer


def _call(path: Path, function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:  # MindSpore raises a dozen types of its own, most of them RuntimeError
        if shutil.disk_usage(path.parent).free < _SLACK:
            raise disk_full(path.parent.parent) from error
        reason = next((line for line in str(error).splitlines() if line.startswith("[ERROR]")), str(error))
        raise ErfnetJobsError(f"MindSpore cannot write {path}: {type(error).__name__}: {reason.strip()}") from error


def sync_files(folder: Path) -> None:
    """Make the files of a folder survive a power cut, and readable for others (MindSpore writes them as 0600)."""
    for path in folder.iterdir():
        path.chmod(0o644)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
