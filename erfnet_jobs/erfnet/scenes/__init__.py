"""Made-up street scenes in Cityscapes' layout, for trying everything without Cityscapes.

Every scene has perspective, occlusion, weather and light of its own, and colours that classes share, so that classes
can be told apart by learning only. A scene depends on (seed, split, number) alone.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from erfnet_jobs.erfnet.cityscapes import IMAGE_SUFFIXES, IMAGES, LABEL_SUFFIXES, LABELS
from erfnet_jobs.erfnet.disk import writing_to
from erfnet_jobs.errors import DiskFull, ErfnetJobsError, UsageError
from erfnet_jobs.files import sync_folder, write_atomically

MARKER: Final = "scenes.json"
# Counts up when the same arguments give other pictures.
VERSION: Final = 1
CITIES: Final = {"train": ("ahornstadt", "birkenau", "eichenfeld"), "val": ("lindenhof",)}
MIN_SIDE, MAX_SIDE = 32, 4096
MAX_SCENES: Final = 100_000
Progress = Callable[[int, int], None]
_PER_PROCESS: Final = 24
_POLL: Final = 0.05


@dataclass(frozen=True)
class Scenes:
    """What to make: scenes of each split, their (height, width), and the seed."""

    train: int
    val: int
    size: tuple[int, int]
    seed: int
    version: int = VERSION

    def __post_init__(self) -> None:
        if not (0 <= self.train <= MAX_SCENES and 0 <= self.val <= MAX_SCENES and self.train + self.val):
            raise UsageError(f"train and val are {self.train} and {self.val}: give numbers from 0 to {MAX_SCENES}")
        if not all(MIN_SIDE <= side <= MAX_SIDE for side in self.size):
            height, width = self.size
            raise UsageError(f"size is {height}x{width}: give HEIGHTxWIDTH, each from {MIN_SIDE} to {MAX_SIDE}")
        if not 0 <= self.seed < 2**31:
            raise UsageError(f"seed is {self.seed}: give a whole number from 0 to 2147483647")

    def numbers(self) -> list[tuple[str, int]]:
        """Split and number of every scene."""
        return [(split, number) for split in CITIES for number in range(getattr(self, split))]


def make_scenes(
    out: Path,
    scenes: Scenes,
    workers: int | None = None,
    progress: Progress | None = None,
) -> bool:
    """Make the scenes below `out`; False where exactly these are there already.

    They are made in a folder beside it and renamed when complete. `workers` is the number of processes (None: as many
    as this process may use cores). Raises UsageError where `out` holds anything else, DiskFull, and ErfnetJobsError.
    """
    out = out.absolute()
    if _made_already(out, scenes):
        return False
    with writing_to(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        _clean(out)
        temporary = out.with_name(f".{out.name}.{os.getpid()}.making")
        try:
            _prepare(temporary)
            _draw_all(temporary, scenes, workers or len(os.sched_getaffinity(0)), progress or _silent)
            write_atomically(temporary / MARKER, json.dumps(asdict(scenes)).encode() + b"\n")
            temporary.replace(out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync_folder(out.parent)
    return True


def scene_paths(root: Path, split: str, number: int) -> tuple[Path, Path]:
    """Where image and label of a scene lie."""
    cities = CITIES[split]
    city = cities[number % len(cities)]
    stem = f"{city}_{number // len(cities):06d}_000019"
    image = root / IMAGES / split / city / f"{stem}{IMAGE_SUFFIXES[0]}"
    return image, root / LABELS / split / city / f"{stem}{LABEL_SUFFIXES[0]}"


def _made_already(out: Path, scenes: Scenes) -> bool:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    try:
        there = json.loads((out / MARKER).read_bytes())
    except (OSError, ValueError):
        raise UsageError(f"{out} exists and is not empty: name a folder that does not exist") from None
    if there != json.loads(json.dumps(asdict(scenes))):
        raise UsageError(f"{out} holds other scenes ({json.dumps(there)}): remove it or name another folder")
    return True


def _clean(out: Path) -> None:
    """Remove what earlier calls left that were killed."""
    for left in out.parent.glob(f".{out.name}.*.making"):
        if not Path("/proc", left.name.split(".")[-2]).exists():
            shutil.rmtree(left, ignore_errors=True)


def _silent(done: int, total: int) -> None:
    """Progress that nobody follows."""


def _prepare(root: Path) -> None:
    for split, cities in CITIES.items():
        for city in cities:
            for kind in (IMAGES, LABELS):
                (root / kind / split / city).mkdir(parents=True)


def _draw_all(root: Path, scenes: Scenes, workers: int, progress: Progress) -> None:
    numbers = scenes.numbers()
    processes = max(1, min(workers, len(numbers) // _PER_PROCESS))
    if processes == 1:
        from erfnet_jobs.erfnet.scenes.__main__ import write_scene

        for done, (split, number) in enumerate(numbers, start=1):
            write_scene(root, split, number, scenes.size, scenes.seed)
            progress(done, len(numbers))
        return
    with _painters(root, scenes, processes) as painters:
        _follow(painters, root, len(numbers), progress)


@contextmanager
def _painters(root: Path, scenes: Scenes, processes: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that draw every n-th scene each and end by themselves; none is left when the block ends."""
    arguments = [str(root), json.dumps(asdict(scenes)), str(processes)]
    command = [sys.executable, "-m", __name__, *arguments]
    painters: list[subprocess.Popen[bytes]] = []
    try:
        painters.extend(subprocess.Popen([*command, str(part)], stderr=subprocess.PIPE) for part in range(processes))
        yield painters
    finally:
        for painter in painters:
            painter.kill()
            painter.wait()
            if painter.stderr:
                painter.stderr.close()


def _follow(painters: list[subprocess.Popen[bytes]], root: Path, total: int, progress: Progress) -> None:
    while any(painter.poll() is None for painter in painters):
        if failed := next((painter for painter in painters if painter.poll()), None):
            raise _failure(failed, root)
        progress(min(total, sum(1 for _ in (root / LABELS).glob("*/*/*.png"))), total)
        time.sleep(_POLL)
    if failed := next((painter for painter in painters if painter.poll()), None):
        raise _failure(failed, root)
    progress(total, total)


def _failure(painter: subprocess.Popen[bytes], root: Path) -> ErfnetJobsError:
    if painter.returncode == DiskFull.exit_code:
        return DiskFull(f"{root.parent} is full: free some disk space, or make fewer or smaller scenes")
    how = signal.Signals(-painter.returncode).name if painter.returncode < 0 else f"exit code {painter.returncode}"
    last = painter.communicate()[1].decode(errors="replace").strip().splitlines()[-1:]
    return ErfnetJobsError(f"a process that draws scenes ended with {how}: {' '.join(last) or 'it said nothing'}")
