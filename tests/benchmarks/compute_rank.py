"""A rank that takes training steps of ERFNet on a batch of chance, and writes what they took.

BENCH_BATCH is its N x H x W, BENCH_STEPS how many steps count after two that do not, BENCH_CORE the one core to stay
on.
"""

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

BEGIN, END = "counted steps begin", "counted steps end"
WARM_UP = 2


def memory(field: str) -> float:
    """VmRSS or VmHWM of this process in MiB, as proc(5) says."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def take_steps(world_size: int, rank: int) -> dict[str, Any]:
    """Wall and processor seconds, resident memory before and after, and its peak."""
    import mindspore
    import numpy as np
    from mindspore import Tensor

    from erfnet_jobs.choices import ERFNET
    from erfnet_jobs.erfnet.initialise import initialise
    from erfnet_jobs.erfnet.labels import DECODER_WEIGHTS
    from erfnet_jobs.erfnet.model import MASKED_CHANNELS, OUTPUTS, make_network
    from erfnet_jobs.erfnet.train_step import TrainStep

    network = make_network(ERFNET)
    initialise(network, 1)
    step = TrainStep(network, DECODER_WEIGHTS, world_size)
    step.set_train(True)
    count, height, width = map(int, os.environ["BENCH_BATCH"].split("x"))
    chance = np.random.default_rng(rank)
    images = Tensor(chance.random((count, 3, height, width), np.float32))
    labels = Tensor(chance.integers(0, OUTPUTS, (count, height, width)).astype(np.int32))
    masks = Tensor(chance.integers(0, 2, (count, sum(MASKED_CHANNELS))).astype(np.float32))
    rate = Tensor(5e-4, mindspore.float32)

    def run(steps: int) -> list[float]:
        taken = []
        for _ in range(steps):
            began = time.perf_counter()
            step(images, labels, masks, rate).asnumpy()
            taken.append(time.perf_counter() - began)
        return taken

    run(WARM_UP)
    before, processor = memory("VmRSS"), time.process_time()
    print(BEGIN, flush=True)  # noqa: T201 - into the log
    taken = run(int(os.environ["BENCH_STEPS"]))
    print(END, flush=True)  # noqa: T201 - into the log
    return {
        "seconds": taken,
        "processor": time.process_time() - processor,
        "before": before,
        "after": memory("VmRSS"),
        "peak": memory("VmHWM"),
    }


def main() -> None:
    """The rank's part."""
    if core := os.environ.get("BENCH_CORE"):
        os.sched_setaffinity(0, {int(core)})
    from erfnet_jobs.ascend.environment import from_environ
    from erfnet_jobs.ascend.lifeline import hold_lifeline
    from erfnet_jobs.plan import read_plan

    hold_lifeline()
    from erfnet_jobs.erfnet import world

    environment = from_environ(os.environ)
    world.join(environment)
    found = take_steps(environment.world_size, environment.rank)
    Path(read_plan(Path(sys.argv[1])).run_dir, f"rank_{environment.rank}.json").write_text(json.dumps(found))
    world.leave(environment.world_size)
    os._exit(0)


if __name__ == "__main__":
    main()
