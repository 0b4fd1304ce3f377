"""An all-reduce over a gang, its sums checked: the rank program of `doctor --all-reduce`.

Every rank reports each size as a metric: `bytes` of the message, `seconds` of one all-reduce (the median of several),
and how many of the sums are `wrong`. The numbers are whole and below 2^24, so that float32 sums are exact whatever the
order in which they are added.
"""

import sys
import time
from statistics import median

import numpy as np

from erfnet_jobs.ascend.environment import RankEnvironment
from erfnet_jobs.erfnet.rank import greet, leave_process, main
from erfnet_jobs.errors import RanksFailed
from erfnet_jobs.plan import ASCEND, Plan
from erfnet_jobs.reports import Metric, ReportWriter

# float32 numbers in a message: 4 bytes, 1 MiB, 16 MiB.
COUNTS = (1, 1 << 18, 1 << 22)
REPEATS = 5
# Numbers repeat after so many places, so that a message that arrives shifted gives wrong sums.
PERIOD = 7


def all_reduce(plan: Plan, environment: RankEnvironment, writer: ReportWriter) -> None:
    """Join, sum messages of all sizes over all ranks, and report; raises RanksFailed for a wrong sum."""
    from erfnet_jobs.erfnet import world

    landed = greet(plan, environment, writer)
    for step, count in enumerate(COUNTS, 1):
        seconds, wrong = _measure(landed.rank, landed.world_size, count, environment.device_target == ASCEND)
        writer.write(Metric(1, 1, step, {"bytes": 4.0 * count, "seconds": seconds, "wrong": float(wrong)}))
        if wrong:
            raise RanksFailed(
                f"{wrong} of {count} sums over {landed.world_size} ranks are wrong on rank {landed.rank}: a device or "
                "a link between them is broken; run it on pairs of them (--devices) to find which"
            )
    world.leave(landed.world_size)


def _measure(rank: int, world_size: int, count: int, on_ascend: bool) -> tuple[float, int]:
    """Seconds of an all-reduce of `count` numbers, and how many sums are wrong."""
    import mindspore
    from mindspore import Tensor, ops

    pattern = np.arange(count, dtype=np.float32) % PERIOD + 1
    own = Tensor(pattern * (rank + 1))
    reduce = ops.AllReduce()
    result = reduce(own).asnumpy()
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        once = reduce(own)
        if on_ascend:
            mindspore.runtime.synchronize()
        else:
            once.asnumpy()
        times.append(time.perf_counter() - begun)
    expected = pattern * (world_size * (world_size + 1) // 2)
    return median(times), int(np.count_nonzero(result != expected))


if __name__ == "__main__":
    leave_process(main(sys.argv[1:], all_reduce))
