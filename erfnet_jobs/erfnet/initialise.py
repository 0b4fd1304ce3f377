"""First weights from a seed, the same on every rank and host.

Drawn as PyTorch draws them for convolutions, from which erfnet_pytorch starts when it has no ImageNet weights: weights
and biases uniform in +-1/sqrt(fan in), where fan in is what PyTorch takes for it: all but the weight's first axis.
"""

import math

import numpy as np
from mindspore import Tensor, nn


def initialise(network: nn.Cell, seed: int) -> None:
    """Set every trainable convolution of `network` from `seed`; BatchNorm keeps its ones and zeros."""
    parameters = {parameter.name: parameter for parameter in network.trainable_params()}
    chance = np.random.default_rng(seed)
    for name, parameter in parameters.items():
        if parameter.ndim == 4:
            bound = 1 / math.sqrt(math.prod(parameter.shape[1:]))
            for drawn in (parameter, parameters[name.removesuffix("weight") + "bias"]):
                values = chance.uniform(-bound, bound, drawn.shape).astype(np.float32)
                drawn.set_data(Tensor(values))
