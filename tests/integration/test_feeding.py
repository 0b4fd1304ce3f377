"""Both feeds take the same steps; sink mode with MindSpore's dataset, and a stand-in for the queue of a device."""

import itertools
import threading
from contextlib import closing

import mindspore
import numpy as np
import pytest
from mindspore import Tensor

from erfnet_jobs.erfnet.feeding import HostFeed, SinkFeed, as_input, make_feed
from erfnet_jobs.erfnet.initialise import initialise
from erfnet_jobs.erfnet.labels import DECODER_WEIGHTS
from erfnet_jobs.erfnet.train_step import TrainStep
from erfnet_jobs.errors import BadData
from tests.tiny import Pointwise, in_graphs, random_batch, values_of

pytestmark = pytest.mark.mindspore
in_graphs()
STEPS = 5


def make_step():
    network = Pointwise()
    initialise(network, 1)
    return network, TrainStep(network, DECODER_WEIGHTS, 1)


def inputs(fault_at=None):
    for number in range(STEPS):
        if number == fault_at:
            raise BadData(f"frame {number} is damaged")
        images, labels = random_batch(number)
        yield as_input(images, labels, np.ones((2, 4), np.float32), 1e-2 / (number + 1))


def queue(step, dataset, sink_size, jit_config, input_signature):
    """What mindspore.data_sink does on Ascend, without a device: a call takes a row and a step."""
    assert sink_size == 1
    assert dataset.output_shapes()[0] == list(input_signature[0].shape)  # takes a row, which must not be lost
    assert len(dataset.output_types()) == len(input_signature)
    rows = dataset.create_tuple_iterator(num_epochs=1)
    shapes = [(column.shape, column.dtype) for column in input_signature]

    def take():
        row = next(rows)
        assert [(column.shape, column.dtype) for column in row] == shapes
        return step(*row)

    return take


def test_sink_and_host_take_the_same_steps():
    host_network, host_step = make_step()
    sink_network, sink_step = make_step()
    host = HostFeed(host_step, inputs())
    sink = SinkFeed(sink_step, inputs(), STEPS, sink=queue)

    one_by_one = [host.take(1)[0] for _ in range(STEPS)]
    in_chunks = [*sink.take(3), *sink.take(2)]

    assert one_by_one == in_chunks
    assert len(set(one_by_one)) == STEPS
    sunk = values_of(sink_network)
    assert all((sunk[name] == value).all() for name, value in values_of(host_network).items())


def test_what_loading_raises_comes_out_of_both():
    for feed in (HostFeed(make_step()[1], inputs(2)), SinkFeed(make_step()[1], inputs(2), STEPS, sink=queue)):
        with pytest.raises(BadData, match="frame 2 is damaged"):
            [feed.take(1) for _ in range(STEPS)]  # a queue loads ahead, so it comes as early as it likes


def test_closing_while_rows_are_loaded_ends_the_loading_and_nothing_comes_again():
    loaded, ended = [], threading.Event()

    def endless():
        try:
            for number in itertools.count():
                loaded.append(number)
                images, labels = random_batch(number)
                yield as_input(images, labels, np.ones((2, 4), np.float32), 1e-2)
        finally:
            ended.set()

    feed = SinkFeed(make_step()[1], endless(), 1000, sink=queue)
    feed.take(2)
    feed.close()
    feed.close()

    assert ended.is_set()
    assert len(loaded) < 40  # MindData loads ahead by little
    assert list(feed._rows) == []  # another epoch of the queue: no row is given twice


def test_an_error_of_loading_is_not_masked_by_the_closing():
    for made in (HostFeed(make_step()[1], inputs(3)), SinkFeed(make_step()[1], inputs(3), STEPS, sink=queue)):
        with pytest.raises(BadData, match="frame 3"), closing(made) as feed:
            [feed.take(1) for _ in range(STEPS)]


def test_a_cpu_is_fed_from_the_host():
    assert isinstance(make_feed("CPU", make_step()[1], inputs(), STEPS), HostFeed)
    # MindSpore itself says that there is no sink mode here, so nothing is lost by that.
    with pytest.raises(ValueError, match="supports ascend"):
        mindspore.data_sink(Tensor, None)
