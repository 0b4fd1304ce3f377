"""ERFNet on the CPU: where a training step's time goes, what folding brings, two ranks against one, and memory."""

import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from erfnet_jobs.ascend.devices import threads_per_rank
from erfnet_jobs.choices import ERFNET
from erfnet_jobs.launch.gang import Gang
from erfnet_jobs.launch.program import RankProgram
from erfnet_jobs.plan import Plan, RankPlace, write_plan
from erfnet_jobs.states import JobKind
from erfnet_jobs.train_spec import TrainSpec
from tests.benchmarks.compute_rank import BEGIN, END
from tests.benchmarks.rows import Row

BATCH = "4x128x256"
STEPS = 10
ROUNDS = 3
PATIENCE = 900.0


def _train(folder: Path, ranks: int, threads: int, **environ: str) -> tuple[list[dict[str, Any]], str]:
    """What each of a gang's ranks measured, and the log of rank 0."""
    run_dir = Path(tempfile.mkdtemp(dir=folder))
    places = tuple(RankPlace(rank, "here", rank, rank) for rank in range(ranks))
    plan = Plan(JobKind.TRAIN, TrainSpec(data="none", cards=ranks), str(run_dir), str(folder), places, threads=threads)
    write_plan(plan, run_dir / "plan.json")
    base = {"BENCH_BATCH": BATCH, "BENCH_STEPS": str(STEPS), **os.environ, **environ}
    gang = Gang(plan, "here", program=RankProgram("tests.benchmarks.compute_rank"), base_environ=base)
    try:
        gang.start()
        for known in range(ranks):
            assert gang.wait_for_death(known, PATIENCE)
    finally:
        gang.kill()
    log = plan.log_path(0).read_text()
    found = [run_dir / f"rank_{rank}.json" for rank in range(ranks)]
    assert all(path.exists() for path in found), log
    return [json.loads(path.read_text()) for path in found], log


def _convolution_seconds(log: str) -> float:
    """What oneDNN's own protocol says of convolutions between the two marks."""
    lines = log[log.index(BEGIN) : log.index(END)].splitlines()
    return sum(float(line.rsplit(",", 1)[1]) for line in lines if ",exec,cpu,convolution," in line) / 1000


def _step(folder: Path) -> list[Row]:
    """One core for the share: on more, what threads wait for each other would count as something else."""
    (measured,), log = _train(folder, 1, 1, ONEDNN_VERBOSE="1", BENCH_CORE="0")
    rest = 100 * (1 - _convolution_seconds(log) / sum(measured["seconds"]))
    return [
        Row("training step, one core", median(measured["seconds"]), "s", BATCH),
        Row("not convolution", rest, "%", "of that step", "10 %"),
    ]


def _forward() -> list[Row]:
    """Both forwards in turns, so that a busy machine is busy for both."""
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
    from mindspore import Tensor

    from erfnet_jobs.ascend.environment import RankEnvironment
    from erfnet_jobs.erfnet import world
    from erfnet_jobs.erfnet.inference import folded_network, inference_network

    world.join(RankEnvironment())
    image = Tensor(np.random.default_rng(0).random((1, 3, 512, 1024), np.float32))
    networks = (inference_network(ERFNET), folded_network(ERFNET))
    for network in networks:
        network(image).asnumpy()
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(STEPS):
        for network, times in zip(networks, taken, strict=True):
            began = time.perf_counter()
            network(image).asnumpy()
            times.append(time.perf_counter() - began)
    ratio = median(folded / plain for plain, folded in zip(*taken, strict=True))
    return [
        Row("forward, BatchNorm folded", median(taken[1]), "s", "1x3x512x1024"),
        Row("forward, folded", ratio, "x", "unfolded, median of pairs", "below 1"),
    ]


def _two_ranks(folder: Path) -> list[Row]:
    """Images per second of two ranks on two cores against one rank kept on one."""
    gains = []
    for _ in range(ROUNDS):
        (one,), _log = _train(folder, 1, 1, BENCH_CORE="0")
        both, _log = _train(folder, 2, 1)
        gains.append(2 * median(one["seconds"]) / max(median(rank["seconds"]) for rank in both))
    return [Row("two ranks on two cores", median(gains), "x", f"one on one, {ROUNDS} rounds", "1.8 x")]


def _memory(folder: Path) -> list[Row]:
    (big,), _log = _train(folder, 1, threads_per_rank(1), BENCH_BATCH="6x512x1024", BENCH_STEPS="2")
    (small,), _log = _train(folder, 1, threads_per_rank(1), BENCH_BATCH="2x64x64", BENCH_STEPS="1000")
    return [
        Row("peak memory of a rank", big["peak"], "MiB", "batch 6, 512x1024"),
        Row("growth over 1,000 steps", small["after"] - small["before"], "MiB", f"2x64x64, {small['before']:.0f} MiB"),
    ]


def run() -> list[Row]:
    """Whole processes in gangs, as a worker starts them; only the forward runs in this process."""
    with tempfile.TemporaryDirectory(prefix="ej-bench-") as name:
        folder = Path(name)
        return [*_step(folder), *_two_ranks(folder), *_memory(folder), *_forward()]
