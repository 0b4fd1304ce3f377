"""How batches reach the device: one by one from the host, or through the device's own queue (sink mode).

The one seam between the two: a feed takes steps and gives their losses. On Ascend the steps of a chunk are launched
without waiting for one another; their losses, and with them all progress, come at the chunk's end.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from typing import Any, ClassVar

import mindspore
import numpy as np
from mindspore import Tensor, nn
from numpy.typing import NDArray

from erfnet_jobs.plan import ASCEND

# Images, labels, dropout's masks and the learning rate of one step, as TrainStep takes them.
StepInput = tuple[NDArray[Any], ...]
StepInputs = Generator[StepInput]
# Batches in each of MindData's queues.
PREFETCH = 2
COLUMNS = ("images", "labels", "masks", "lr")


class Feed(ABC):
    """Feeds a training step with inputs, in order; `close` ends the loading of what was not taken."""

    # Steps between two looks at the losses.
    chunk: ClassVar[int]

    @abstractmethod
    def take(self, count: int) -> list[float]:
        """Take `count` steps, at most `chunk`, and give the loss of each. What loading raises comes out here."""

    @abstractmethod
    def close(self) -> None:
        """End the loading; again and again is fine."""


class HostFeed(Feed):
    """Every batch from the host, every loss at once."""

    chunk = 1

    def __init__(self, step: nn.Cell, inputs: StepInputs) -> None:
        self.step, self.inputs = step, inputs

    def take(self, count: int) -> list[float]:
        """See Feed."""
        return [float(self.step(*map(Tensor, next(self.inputs))).asnumpy()) for _ in range(count)]

    def close(self) -> None:
        """See Feed."""
        self.inputs.close()


class SinkFeed(Feed):
    """`total` batches through the device's queue, which MindData fills in the background.

    `sink` is mindspore.data_sink, or in tests what stands for it where there is no such device.
    """

    chunk = 20

    def __init__(
        self,
        step: nn.Cell,
        inputs: StepInputs,
        total: int,
        sink: Callable[..., Callable[[], Tensor]] = mindspore.data_sink,
    ) -> None:
        self._rows = _SinkRows(inputs, total)
        # MindData's own default is 16 batches in each of its queues: gigabytes at full size.
        mindspore.dataset.config.set_prefetch_size(PREFETCH)
        self._dataset = mindspore.dataset.GeneratorDataset(
            self._rows, list(COLUMNS), shuffle=False, num_parallel_workers=1, python_multiprocessing=False
        )
        signature = [Tensor(column) for column in self._rows.first]
        self._take_one = sink(
            step, self._dataset, sink_size=1, jit_config=mindspore.JitConfig(jit_level="O0"), input_signature=signature
        )

    def take(self, count: int) -> list[float]:
        """See Feed."""
        try:
            losses = [self._take_one() for _ in range(count)]
            return [float(loss.asnumpy()) for loss in losses]
        except Exception as error:
            # MindData tells of a generator's error in its own words, and only of its kind.
            raise self._rows.fault or error from error

    def close(self) -> None:
        """See Feed."""
        self._rows.close()
        # data_sink leaves the sender at the dataset, and never ends it.
        if (sender := getattr(self._dataset, "__transfer_dataset__", None)) is not None:
            sender.stop_send()


class _SinkRows:
    """What GeneratorDataset reads, in a thread of its own: something with a length and an iterator.

    MindData takes the first row to see its shapes, as often as it likes. Then the queue of a device asks for epoch
    after epoch, and there is one only: whoever asks for another waits until all is closed.
    """

    def __init__(self, inputs: StepInputs, total: int) -> None:
        self.first = next(inputs)
        self.fault: BaseException | None = None
        self._inputs, self._total = inputs, total
        self._lock = threading.Lock()
        self._beyond_first, self._closed = threading.Event(), threading.Event()

    def __len__(self) -> int:
        return self._total

    def __iter__(self) -> Iterator[StepInput]:
        if self._beyond_first.is_set():
            self._closed.wait()
            return
        yield self.first
        self._beyond_first.set()
        while (row := self._next()) is not None:
            yield row

    def close(self) -> None:
        """End the inputs when none is being loaded; then the iterators end."""
        self._closed.set()
        with self._lock:
            self._inputs.close()

    def _next(self) -> StepInput | None:
        with self._lock:
            if self._closed.is_set():
                return None
            try:
                return next(self._inputs, None)
            except BaseException as error:
                self.fault = error
                raise


def make_feed(device_target: str, step: nn.Cell, inputs: StepInputs, total: int) -> Feed:
    """The feed of a device for `total` steps: sink mode on Ascend, the host elsewhere (MindSpore has no other)."""
    return SinkFeed(step, inputs, total) if device_target == ASCEND else HostFeed(step, inputs)


def as_input(images: NDArray[Any], labels: NDArray[Any], masks: NDArray[np.float32], lr: float) -> StepInput:
    """A step's input in the order of COLUMNS; arrays all of it, for MindData takes no NumPy scalars."""
    return images, labels, masks, np.asarray(lr, np.float32)
