"""Cross entropy weighted by class, as sums, so that ranks can add theirs and divide once by the weights of all.

The mean over a global batch is sum(w[y] * ce) / sum(w[y]), PyTorch's NLLLoss(weight) on the whole batch; a mean of the
ranks' means would not be. A batch that has ignored pixels only has loss 0 and gradient 0, not NaN.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

from erfnet_jobs.errors import LossNotFinite

# Below any sum that one labelled pixel gives; keeps 0 / 0 away.
SMALLEST_WEIGHT_SUM = 1e-6


class LogSoftmax(nn.Cell):
    """Logarithms of the softmax over the channels of N x C x h x w.

    On a CPU both `ops.cross_entropy` and the gradient of `ops.LogSoftmax` add over the channels with ReduceSum, which
    is a hundred times slower than the product with a vector of ones that stands here.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_softmax = ops.LogSoftmax(1)

    def construct(self, logits: Tensor) -> Tensor:
        return self.log_softmax(logits)

    def bprop(self, logits: Tensor, out: Tensor, gradient: Tensor) -> tuple[Tensor]:
        n, channels, h, w = logits.shape
        ones = ops.ones((n, 1, channels), logits.dtype)
        over_channels = ops.bmm(ones, gradient.reshape(n, channels, h * w)).reshape(n, 1, h, w)
        return (gradient - ops.exp(out) * over_channels,)


class WeightedLoss(nn.Cell):
    """`network`'s loss on a batch, not yet divided.

    Images are float32 N x 3 x H x W, labels int32 N x h x w train ids with as many rows and columns as the logits,
    masks those of dropout (None: none); the weight of the ignore id is 0. Gives (`scale` * sum of w * ce, sum of w),
    two float32 scalars.
    """

    def __init__(self, network: nn.Cell, class_weights: Sequence[float], scale: float = 1.0) -> None:
        super().__init__(auto_prefix=False)  # the network's parameters keep their names
        self.network = network
        self.class_weights = Tensor(np.asarray(class_weights, np.float32))
        self.scale = scale

    def construct(self, images: Tensor, labels: Tensor, masks: Tensor | None = None) -> tuple[Tensor, Tensor]:
        loss, weights = weighted_sums(self.network(images, masks), labels, self.class_weights)
        return loss * self.scale, weights


_log_softmax = LogSoftmax()


def weighted_losses(logits: Tensor, labels: Tensor, class_weights: Tensor) -> tuple[Tensor, Tensor]:
    """(w[y] * ce, w[y]) of each pixel, float32 N x h x w: logits N x C x h x w, labels N x h x w, weights C."""
    logits = logits.astype(mstype.float32)  # mixed precision may leave them in 16 bits
    weights = ops.gather(class_weights, labels, 0)
    of_label = ops.gather_elements(_log_softmax(logits), 1, ops.expand_dims(labels, 1))
    return -(ops.squeeze(of_label, 1) * weights), weights


def weighted_sums(logits: Tensor, labels: Tensor, class_weights: Tensor) -> tuple[Tensor, Tensor]:
    """The sums over all pixels of what `weighted_losses` gives."""
    losses, weights = weighted_losses(logits, labels, class_weights)
    return losses.sum(), weights.sum()


def check_finite(loss: float, stage: int, epoch: int, step: int, lr: float) -> None:
    """Raise LossNotFinite when `loss` is NaN or infinite; `epoch` and `step` count from 1."""
    if not math.isfinite(loss):
        raise LossNotFinite(
            f"the loss became {loss} in stage {stage}, epoch {epoch}, step {step} at learning rate {lr:.3g}: "
            "start again with a lower --lr, or look for broken images with `erfnet-jobs data check`"
        )


def check_weights_finite(parameters: Iterable[Parameter], stage: int, epoch: int, step: int, lr: float) -> None:
    """Raise LossNotFinite, naming the first, when a parameter holds NaN or infinity; `epoch` and `step` count from 1.

    The loss alone does not tell: MindSpore's ReLU on the CPU makes 0 of NaN, and the loss behind it stays a number.
    """
    for parameter in parameters:
        if not np.isfinite(parameter.asnumpy()).all():
            raise LossNotFinite(
                f"the weights ({parameter.name}) are no longer numbers after stage {stage}, epoch {epoch}, step {step} "
                f"at learning rate {lr:.3g}, and were not written: start again with a lower --lr, or look for broken "
                "images with `erfnet-jobs data check`"
            )
