"""A rank that takes steps on a batch of its own with a one-layer network, and writes what came out.

The ranks' batches have different sums of class weights: a mean of the ranks' means would show.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

STEPS = 3
RATE = 1e-2


def batch_of(rank: int) -> Any:
    """The batch of a rank; half of rank 1's pixels are ignored."""
    from erfnet_jobs.erfnet.labels import IGNORE
    from tests.tiny import random_batch

    images, labels = random_batch(rank)
    if rank == 1:
        labels[:, :4] = IGNORE
    return images, labels


def first_values() -> dict[str, Any]:
    """The weights before the first step."""
    from erfnet_jobs.erfnet.initialise import initialise
    from tests.tiny import Pointwise, values_of

    network = Pointwise()
    initialise(network, 1)
    return values_of(network)


def take_steps(step_type: Any, batch: Any, world_size: int) -> dict[str, Any]:
    """The last loss, and the weights after some steps."""
    import mindspore
    from mindspore import Tensor

    from erfnet_jobs.erfnet.initialise import initialise
    from erfnet_jobs.erfnet.labels import DECODER_WEIGHTS
    from tests.tiny import Pointwise, values_of

    network = Pointwise()
    initialise(network, 1)
    step = step_type(network, DECODER_WEIGHTS, world_size)
    for _ in range(STEPS):
        loss = step(*map(Tensor, batch), None, Tensor(RATE, mindspore.float32))
    return {"loss": float(loss.asnumpy()), **{name: value.tolist() for name, value in values_of(network).items()}}


def main() -> None:
    """The rank's part."""
    from erfnet_jobs.ascend.environment import from_environ
    from erfnet_jobs.ascend.lifeline import hold_lifeline
    from erfnet_jobs.plan import read_plan

    hold_lifeline()
    from erfnet_jobs.erfnet import world
    from erfnet_jobs.erfnet.train_step import TrainStep

    environment = from_environ(os.environ)
    world.join(environment)
    found = take_steps(TrainStep, batch_of(environment.rank), environment.world_size)
    Path(read_plan(Path(sys.argv[1])).run_dir, f"rank_{environment.rank}.json").write_text(json.dumps(found))
    world.leave(environment.world_size)
    os._exit(0)


if __name__ == "__main__":
    main()
