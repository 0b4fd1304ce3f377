"""ERFNet and its encoder alone, for 20 outputs: Cityscapes' 19 train classes and, unused, ignore.

Attribute names follow github.com/Eromera/erfnet_pytorch (train/erfnet.py), so parameter names match its checkpoints'.
"""

from mindspore import Tensor, nn

from erfnet_jobs.erfnet.blocks import Downsampler, FactorizedResidual, Upsampler
from erfnet_jobs.jobs import ENCODER, ERFNET

OUTPUTS = 20
# Trainable parameters of ERFNet; the encoder's own head is not part of it.
PARAMETERS = 2_064_256

# The published dropout rates of the blocks at 1/4 and at 1/8 of the resolution.
SHALLOW_DROPOUT = 0.03
DEEP_DROPOUT = 0.3
DILATIONS = (2, 4, 8, 16)


class Encoder(nn.Cell):
    """N x 3 x H x W -> N x 128 x H/8 x W/8; H and W are multiples of 8.

    `dropout=False` leaves dropout out, for tests that compare runs bit by bit.
    """

    def __init__(self, dropout: bool = True) -> None:
        super().__init__()
        shallow, deep = (SHALLOW_DROPOUT, DEEP_DROPOUT) if dropout else (0.0, 0.0)
        self.initial_block = Downsampler(inputs=3, outputs=16)
        self.layers = nn.SequentialCell(
            Downsampler(inputs=16, outputs=64),
            *(FactorizedResidual(channels=64, dropout=shallow, dilation=1) for _ in range(5)),
            Downsampler(inputs=64, outputs=128),
            *(FactorizedResidual(channels=128, dropout=deep, dilation=dilation) for dilation in DILATIONS * 2),
        )

    def construct(self, x: Tensor) -> Tensor:
        return self.layers(self.initial_block(x))


class Decoder(nn.Cell):
    """N x 128 x H/8 x W/8 -> N x OUTPUTS x H x W logits."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.SequentialCell(
            Upsampler(inputs=128, outputs=64),
            *(FactorizedResidual(channels=64, dropout=0.0, dilation=1) for _ in range(2)),
            Upsampler(inputs=64, outputs=16),
            *(FactorizedResidual(channels=16, dropout=0.0, dilation=1) for _ in range(2)),
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
    """The whole network: N x 3 x H x W in [0, 1] -> N x OUTPUTS x H x W logits."""

    def __init__(self, dropout: bool = True) -> None:
        super().__init__()
        self.encoder = Encoder(dropout=dropout)
        self.decoder = Decoder()

    def construct(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class EncoderPred(nn.Cell):
    """The encoder with its 1x1 head: N x 3 x H x W in [0, 1] -> N x OUTPUTS x H/8 x W/8 logits."""

    def __init__(self, dropout: bool = True) -> None:
        super().__init__()
        self.encoder = Encoder(dropout=dropout)
        self.head = nn.Conv2d(
            in_channels=128, out_channels=OUTPUTS, kernel_size=1, stride=1, pad_mode="valid", has_bias=True
        )

    def construct(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))


def make_network(name: str, dropout: bool = True) -> nn.Cell:
    """The network called `name` ('erfnet' or 'encoder'), its parameters not yet initialised; see `initialise`."""
    networks = {ERFNET: ERFNet, ENCODER: EncoderPred}
    return networks[name](dropout=dropout)


def label_scale(name: str) -> int:
    """By how much the logits of network `name` are smaller than its input, per side."""
    return {ERFNET: 1, ENCODER: 8}[name]
