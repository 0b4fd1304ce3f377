"""One step of training on all ranks: forward, backward, one all-reduce, Adam. Compiled once per network."""

import math
from collections.abc import Sequence
from itertools import accumulate

from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

from erfnet_jobs.erfnet.adam import Adam
from erfnet_jobs.erfnet.loss import SMALLEST_WEIGHT_SUM, WeightedLoss
from erfnet_jobs.erfnet.transforms import UNIT


class SumOverRanks(nn.Cell):
    """Adds tensors over all ranks in one all-reduce: hundreds of small ones would cost their latency each.

    `shapes` are the tensors' shapes; they are float32, and laid one after another for the way.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]]) -> None:
        super().__init__()
        sizes = tuple(math.prod(shape) for shape in shapes)
        self.all_reduce = ops.AllReduce()
        self.concat = ops.Concat()
        self.starts = (0, *accumulate(sizes[:-1]))
        self.map = ops.HyperMap()

    def construct(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        flat = self.concat(self.map(_flatten, tensors))
        parts: tuple[Tensor, ...] = self.map(ops.partial(_part, self.all_reduce(flat)), self.starts, tensors)
        return parts


_flatten = ops.MultitypeFuncGraph("flatten")
_part = ops.MultitypeFuncGraph("part")
_divide = ops.MultitypeFuncGraph("divide")
_sum = ops.MultitypeFuncGraph("sum")
_keep = ops.MultitypeFuncGraph("keep")


@_flatten.register("Tensor")
def _flatten_one(tensor):  # type: ignore[no-untyped-def]
    return ops.reshape(tensor, (-1,))


@_part.register("Tensor", "Number", "Tensor")
def _part_one(flat, start, like):  # type: ignore[no-untyped-def]
    return ops.reshape(ops.slice(flat, (start,), (like.size,)), like.shape)


@_divide.register("Tensor", "Tensor")
def _divide_one(total, gradient):  # type: ignore[no-untyped-def]
    return gradient / total


@_sum.register("Tensor")
def _sum_one(gradient):  # type: ignore[no-untyped-def]
    return gradient.sum()


@_keep.register("Tensor", "Tensor")
def _keep_one(finite, gradient):  # type: ignore[no-untyped-def]
    return ops.select(finite, gradient, ops.zeros_like(gradient))


class TrainStep(nn.Cell):
    """Changes `network` by one batch of each rank and gives the mean loss over the global batch, a float32 scalar.

    Called with images (N x 3 x H x W, uint8, or float32 in [0, 1]), labels (train ids of any whole type, N x h x w),
    dropout's masks (float32; None: none) and the learning rate (float32 scalar): a new rate compiles nothing anew.
    Gradients are those of the loss' sum times `loss_scale`, which mixed precision needs to stay in the range of 16
    bits; what comes of them is not. `statistics` are BatchNorm's.
    """

    def __init__(
        self, network: nn.Cell, class_weights: Sequence[float], world_size: int, loss_scale: float = 1.0
    ) -> None:
        super().__init__(auto_prefix=False)  # parameters keep the names that they have in the network
        parameters: list[Parameter] = network.trainable_params()
        self.network_parameters: list[Parameter] = list(network.get_parameters())
        self.statistics = [one for one in self.network_parameters if not one.requires_grad]
        self.adam = Adam(parameters)
        # A part of this cell, so that set_train reaches the network: BatchNorm hangs on it.
        self.loss = WeightedLoss(network, class_weights, loss_scale)
        self.gradients = ops.value_and_grad(self.loss, None, parameters, has_aux=True)
        self.loss_scale = loss_scale
        self.unit = Tensor(UNIT)
        self.map = ops.HyperMap()
        shapes = [(), (), *(parameter.shape for parameter in parameters)]
        self.sum_over_ranks = SumOverRanks(shapes) if world_size > 1 else None

    def construct(self, images: Tensor, labels: Tensor, masks: Tensor | None, lr: Tensor) -> Tensor:
        if images.dtype == mstype.uint8:
            images = images.astype(mstype.float32) * self.unit
        (loss, weights), gradients = self.gradients(images, labels.astype(mstype.int32), masks)
        summed = (loss, weights, *gradients)
        if self.sum_over_ranks is not None:
            summed = self.sum_over_ranks(summed)
        total = ops.maximum(summed[1], SMALLEST_WEIGHT_SUM) * self.loss_scale
        gradients = self.map(ops.partial(_divide, total), summed[2:])
        if self.loss_scale != 1.0:
            # In 16 bits a gradient may overflow: such a step counts as one without gradient, and Adam stays whole.
            finite = ops.isfinite(ops.addn(self.map(_sum, gradients)))
            gradients = self.map(ops.partial(_keep, finite), gradients)
        self.adam(gradients, lr)
        return summed[0] / total
