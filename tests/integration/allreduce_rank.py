"""A rank that sums its number over a gang with MindSpore's own collective, and reports the sum as a metric."""

import os
import sys
from pathlib import Path

from erfnet_jobs.ascend.environment import from_environ
from erfnet_jobs.ascend.lifeline import hold_lifeline
from erfnet_jobs.plan import read_plan
from erfnet_jobs.reports import Done, Hello, Metric, ReportWriter


def main() -> None:
    hold_lifeline()
    import mindspore
    from mindspore import Tensor, communication, ops

    environment = from_environ(os.environ)
    reports = ReportWriter(read_plan(Path(sys.argv[1])).report_path(environment.rank))
    reports.write(Hello(environment.rank, environment.world_size, "here", environment.local_rank, os.getpid()))
    mindspore.set_device("CPU")
    communication.init()
    total = ops.AllReduce()(Tensor([environment.rank + 1.0], mindspore.float32))
    values = {"sum": float(total.asnumpy()[0]), "rank": float(communication.get_rank())}
    reports.write(Metric(1, 1, 1, values))
    reports.write(Done())
    reports.close()
    os._exit(0)  # MindSpore takes seconds to sign off


if __name__ == "__main__":
    main()
