"""The C++ program on the CPU, file to file, against its own slowest phase, Lite's predict, PyTorch and Python.

Frames are scenes of Cityscapes' size, softened as in bench_pipeline. Predicting alone is measured on frames of the
model's size that take no time to read, with nothing written.
"""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image

from erfnet_jobs.ascend.devices import threads_per_rank
from erfnet_jobs.erfnet.scenes import Scenes, make_scenes
from erfnet_jobs.lite.programs import find_convert, find_infer, given_program
from tests.benchmarks.bench_pipeline import FRAME_SIZE, soften
from tests.benchmarks.lite_steps import SIZE, apart, make_models, python_inference, torch_forward
from tests.benchmarks.rows import Row

SCENES = 10
FRAMES = 100
PLAIN = 40
PYTHON_FRAMES = 16
SMALL = (64, 128)
MANY = 1000
ROUNDS = 3

Figures = dict[str, Any]


def _frames(folder: Path, size: tuple[int, int], count: int, soft: bool = False) -> Path:
    """`count` scenes in one flat folder; links to a few, as reading them again is as much work."""
    made = folder.with_name(f"{folder.name}-made")
    make_scenes(made, Scenes(SCENES, 0, size, seed=1))
    if soft:
        soften(made)
    scenes = sorted(made.rglob("*_leftImg8bit.png"))
    folder.mkdir()
    for number in range(count):
        (folder / f"frame{number:04d}.png").symlink_to(scenes[number % len(scenes)])
    return folder


def _plain(folder: Path) -> Path:
    folder.mkdir()
    for number in range(PLAIN):
        Image.new("RGB", SIZE[::-1], (90, 90, 90)).save(folder / f"plain{number}.png")
    return folder


def _run(program: Path, model: Path, images: Path, output: Path, threads: int, save: str) -> Figures:
    command = [str(program), "--model", str(model), "--images", str(images), "--output", str(output)]
    command += ["--threads", str(threads), "--save", save, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    shutil.rmtree(output, ignore_errors=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def _slowest(phases: Figures) -> float:
    """Seconds a picture that the slowest group of threads takes; those that read prepare as well."""

    def seconds(*names: str) -> float:
        return float(sum(phases[name]["mean"] for name in names) / phases[names[0]]["threads"] / 1000)

    return max(seconds("read", "prepare"), seconds("predict"), seconds("write"))


def _speed(folder: Path, program: Path, converter: Path) -> list[Row]:
    threads = threads_per_rank(1)
    models = folder / "models"
    models.mkdir()
    apart(make_models, models, converter, SIZE)
    model, output = models / "ERFNet.mindir", folder / "out"
    frames, plain = _frames(folder / "frames", FRAME_SIZE, FRAMES, soft=True), _plain(folder / "plain")
    against_torch, against_predict, overlap, rates = [], [], [], []
    for _ in range(ROUNDS):
        torch = apart(torch_forward, threads)
        alone = _run(program, model, plain, output, threads, "none")["images_per_second"]
        whole = _run(program, model, frames, output, threads, "labels")
        rate = whole["images_per_second"]
        rates.append(rate)
        against_torch.append(rate * torch)
        against_predict.append(rate / alone)
        overlap.append(rate * _slowest(whole["phases_ms"]))
    drawn = _run(program, model, frames, output, threads, "color,overlay")["images_per_second"]
    python = apart(python_inference, models / "checkpoint.ckpt", frames, folder / "python", PYTHON_FRAMES, threads)
    frame = f"{FRAMES} frames of 1024x2048, {threads} threads"
    return [
        Row("310-infer on the CPU, file to file", median(rates), "images/s", frame),
        Row("310-infer against PyTorch's forward alone", median(against_torch), "x", f"{ROUNDS} rounds", "above 1"),
        Row("310-infer against Lite's predict alone", median(against_predict), "x", f"{ROUNDS} rounds"),
        Row("310-infer against its slowest phase", median(overlap), "x", f"{ROUNDS} rounds", "0.9 or more"),
        Row("310-infer with colours and overlays", drawn / python, "x", "Python's infer, the same files", "above 1"),
        Row("310-infer's peak memory", whole["peak_memory_bytes"] / 2**20, "MiB", frame),
    ]


def _memory(folder: Path, program: Path, converter: Path) -> list[Row]:
    """A small model and frames of 1.5 MB: what is kept of them would show beside what loading the model takes."""
    models = folder / "small-models"
    models.mkdir()
    apart(make_models, models, converter, SMALL)
    few, many = (
        _run(
            program,
            models / "ERFNet.mindir",
            _frames(folder / f"frames{count}", SIZE, count),
            folder / "out",
            1,
            "labels",
        )["peak_memory_bytes"]
        / 2**20
        for count in (MANY // 10, MANY)
    )
    name = f"310-infer's growth over {MANY} frames of 512x1024"
    return [Row(name, many - few, "MiB", f"{few:.0f} MiB after {MANY // 10}, model 64x128", "none")]


def run() -> list[Row]:
    """Needs the programs of `make infer310`."""
    program = find_infer(given_program())
    converter = find_convert(program)
    assert converter, "erfnet_convert is built beside erfnet_infer"
    with tempfile.TemporaryDirectory(prefix="ej-bench-") as name:
        folder = Path(name)
        return [*_speed(folder, program, converter), *_memory(folder, program, converter)]
