"""What a split holds, as one hash: names and contents, whatever the folder is called.

Contents are read once: a small JSON file keeps each file's hash with its stat signature (size, times, inode).
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from erfnet_jobs.erfnet.cityscapes import Pair, find_pairs
from erfnet_jobs.erfnet.disk import writing_to
from erfnet_jobs.errors import BadData
from erfnet_jobs.files import sha256_of, write_atomically

CACHE_VERSION: Final = 1
Signature = list[int]


def dataset_hash(root: Path, split: str, cache_dir: Path | None = None, workers: int | None = None) -> str:
    """The SHA-256, in hexadecimal, over sorted (relative name, content SHA-256) of a split's images and labels.

    With `cache_dir` only files that changed since the last call are read. Raises BadData as `find_pairs`, and for a
    file that cannot be read.
    """
    return hash_of_pairs(root, find_pairs(root, split), cache_dir, workers)


def hash_of_pairs(root: Path, pairs: Sequence[Pair], cache_dir: Path | None = None, workers: int | None = None) -> str:
    """`dataset_hash` of pairs that were found below `root`."""
    paths = {path.relative_to(root).as_posix(): path for pair in pairs for path in (pair.image, pair.label)}
    return hash_of_files(paths, _cache_path(cache_dir, root) if cache_dir else None, workers)


def hash_of_files(paths: Mapping[str, Path], cache: Path | None = None, workers: int | None = None) -> str:
    """The hash over files by the names that they have in it; `cache` is a file that keeps the hashes of their contents.

    Raises BadData for a file that cannot be read.
    """
    known = _read_cache(cache) if cache else {}
    try:
        signatures = {name: _signature(path) for name, path in paths.items()}
        stale = [name for name, signature in signatures.items() if known.get(name, (None,))[0] != signature]
        # hashlib releases the GIL, so threads hash and read side by side.
        with ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
            fresh = dict(zip(stale, pool.map(sha256_of, [paths[name] for name in stale]), strict=True))
    except OSError as error:
        raise BadData(f"{error.filename} cannot be read ({error.strerror}): correct the dataset") from error
    contents = {name: fresh.get(name) or known[name][1] for name in paths}
    if cache and fresh:
        _write_cache(cache, {**known, **{name: (signatures[name], contents[name]) for name in fresh}})
    return _combined(contents)


def _combined(contents: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(f"{name}\0{contents[name]}\n".encode())
    return digest.hexdigest()


def _signature(path: Path) -> Signature:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _cache_path(cache_dir: Path, root: Path) -> Path:
    key = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return cache_dir / "hashes" / f"{key}.json"


def _read_cache(path: Path) -> dict[str, tuple[Signature, str]]:
    # A cache that is absent, damaged or of another version is the same as an empty one: it is made again.
    try:
        document = json.loads(path.read_bytes())
        if document["version"] != CACHE_VERSION:
            return {}
        return {name: (signature, content) for name, (signature, content) in document["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write_cache(path: Path, files: Mapping[str, tuple[Signature, str]]) -> None:
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"version": CACHE_VERSION, "files": files}).encode())
