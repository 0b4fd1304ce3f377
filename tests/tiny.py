"""Networks of ERFNet's own blocks that compile in a second, and what tests of the network's room share.

oneDNN reads its cap at the first convolution; without it a machine with AVX-512 takes forty times as long.
"""

import os

os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")

from typing import Any

import numpy as np
from mindspore import Tensor, nn

from erfnet_jobs.ascend.environment import RankEnvironment
from erfnet_jobs.erfnet import world
from erfnet_jobs.erfnet.blocks import Downsampler
from erfnet_jobs.erfnet.model import OUTPUTS
from erfnet_jobs.jobs import ENCODER


def in_graphs() -> None:
    """Set MindSpore up in this process as in a rank that is alone."""
    world.join(RankEnvironment())


class TinyEncoder(nn.Cell):
    """1/8 of the resolution, as the real one, with 32 channels, which are dropped as in the real one's first block."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.SequentialCell(Downsampler(3, 8), Downsampler(8, 16), Downsampler(16, 32))

    def construct(self, x: Tensor, masks: Tensor | None = None) -> Tensor:
        y = self.layers(x)
        return y if masks is None else y * masks[:, :32].reshape((-1, 32, 1, 1))


class TinyEncoderPred(nn.Cell):
    """Logits at 1/8."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = TinyEncoder()
        self.head = nn.Conv2d(in_channels=32, out_channels=OUTPUTS, kernel_size=1, pad_mode="valid", has_bias=True)

    def construct(self, x: Tensor, masks: Tensor | None = None) -> Tensor:
        return self.head(self.encoder(x, masks))


class TinyNet(nn.Cell):
    """Logits at full resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = TinyEncoder()
        self.decoder = nn.Conv2dTranspose(
            in_channels=32, out_channels=OUTPUTS, kernel_size=8, stride=8, pad_mode="valid", has_bias=True
        )

    def construct(self, x: Tensor, masks: Tensor | None = None) -> Tensor:
        return self.decoder(self.encoder(x, masks))


class Pointwise(nn.Cell):
    """One 1x1 convolution: no statistics of the batch, so ranks can be compared with one process."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels=3, out_channels=OUTPUTS, kernel_size=1, pad_mode="valid", has_bias=True)

    def construct(self, x: Tensor, masks: Tensor | None = None) -> Tensor:
        return self.conv(x)


def make_tiny(name: str) -> nn.Cell:
    """In place of `model.make_network`."""
    return TinyEncoderPred() if name == ENCODER else TinyNet()


def values_of(network: nn.Cell) -> dict[str, Any]:
    """All parameters' values by name."""
    return {parameter.name: parameter.asnumpy().copy() for parameter in network.get_parameters()}


def random_batch(seed: int, count: int = 2, size: tuple[int, int] = (8, 8)) -> tuple[Any, Any]:
    """Images and labels with all train ids, ignore among them."""
    chance = np.random.default_rng(seed)
    images = chance.random((count, 3, *size), np.float32)
    return images, chance.integers(0, OUTPUTS, (count, *size)).astype(np.int32)
