"""ERFNet and its encoder alone, for 20 outputs: Cityscapes' 19 train classes and, unused, ignore.

Attribute names follow github.com/Eromera/erfnet_pytorch (train/erfnet.py), so parameter names match its checkpoints'.
"""

from itertools import accumulate

from mindspore import Tensor, nn

from erfnet_jobs.choices import ENCODER, ERFNET
from erfnet_jobs.erfnet.blocks import Downsampler, FactorizedResidual, Upsampler

OUTPUTS = 20
# Trainable parameters of ERFNet; the encoder's own head is not part of it.
PARAMETERS = 2_064_256

# Residual blocks at 1/4 of the resolution, and their dilations at 1/8.
SHALLOW_BLOCKS = 5
DILATIONS = (2, 4, 8, 16) * 2
SHALLOW_CHANNELS = 64
DEEP_CHANNELS = 128
# The channels of all blocks that have dropout, in their order: how `masks` is laid out.
MASKED_CHANNELS = (SHALLOW_CHANNELS,) * SHALLOW_BLOCKS + (DEEP_CHANNELS,) * len(DILATIONS)


class Encoder(nn.Cell):
    """N x 3 x H x W -> N x 128 x H/8 x W/8; H and W are multiples of 8.

    `masks` (float32, N x sum(MASKED_CHANNELS); None: no dropout) are what dropout multiplies the blocks' channels with:
    an input, so that who trains can say where each comes from (see `dropout`).
    """

    def __init__(self) -> None:
        super().__init__()
        self.initial_block = Downsampler(inputs=3, outputs=16)
        self.layers = nn.SequentialCell(
            Downsampler(inputs=16, outputs=SHALLOW_CHANNELS),
            *(FactorizedResidual(channels=SHALLOW_CHANNELS, dilation=1) for _ in range(SHALLOW_BLOCKS)),
            Downsampler(inputs=SHALLOW_CHANNELS, outputs=DEEP_CHANNELS),
            *(FactorizedResidual(channels=DEEP_CHANNELS, dilation=dilation) for dilation in DILATIONS),
        )
        # Each layer's part of `masks`, empty for downsamplers; an attribute, for mixed precision at O1 rewrites
        # `construct` and loses what the module defines.
        ends = tuple(accumulate(MASKED_CHANNELS))
        blocks = tuple(zip((0, *ends), ends, strict=False))
        self.mask_parts = ((0, 0), *blocks[:SHALLOW_BLOCKS], (0, 0), *blocks[SHALLOW_BLOCKS:])

    def construct(self, x: Tensor, masks: Tensor | None = None) -> Tensor:
        x = self.initial_block(x)
        if masks is None:
            return self.layers(x)
        for position, layer in enumerate(self.layers):
            start, end = self.mask_parts[position]
            x = layer(x) if start == end else layer(x, masks[:, start:end].reshape((-1, end - start, 1, 1)))
        return x


class Decoder(nn.Cell):
    """N x 128 x H/8 x W/8 -> N x OUTPUTS x H x W logits."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.SequentialCell(
            Upsampler(inputs=128, outputs=64),
            *(FactorizedResidual(channels=64, dilation=1) for _ in range(2)),
            Upsampler(inputs=64, outputs=16),
            *(FactorizedResidual(channels=16, dilation=1) for _ in range(2)),
        )
        self.output_conv = nn.Conv2dTranspose(
            in_channels=16,
            out_channels=OUTPUTS,
            kernel_size=2,
            stride=2,
            pad_mode="valid",
            has_bias=True,
        )

    def construct(self, x: Tensor) -> Tensor:
        return self.output_conv(self.layers(x))


class ERFNet(nn.Cell):
    """The whole network: N x 3 x H x W in [0, 1] -> N x OUTPUTS x H x W logits; `masks` as in Encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()

    def construct(self, x: Tensor, masks: Tensor | None = None) -> Tensor:
        return self.decoder(self.encoder(x, masks))


class EncoderPred(nn.Cell):
    """The encoder with its 1x1 head: N x 3 x H x W in [0, 1] -> N x OUTPUTS x H/8 x W/8 logits."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.head = nn.Conv2d(
            in_channels=DEEP_CHANNELS, out_channels=OUTPUTS, kernel_size=1, stride=1, pad_mode="valid", has_bias=True
        )

    def construct(self, x: Tensor, masks: Tensor | None = None) -> Tensor:
        return self.head(self.encoder(x, masks))


def make_network(name: str) -> nn.Cell:
    """The network called `name` ('erfnet' or 'encoder'), its parameters not yet initialised; see `initialise`."""
    networks = {ERFNET: ERFNet, ENCODER: EncoderPred}
    return networks[name]()
