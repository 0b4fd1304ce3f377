"""Networks with BatchNorm folded into the convolutions, against the same ones unfolded."""

import numpy as np
import pytest
from mindspore import Tensor, nn

from erfnet_jobs.choices import ENCODER, ERFNET
from erfnet_jobs.erfnet.folding import FoldedNetwork
from erfnet_jobs.erfnet.initialise import initialise
from erfnet_jobs.erfnet.model import make_network
from tests.tiny import in_graphs

pytestmark = pytest.mark.mindspore
in_graphs()
IMAGE = np.random.default_rng(0).random((1, 3, 64, 96), np.float32)


def trained(name, seed):
    """A network whose BatchNorms do something; some of their scales are negative."""
    network = make_network(name)
    network.set_train(False)
    initialise(network, seed)
    chance = np.random.default_rng(seed)
    for parameter in network.get_parameters():
        if parameter.name.endswith("moving_variance"):
            parameter.set_data(Tensor(chance.uniform(0.5, 2, parameter.shape).astype(np.float32)))
        elif parameter.name.endswith(("moving_mean", "beta")):
            parameter.set_data(Tensor(chance.normal(0, 0.3, parameter.shape).astype(np.float32)))
        elif parameter.name.endswith("gamma"):
            parameter.set_data(Tensor(chance.normal(0.5, 0.5, parameter.shape).astype(np.float32)))
    return network


def take_over(folded, network):
    values = {parameter.name: parameter.asnumpy() for parameter in network.get_parameters()}
    for parameter in folded.published:
        parameter.set_data(Tensor(values[parameter.name]))
    folded.fold()


@pytest.mark.parametrize("name", [ERFNET, ENCODER])
def test_the_logits_are_those_of_the_network_for_each_checkpoint(name):
    folded = FoldedNetwork(lambda: make_network(name))
    networks = [trained(name, seed) for seed in (1, 2)]  # MindSpore forgets graphs when a network with its own goes

    for network in networks:
        take_over(folded, network)
        wanted, found = network(Tensor(IMAGE)).asnumpy(), folded(Tensor(IMAGE)).asnumpy()
        assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()

    assert len(folded.compile_cache) == 1


def test_only_the_downsamplers_keep_their_batch_norm():
    network = make_network(ERFNET)
    folded = FoldedNetwork(lambda: make_network(ERFNET))

    kept = [name for name, cell in folded.cells_and_names() if isinstance(cell, nn.BatchNorm2d)]

    assert kept == ["network.encoder.initial_block.bn", "network.encoder.layers.0.bn", "network.encoder.layers.6.bn"]
    assert {one.name for one in folded.published} == {one.name for one in network.get_parameters()}
