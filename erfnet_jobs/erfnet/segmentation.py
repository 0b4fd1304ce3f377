"""A checkpoint's network as it looks at one picture after another, and what it says of each."""

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops

from erfnet_jobs.erfnet.inference import folded_network, inference_network, network_name, use_weights
from erfnet_jobs.erfnet.pictures import Pixels
from erfnet_jobs.erfnet.split_measure import enlarged
from erfnet_jobs.erfnet.transforms import Images, Size, prepare_image
from erfnet_jobs.errors import BadCheckpoint
from erfnet_jobs.plan import CheckpointFile


class CheckedSegmenter(nn.Cell):
    """float32 images N x 3 x H x W -> train ids as Segmenter's, and whether all logits are numbers."""

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(images)
        return ops.cast(ops.argmax(logits, 1), mindspore.int32), ops.isfinite(logits).all()


class Segmentation:
    """Segments pictures at `size` (height, width) with a checkpoint; raises BadCheckpoint where it cannot be used.

    Classes are chosen on the device, unless the logits are wanted here (`with_logits`); these are to be compared with
    other programs', so they are those of the layers as published, without folding.
    """

    def __init__(self, checkpoint: CheckpointFile, size: Size, *, with_logits: bool) -> None:
        self.path, self.size, self.with_logits = checkpoint.path, size, with_logits
        name = network_name(checkpoint)
        network = inference_network(name) if with_logits else folded_network(name)
        use_weights(network, name, checkpoint)
        self.model = network if with_logits else CheckedSegmenter(network)
        self.model.set_train(False)

    def __call__(self, image: Pixels) -> tuple[Pixels, Images | None]:
        """The picture's train ids (uint8, as large as itself, by the nearest pixel), and the logits 20 x h x w.

        Raises BadCheckpoint where the network says what is no number.
        """
        output = self.model(Tensor(prepare_image(image, self.size)[None]))
        if self.with_logits:
            logits = output.asnumpy()[0]
            classes, finite = logits.argmax(0), np.isfinite(logits).all()
        else:
            logits = None
            classes, finite = output[0].asnumpy()[0], output[1].asnumpy()
        if not finite:
            raise BadCheckpoint(
                f"{self.path} segments nothing: what the network says with its weights is not finite; name another"
            )
        return enlarged(classes.astype(np.uint8), image.shape[:2]), logits
