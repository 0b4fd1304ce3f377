"""A rank that joins as all do, sums its number over a gang with MindSpore's own collective, and reports the sum."""

import os
import sys
from pathlib import Path

from erfnet_jobs.ascend.environment import from_environ
from erfnet_jobs.ascend.lifeline import hold_lifeline
from erfnet_jobs.plan import read_plan
from erfnet_jobs.reports import Done, Hello, Metric, ReportWriter


def main() -> None:
    hold_lifeline()
    from mindspore import Tensor, communication, float32, ops

    from erfnet_jobs.erfnet import world

    environment = from_environ(os.environ)
    plan = read_plan(Path(sys.argv[1]))
    reports = ReportWriter(plan.report_path(environment.rank))
    world.join(environment)
    landed = world.landed(environment)
    host = environment.host or ""
    hello = Hello(landed.rank, landed.world_size, host, plan.device_at(host, landed.local_device), os.getpid())
    reports.write(hello)
    total = ops.AllReduce()(Tensor([landed.rank + 1.0], float32))
    values = {"sum": float(total.asnumpy()[0]), "rank": float(communication.get_rank())}
    reports.write(Metric(1, 1, 1, values))
    reports.write(Done())
    reports.close()
    os._exit(0)  # MindSpore takes seconds to sign off


if __name__ == "__main__":
    main()
