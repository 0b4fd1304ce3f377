"""How batches reach the device: one by one from the host, or through the device's own queue (sink mode).

The one seam between the two: a feed takes steps and gives their losses. On Ascend the steps of a chunk are launched
without waiting for one another; their losses, and with them all progress, come at the chunk's end.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import mindspore
import numpy as np
from mindspore import Tensor, nn
from numpy.typing import NDArray

from erfnet_jobs.plan import ASCEND

# Images, labels, dropout's masks and the learning rate of one step, as TrainStep takes them.
StepInput = tuple[NDArray[Any], ...]
COLUMNS = ("images", "labels", "masks", "lr")


class Feed(ABC):
    """Feeds `step` with `inputs`, in order."""

    # Steps between two looks at the losses.
    chunk: ClassVar[int]

    @abstractmethod
    def take(self, count: int) -> list[float]:
        """Take `count` steps, at most `chunk`, and give the loss of each. What loading raises comes out here."""


class HostFeed(Feed):
    """Every batch from the host, every loss at once."""

    chunk = 1

    def __init__(self, step: nn.Cell, inputs: Iterator[StepInput]) -> None:
        self.step, self.inputs = step, inputs

    def take(self, count: int) -> list[float]:
        """See Feed."""
        return [float(self.step(*map(Tensor, next(self.inputs))).asnumpy()) for _ in range(count)]


class SinkFeed(Feed):
    """Batches through the device's queue, which MindData fills in the background.

    `sink` is mindspore.data_sink, or in tests what stands for it where there is no such device.
    """

    chunk = 20

    def __init__(
        self,
        step: nn.Cell,
        inputs: Iterator[StepInput],
        total: int,
        sink: Callable[..., Callable[[], Tensor]] = mindspore.data_sink,
    ) -> None:
        self._fault: BaseException | None = None
        self._first = next(inputs)
        self._inputs = inputs
        source = mindspore.dataset.GeneratorDataset(
            _Rows(self._rows, total), list(COLUMNS), shuffle=False, num_parallel_workers=1, python_multiprocessing=False
        )
        signature = [Tensor(column) for column in self._first]
        self._take_one = sink(
            step, source, sink_size=1, jit_config=mindspore.JitConfig(jit_level="O0"), input_signature=signature
        )

    def take(self, count: int) -> list[float]:
        """See Feed."""
        try:
            losses = [self._take_one() for _ in range(count)]
            return [float(loss.asnumpy()) for loss in losses]
        except Exception as error:
            # MindData tells of a generator's error in its own words, and only of its kind.
            raise self._fault or error from error

    def _rows(self) -> Iterator[StepInput]:
        yield self._first
        try:
            yield from self._inputs
        except BaseException as error:
            self._fault = error
            raise


class _Rows:
    """What GeneratorDataset reads: something with a length and an iterator."""

    def __init__(self, rows: Callable[[], Iterator[StepInput]], length: int) -> None:
        self._rows, self._length = rows, length

    def __iter__(self) -> Iterator[StepInput]:
        return self._rows()

    def __len__(self) -> int:
        return self._length


def make_feed(device_target: str, step: nn.Cell, inputs: Iterator[StepInput], total: int) -> Feed:
    """The feed of a device for `total` steps: sink mode on Ascend, the host elsewhere (MindSpore has no other)."""
    return SinkFeed(step, inputs, total) if device_target == ASCEND else HostFeed(step, inputs)


def as_input(images: NDArray[Any], labels: NDArray[Any], masks: NDArray[np.float32], lr: float) -> StepInput:
    """A step's input in the order of COLUMNS; arrays all of it, for MindData takes no NumPy scalars."""
    return images, labels, masks, np.asarray(lr, np.float32)
