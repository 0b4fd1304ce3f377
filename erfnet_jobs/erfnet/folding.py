"""A network for looking only, the BatchNorms behind its convolutions folded into their weights.

With its statistics fixed a BatchNorm is y = scale * x + shift per channel, scale = gamma / sqrt(variance + eps), and
the convolution before it can do that: weights times scale, bias (b - mean) * scale + beta. Downsamplers keep theirs: it
stands behind a max pooling too, which a negative scale would turn into a min pooling.
"""

from collections.abc import Callable, Iterator

import numpy as np
from mindspore import Parameter, Tensor, nn
from numpy.typing import NDArray

from erfnet_jobs.erfnet.blocks import FactorizedResidual, Upsampler

# Which convolution of a block stands right before which BatchNorm.
CONVOLUTIONS = {FactorizedResidual: {"bn1": "conv1x3_1", "bn2": "conv1x3_2"}, Upsampler: {"bn": "conv"}}


class FoldedNetwork(nn.Cell):
    """Computes what the network that `make` makes computes when it is not training, with fewer layers.

    `published` are the parameters as checkpoints hold them; after they changed, `fold` brings them into use. The
    compiled graph stays.
    """

    def __init__(self, make: Callable[[], nn.Cell]) -> None:
        super().__init__(auto_prefix=False)
        self.network = make()
        source = make()
        self.published: list[Parameter] = list(source.get_parameters())
        self.blocks = _Blocks(source, self.network)
        self.set_train(False)

    def construct(self, x: Tensor) -> Tensor:
        return self.network(x)

    def fold(self) -> None:
        """Take the parameters over, in float64 where they are multiplied."""
        folded = self.blocks.folded()
        values = {parameter.name: parameter for parameter in self.published}
        for parameter in self.network.get_parameters():
            value = folded.get(parameter.name)
            parameter.set_data(Tensor(values[parameter.name].asnumpy() if value is None else value))


class _Blocks:
    """The blocks of `source` that have something to fold; takes the folded BatchNorms out of `network`.

    No cell: the source's parameters must not become those of the network that runs.
    """

    def __init__(self, source: nn.Cell, network: nn.Cell) -> None:
        self.pairs = [(getattr(block, conv), getattr(block, bn)) for block, bn, conv in _foldable(source)]
        for block, bn, _ in list(_foldable(network)):
            setattr(block, bn, nn.Identity())

    def folded(self) -> dict[str, NDArray[np.float32]]:
        """The convolutions' new weights and biases, by parameter."""
        return {name: value for conv, bn in self.pairs for name, value in _fold(conv, bn).items()}


def _foldable(network: nn.Cell) -> Iterator[tuple[nn.Cell, str, str]]:
    for _, cell in network.cells_and_names():
        for bn, conv in CONVOLUTIONS.get(type(cell), {}).items():
            yield cell, bn, conv


def _fold(conv: nn.Cell, bn: nn.Cell) -> dict[str, NDArray[np.float32]]:
    variance, mean, gamma, beta, weight, bias = (
        parameter.asnumpy().astype(np.float64)
        for parameter in (bn.moving_variance, bn.moving_mean, bn.gamma, bn.beta, conv.weight, conv.bias)
    )
    scale = gamma / np.sqrt(variance + bn.eps)
    # Transposed convolutions keep their outputs' axis second.
    by_output = (1, -1, 1, 1) if isinstance(conv, nn.Conv2dTranspose) else (-1, 1, 1, 1)
    return {
        conv.weight.name: (weight * scale.reshape(by_output)).astype(np.float32),
        conv.bias.name: ((bias - mean) * scale + beta).astype(np.float32),
    }
