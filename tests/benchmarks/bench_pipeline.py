"""The input pipeline: frames of 2048x1024 from a MindRecord to batches of 512x1024, and building the MindRecord.

Frames are the demo's scenes at Cityscapes' size, softened until their PNGs are about as large as Cityscapes' (2.3 MB).
Rates are per second of CPU time, which does not depend on what else the machine does. How building grows with its
threads shows on an idle machine only; on a busy one, what as many processes do beside it is the measure.
"""

import io
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from erfnet_jobs.choices import AUGMENTATIONS, FOUND, RAW, STORES
from erfnet_jobs.erfnet.batches import BatchPlan, stage_batches
from erfnet_jobs.erfnet.cityscapes import Pair, find_pairs
from erfnet_jobs.erfnet.mindrecord import Build, build_mindrecord, training_rows
from erfnet_jobs.erfnet.record_rows import Rows
from erfnet_jobs.erfnet.record_writer import read_row, write_rows
from erfnet_jobs.erfnet.scenes import Scenes, make_scenes
from erfnet_jobs.erfnet.stages import STAGES, StageRun
from tests.benchmarks.rows import Row

FRAMES = 6
FRAME_SIZE = (1024, 2048)
SIZE = (512, 1024)
SOFTNESS = 0.8
BATCH = 6
REPEATS = 3
AIM = 18
CORES, NPUS = 16, 8


def _quiet(done: int, total: int) -> None:
    """No progress is shown."""


def soften(root: Path) -> None:
    """Blur the pictures below a folder a little: their PNGs are as large as Cityscapes' then."""
    for path in root.rglob("*_leftImg8bit.png"):
        with Image.open(path) as picture:
            softened = picture.filter(ImageFilter.GaussianBlur(SOFTNESS))
        softened.save(path)


def _make_frames(root: Path) -> Path:
    make_scenes(root, Scenes(FRAMES, 0, FRAME_SIZE, seed=1))
    soften(root)
    return root


def _cpu_seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def _ports_transform(frame: bytes, label: bytes, chance: np.random.Generator) -> tuple[Any, Any]:
    """What the port does to a sample (facts of its src/dataset.py), one step after another."""
    image = Image.open(io.BytesIO(frame)).convert("RGB")
    target = Image.open(io.BytesIO(label))
    image = image.filter(ImageFilter.GaussianBlur(chance.random()))
    if chance.random() < 0.5:
        width, height = (int(side / 1.2) for side in image.size)
        left, top = (int(chance.integers(0, room)) for room in (image.width - width, image.height - height))
        image, target = (one.crop((left, top, left + width, top + height)) for one in (image, target))
    image = image.resize((SIZE[1], SIZE[0]), Image.Resampling.BILINEAR)
    target = target.resize((SIZE[1], SIZE[0]), Image.Resampling.NEAREST)
    if chance.random() < 0.5:
        image, target = (one.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for one in (image, target))
    scaled = np.array(image).astype(np.float32).transpose(2, 0, 1) / 255
    return np.ascontiguousarray(scaled), np.array(target).astype(np.int32)


def _port(pairs: tuple[Pair, ...]) -> float:
    chance = np.random.default_rng(1)
    contents = [(pair.image.read_bytes(), pair.label.read_bytes()) for pair in pairs]
    return _cpu_seconds(lambda: [_ports_transform(frame, label, chance) for frame, label in contents]) / len(pairs)


def _ours(rows: Rows, augment: tuple[str, ...]) -> float:
    plan = BatchPlan(rows, SIZE, 1, BATCH, len(rows) // BATCH, seed=1, augment=augment)
    with stage_batches(plan, StageRun(STAGES[1], 2, 0, 0, 2)) as batches:
        taken = _cpu_seconds(lambda: sum(len(batch.images) for batch in batches))
    return taken / (2 * BATCH * plan.steps)


def _loading(root: Path, records: dict[str, Rows]) -> list[Row]:
    pairs = find_pairs(root, "train")
    _ours(records[FOUND], AUGMENTATIONS)  # imports MindSpore's operators
    taken: dict[str, list[float]] = {}
    for _ in range(REPEATS):
        taken.setdefault("port", []).append(_port(pairs))
        for store, rows in records.items():
            for name, augment in (("all four", AUGMENTATIONS), ("crop, flip", ("crop", "flip"))):
                taken.setdefault(f"{store}, {name}", []).append(_ours(rows, augment))
    port = min(taken.pop("port"))
    rates = {name: 1 / min(seconds) for name, seconds in taken.items()}
    unit = "images/s/core"
    megabytes = sum(pair.image.stat().st_size for pair in pairs) / len(pairs) / 1e6
    return [
        Row(f"the port's transform, PNGs of {megabytes:.1f} MB", 1 / port, unit, "as written here, one thread"),
        *(
            Row(f"pipeline: {name}", rate, unit, f"{rate * port:.1f} times the port's transform", f"at least {AIM}")
            for name, rate in rates.items()
        ),
        *(
            Row(f"for each of {NPUS} NPUs from {CORES} cores: {name}", rate * CORES / NPUS, "images/s", "computed")
            for name, rate in rates.items()
        ),
    ]


@contextmanager
def _empty(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=folder) as made:
        path = Path(made, "record")
        path.mkdir()
        yield path


def _build_seconds(pairs: list[Pair], folder: Path, store: str, workers: int) -> float:
    with _empty(folder) as made:
        began = time.perf_counter()
        write_rows(pairs, made / "train.mindrecord", 1, workers, _quiet, store)
        return time.perf_counter() - began


def _building(root: Path, folder: Path) -> list[Row]:
    found = find_pairs(root, "train")
    pairs = [replace(pair, name=f"{pair.name}_{copy}") for copy in range(5) for pair in found]
    rows = []
    for store in STORES:
        taken = [[_build_seconds(pairs, folder, store, workers) for workers in (1, 2)] for _ in range(REPEATS)]
        one, two = (min(seconds) for seconds in zip(*taken, strict=True))
        against = f"{one / two:.2f} times one worker ({len(pairs) / one:.1f} images/s)"
        rows.append(
            Row(f"data build --store {store}, 2 workers", len(pairs) / two, "images/s", against, "at least 1.8")
        )
    return [*rows, _threads_beside_processes(found)]


def _threads_beside_processes(pairs: tuple[Pair, ...]) -> Row:
    """The builder's threads against processes, which share no lock, in turns."""
    read = partial(read_row, store=RAW)
    taken: dict[str, float] = {}
    with ThreadPoolExecutor(2) as threads, ProcessPoolExecutor(2, get_context("spawn")) as processes:
        for pool in (threads, processes):
            list(pool.map(read, pairs))
        for _ in range(4 * REPEATS):
            for name, pool in (("threads", threads), ("processes", processes)):
                began = time.perf_counter()
                list(pool.map(read, pairs))
                taken[name] = taken.get(name, 0) + time.perf_counter() - began
    ratio = taken["processes"] / taken["threads"]
    return Row("data build's reading, 2 threads", ratio, "times", "2 processes in turns with them", "at least 0.9")


def run() -> list[Row]:
    """Loading, then building."""
    with tempfile.TemporaryDirectory(prefix="ej-bench-") as name:
        folder = Path(name)
        root = _make_frames(folder / "frames")
        records = {}
        for store in STORES:
            build = Build(root, "train", folder / store, "train.mindrecord", store=store, workers=2)
            records[store] = training_rows(build_mindrecord(build, None, _quiet)[0])
        return [*_loading(root, records), *_building(root, folder)]
