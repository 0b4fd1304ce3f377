"""What comes out of a network beside its logits."""

import mindspore
from mindspore import Tensor, nn, ops


class Segmenter(nn.Cell):
    """float32 images N x 3 x H x W -> int32 train ids N x h x w, the largest logit's; 19 is `none of the classes`."""

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, images: Tensor) -> Tensor:
        return ops.cast(ops.argmax(self.network(images), 1), mindspore.int32)
