"""What bench_infer_310 measures beside the C++ program, each in a process of its own: MindSpore's threads spin."""

import os
import subprocess
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

SIZE = (512, 1024)
FORWARDS = 12


def apart(work: Callable[..., Any], *arguments: object) -> Any:
    """What `work` gives in a fresh process."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def make_models(folder: Path, converter: Path, size: tuple[int, int]) -> None:
    """ERFNet with random weights, as checkpoint.ckpt and as ERFNet.mindir of MindSpore Lite, through ONNX."""
    _mindspore()
    from mindspore import Tensor

    from erfnet_jobs.choices import ERFNET
    from erfnet_jobs.erfnet.checkpoints import Position, save
    from erfnet_jobs.erfnet.initialise import initialise
    from erfnet_jobs.erfnet.model import make_network
    from erfnet_jobs.erfnet.onnx_file import write_onnx

    network = make_network(ERFNET)
    initialise(network, 1)
    network.set_train(False)
    save(folder / "checkpoint.ckpt", network.get_parameters(), Position(ERFNET, 4, 1, 1, 1))
    onnx = folder / "ERFNet.onnx"
    write_onnx(network, Tensor(np.zeros((1, 3, *size), np.float32)), "logits", {}, onnx)
    subprocess.run([str(converter), "--onnx", str(onnx), "--output", str(folder / "ERFNet.mindir")], check=True)


def torch_forward(threads: int) -> float:
    """Seconds of PyTorch's forward alone, 1x3x512x1024, the median."""
    import torch

    from tests.torch_erfnet import TorchERFNet

    torch.set_num_threads(threads)
    network = TorchERFNet().eval()
    image = torch.rand(1, 3, *SIZE)
    with torch.inference_mode():
        network.decoder(network.encoder(image))
        return median(_seconds(lambda: network.decoder(network.encoder(image))) for _ in range(FORWARDS))


def python_inference(checkpoint: Path, images: Path, folder: Path, count: int, threads: int) -> float:
    """Images per second of `infer`, colours and overlays written, without what starting and compiling take."""
    _mindspore()
    from erfnet_jobs.erfnet.infer import infer
    from erfnet_jobs.plan import CheckpointFile, Plan, RankPlace
    from erfnet_jobs.reports import Progress
    from erfnet_jobs.specs import InferSpec
    from erfnet_jobs.states import JobKind

    spec = InferSpec(str(checkpoint), str(images), size=SIZE, limit=count)
    place = RankPlace(0, "here", 0, 0)
    inputs = (CheckpointFile(str(checkpoint), "erfnet"),)
    plan = Plan(JobKind.INFER, spec, str(folder), str(folder), (place,), inputs=inputs, threads=threads)
    seen: list[tuple[float, int]] = []

    def note(report: object) -> None:
        if isinstance(report, Progress):
            seen.append((time.perf_counter(), report.step))

    infer(plan, note)
    (began, first), (ended, last) = seen[0], seen[-1]
    return (last - first) / (ended - began)


def _mindspore() -> None:
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
    from erfnet_jobs.ascend.environment import RankEnvironment
    from erfnet_jobs.erfnet import world

    world.join(RankEnvironment())


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
