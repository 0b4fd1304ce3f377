"""A rank among the others: joining MindSpore's cluster, and giving all ranks what rank 0 has."""

from collections.abc import Sequence

import mindspore
import numpy as np
from mindspore import Parameter, Tensor, ops

from erfnet_jobs.ascend.environment import RankEnvironment


def join(environment: RankEnvironment) -> None:
    """Set MindSpore up for this rank, and wait until all ranks are there.

    Graphs are compiled as a whole (GRAPH_MODE): twice as fast a step as operator by operator.
    """
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    mindspore.set_device(environment.device_target)
    if environment.world_size > 1:
        from mindspore.communication import init

        init()


def broadcast(parameters: Sequence[Parameter], world_size: int) -> None:
    """Give float32 parameters the values that they have on rank 0, in one message; all ranks call this together."""
    if world_size == 1:
        return
    flat = np.concatenate([parameter.asnumpy().reshape(-1) for parameter in parameters])
    (received,) = ops.Broadcast(0)((Tensor(flat),))
    values = received.asnumpy()
    start = 0
    for parameter in parameters:
        part = values[start : start + parameter.size].reshape(parameter.shape)
        parameter.set_data(Tensor(part.copy()))
        start += parameter.size
