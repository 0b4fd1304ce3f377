"""ERFNet's three building blocks.

E. Romera, J. M. Alvarez, L. M. Bergasa, R. Arroyo, "ERFNet: Efficient Residual Factorized ConvNet for Real-Time
Semantic Segmentation", IEEE T-ITS 2018; layer by layer as in github.com/Eromera/erfnet_pytorch (train/erfnet.py).
Tensors are float32, N x C x H x W. Layers take keywords only: MindSpore announces other positions after 2.9.
"""

from mindspore import Tensor, nn, ops

BATCH_NORM_EPS = 1e-3
# MindSpore's momentum is the share of the old statistics: 0.9 is PyTorch's 0.1.
BATCH_NORM_MOMENTUM = 0.9


def _batch_norm(channels: int) -> nn.Cell:
    return nn.BatchNorm2d(num_features=channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)


def _convolution(channels: int, kernel: tuple[int, int], dilation: int = 1) -> nn.Cell:
    """3x1 or 1x3 convolution that keeps height and width, with bias."""
    pad_h, pad_w = (dilation * (side // 2) for side in kernel)
    return nn.Conv2d(
        in_channels=channels,
        out_channels=channels,
        kernel_size=kernel,
        stride=1,
        pad_mode="pad",
        padding=(pad_h, pad_h, pad_w, pad_w),
        dilation=(dilation if kernel[0] > 1 else 1, dilation if kernel[1] > 1 else 1),
        has_bias=True,
    )


class Downsampler(nn.Cell):
    """N x inputs x H x W -> N x outputs x H/2 x W/2: a strided convolution beside a max pooling."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels=inputs,
            out_channels=outputs - inputs,
            kernel_size=3,
            stride=2,
            pad_mode="pad",
            padding=1,
            has_bias=True,
        )
        self.pool = nn.MaxPool2d(kernel_size=2, stride=2)
        # As an object: mixed precision at O1 cannot rewrite a cell that calls ops.concat.
        self.concat = ops.Concat(axis=1)
        self.bn = _batch_norm(outputs)

    def construct(self, x: Tensor) -> Tensor:
        return ops.relu(self.bn(self.concat((self.conv(x), self.pool(x)))))


class FactorizedResidual(nn.Cell):
    """The paper's non-bottleneck-1D: four 1-D convolutions, the last two dilated, and the input added.

    Keeps the shape. `mask` (N x C x 1 x 1) multiplies whole channels before the addition: that is how dropout comes in.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv3x1_1 = _convolution(channels, (3, 1))
        self.conv1x3_1 = _convolution(channels, (1, 3))
        self.bn1 = _batch_norm(channels)
        self.conv3x1_2 = _convolution(channels, (3, 1), dilation)
        self.conv1x3_2 = _convolution(channels, (1, 3), dilation)
        self.bn2 = _batch_norm(channels)

    def construct(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        y = ops.relu(self.conv3x1_1(x))
        y = ops.relu(self.bn1(self.conv1x3_1(y)))
        y = ops.relu(self.conv3x1_2(y))
        y = self.bn2(self.conv1x3_2(y))
        if mask is not None:
            y = y * mask.astype(y.dtype)
        return ops.relu(y + x)


class Upsampler(nn.Cell):
    """N x inputs x H x W -> N x outputs x 2H x 2W: a strided transposed convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        # Crops one row and column at the start, none at the end: PyTorch's padding=1, output_padding=1. MindSpore's own
        # output_padding would append zeros instead.
        self.conv = nn.Conv2dTranspose(
            in_channels=inputs,
            out_channels=outputs,
            kernel_size=3,
            stride=2,
            pad_mode="pad",
            padding=(1, 0, 1, 0),
            has_bias=True,
        )
        self.bn = _batch_norm(outputs)

    def construct(self, x: Tensor) -> Tensor:
        return ops.relu(self.bn(self.conv(x)))
