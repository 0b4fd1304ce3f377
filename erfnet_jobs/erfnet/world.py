"""A rank among the others: joining MindSpore's cluster, and giving all ranks what rank 0 has."""

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import mindspore
import numpy as np
from mindspore import Parameter, Tensor, ops
from numpy.typing import NDArray

from erfnet_jobs.ascend.environment import RankEnvironment
from erfnet_jobs.plan import ASCEND

# How long a rank stays after the last message, so that its threads can acknowledge what the others sent: a collective
# ends on one rank before its acknowledgement has reached the next, which fails if this process is gone by then.
LINGER = 0.5

log = logging.getLogger(__name__)


def join(environment: RankEnvironment) -> None:
    """Set MindSpore up for this rank, and wait until all ranks are there.

    Graphs are compiled as a whole (GRAPH_MODE): twice as fast a step as operator by operator.
    """
    # Before MindSpore starts its threads: they stay where this one is.
    os.sched_setaffinity(0, environment.cores(os.sched_getaffinity(0)))
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    mindspore.set_device(environment.device_target)
    if environment.world_size > 1:
        from mindspore.communication import init

        init()


@dataclass(frozen=True)
class Landed:
    """What MindSpore has made of this process: its rank of `world_size`, and the index of its device on the host."""

    rank: int
    world_size: int
    local_device: int


def landed(environment: RankEnvironment) -> Landed:
    """Who this process is after `join`. The CPU is one device for all ranks, and a slot is what the launcher says."""
    device = environment.local_rank
    if environment.device_target == ASCEND:
        # With a rank table MindSpore takes it from DEVICE_ID, else from the order of the host's ranks.
        device = int(mindspore.get_context("device_id"))
    if environment.world_size == 1:
        return Landed(0, 1, device)
    from mindspore.communication import get_group_size, get_rank

    return Landed(int(get_rank()), int(get_group_size()), device)


def broadcast(parameters: Sequence[Parameter], world_size: int) -> None:
    """Give float32 parameters the values that they have on rank 0, in one message; all ranks call this together."""
    if world_size == 1:
        return
    flat = np.concatenate([parameter.asnumpy().reshape(-1) for parameter in parameters])
    (received,) = ops.Broadcast(0)((Tensor(flat),))
    _set_all(parameters, received.asnumpy())


def average(parameters: Sequence[Parameter], world_size: int) -> None:
    """Give float32 parameters their mean over the ranks, in one message; all ranks call this together."""
    if world_size == 1:
        return
    flat = np.concatenate([parameter.asnumpy().reshape(-1) for parameter in parameters])
    _set_all(parameters, ops.AllReduce()(Tensor(flat)).asnumpy() / np.float32(world_size))


def _set_all(parameters: Sequence[Parameter], values: NDArray[np.float32]) -> None:
    start = 0
    for parameter in parameters:
        part = values[start : start + parameter.size].reshape(parameter.shape)
        parameter.set_data(Tensor(part.copy()))
        start += parameter.size


def leave(world_size: int) -> None:
    """Wait until all ranks have done their work: a rank that ends earlier makes the others' last collectives fail."""
    if world_size == 1:
        return
    try:
        ops.AllReduce()(Tensor(np.zeros(1, np.float32))).asnumpy()
    except RuntimeError as error:
        # Every rank enters here with its work done, so nothing is lost; a rank that died is its launcher's to see.
        log.warning("another rank left before this one: %s", str(error).splitlines()[0])
    time.sleep(LINGER)
