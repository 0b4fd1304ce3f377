"""Building MindRecords: once per content, whole or not at all, by one process while others wait.

A MindRecord is a folder that holds its data files, their indices and `meta.json`; it is made under another name beside
its place and renamed. What a killed builder left is removed by the next one.
"""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from erfnet_jobs.erfnet.build_lock import BuildLock, Progress, build_lock
from erfnet_jobs.erfnet.cityscapes import Pair, find_pairs
from erfnet_jobs.erfnet.data_hash import hash_of_pairs
from erfnet_jobs.erfnet.disk import megabytes, writing_to
from erfnet_jobs.erfnet.record_rows import (
    META_NAME,
    SCHEMA_VERSION,
    MindRecord,
    RecordMeta,
    Rows,
    check_subset,
    is_mindrecord,
    meta_to_json,
    open_mindrecord,
    read_meta,
    training_rows,
)
from erfnet_jobs.erfnet.record_writer import has_space, row_sizes, sync_files, write_rows
from erfnet_jobs.errors import BadData, UsageError
from erfnet_jobs.files import sync_folder, write_atomically
from erfnet_jobs.jobs import FOUND, RAW, STORES

__all__ = [
    "Build",
    "MindRecord",
    "RecordMeta",
    "Rows",
    "build_mindrecord",
    "ensure_mindrecord",
    "is_mindrecord",
    "open_mindrecord",
    "training_rows",
]

MAX_SHARDS: Final = 1000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Build:
    """What to build and where: `root`'s split `subset` into the folder `target`, files called `base` inside.

    `store` is how frames are stored (of `jobs.STORES`). `cached`: the place is the program's own; what is damaged there
    is built anew without asking, what is there in another form serves, and what would not fit raw is stored as found.
    """

    root: Path
    subset: str
    target: Path
    base: str
    shards: int = 1
    workers: int = 1
    force: bool = False
    cached: bool = False
    store: str = RAW

    def __post_init__(self) -> None:
        if not 1 <= self.shards <= MAX_SHARDS:
            raise UsageError(f"shards is {self.shards}: give a number from 1 to {MAX_SHARDS}")
        if not 1 <= self.workers <= 256:
            raise UsageError(f"workers is {self.workers}: give a number from 1 to 256")
        if self.store not in STORES:
            raise UsageError(f"store is {self.store}: give one of {', '.join(STORES)}")


def ensure_mindrecord(data: Path, subset: str, cache_dir: Path, workers: int, progress: Progress) -> MindRecord:
    """The MindRecord of a split: `data` itself where it is one, else built once per content below `cache_dir`.

    Any number of processes may call this at once: one builds, the others wait; each calls `progress(images done, of
    all)`, the builder for every image and those who wait some times a second. Raises BadData and DiskFull.
    """
    if is_mindrecord(data):
        return check_subset(open_mindrecord(data), subset)
    pairs = find_pairs(data, subset)
    content = hash_of_pairs(data, pairs, cache_dir)
    target = cache_dir / content / subset
    build = Build(data, subset, target, f"{subset}.mindrecord", workers=max(1, workers), cached=True)
    return _build(build, pairs, content, progress)[0]


def build_mindrecord(build: Build, cache_dir: Path | None, progress: Progress) -> tuple[MindRecord, bool]:
    """Build, unless the same content is there already (then False); `cache_dir` is where content hashes are kept.

    Raises BadData, DiskFull, and UsageError where `target` is something else, or the MindRecord of another dataset,
    and `force` is not set.
    """
    pairs = find_pairs(build.root, build.subset)
    return _build(build, pairs, hash_of_pairs(build.root, pairs, cache_dir), progress)


def _build(build: Build, pairs: tuple[Pair, ...], content: str, progress: Progress) -> tuple[MindRecord, bool]:
    with writing_to(build.target.parent):
        build.target.parent.mkdir(parents=True, exist_ok=True)
    lock_path = build.target.with_name(f".{build.target.name}.lock")
    with writing_to(build.target), build_lock(lock_path, progress) as lock:
        temporary, old = (build.target.with_name(f".{build.target.name}.{word}") for word in ("building", "old"))
        _clean(build.target, temporary, old)
        if not build.force and (present := _usable(build, content)):
            return present, False
        try:
            _fill(temporary, build, pairs, content, lock, progress)
            _put_in_place(temporary, build.target, old)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return open_mindrecord(build.target), True


def _clean(target: Path, temporary: Path, old: Path) -> None:
    if old.exists() and not target.exists():
        old.rename(target)
    for left in (temporary, old):
        if left.exists():
            shutil.rmtree(left)


def _usable(build: Build, content: str) -> MindRecord | None:
    try:
        return _present(build, content)
    except (BadData, UsageError) as error:
        if build.cached:
            log.warning("%s; it is built anew", error)
            return None
        if isinstance(error, BadData):
            raise BadData(f"{error} (--force replaces it)") from error
        raise


def _present(build: Build, content: str) -> MindRecord | None:
    """The MindRecord that is there if it has this content; None where (re)building is in order."""
    if not build.target.exists():
        return None
    meta = read_meta(build.target) if build.target.is_dir() else None
    if meta is None:
        raise UsageError(f"{build.target} exists and was not built here: choose another name, or move it away")
    same_form = build.cached or (meta.shards, meta.store) == (build.shards, build.store)
    if meta.dataset_hash == content and same_form and meta.schema_version == SCHEMA_VERSION:
        return open_mindrecord(build.target)
    if meta.source != str(build.root.resolve()):
        raise UsageError(
            f"{build.target} was built from {meta.source}: choose another name, or give --force to replace it"
        )
    return None


def _fill(
    folder: Path, build: Build, pairs: tuple[Pair, ...], content: str, lock: BuildLock, progress: Progress
) -> None:
    def report(done: int, total: int) -> None:
        lock.report(done, total)
        progress(done, total)

    folder.mkdir()
    report(0, len(pairs))
    store = _store_that_fits(build, pairs) if build.cached else build.store
    written = write_rows(pairs, folder / build.base, build.shards, build.workers, report, store)
    meta = RecordMeta(
        dataset_hash=content,
        subset=build.subset,
        count=len(pairs),
        source=str(build.root.resolve()),
        shards=build.shards,
        pixels=written.pixels,
        sizes=written.sizes,
        store=store,
    )
    write_atomically(folder / META_NAME, meta_to_json(meta))
    sync_files(folder)
    open_mindrecord(folder)  # what cannot be read back is never put in place
    sync_folder(folder)


def _store_that_fits(build: Build, pairs: tuple[Pair, ...]) -> str:
    needed = sum(row_sizes(pairs, build.store))
    if build.store == RAW and not has_space(needed, build.target.parent):
        log.warning(
            "%s has no room for frames stored for speed (%s): they are stored as found, and take longer to load",
            build.target.parent,
            megabytes(needed),
        )
        return FOUND
    return build.store


def _put_in_place(temporary: Path, target: Path, old: Path) -> None:
    if target.exists():
        target.rename(old)
    temporary.rename(target)
    sync_folder(target.parent)
    if old.exists():
        shutil.rmtree(old)
