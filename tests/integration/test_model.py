"""ERFNet's layers and shapes in MindSpore."""

import numpy as np
import pytest
from mindspore import Tensor

from erfnet_jobs.erfnet.blocks import Upsampler
from erfnet_jobs.erfnet.dropout import CHANNELS
from erfnet_jobs.erfnet.initialise import initialise
from erfnet_jobs.erfnet.model import OUTPUTS, PARAMETERS, SHALLOW_BLOCKS, Encoder, EncoderPred, ERFNet, make_network
from erfnet_jobs.jobs import ENCODER, ERFNET
from tests.tiny import in_graphs, values_of

pytestmark = pytest.mark.mindspore
in_graphs()


def trainable(network):
    return {parameter.name: tuple(parameter.shape) for parameter in network.trainable_params()}


def test_the_parameters_are_the_published_ones():
    whole, encoder = trainable(ERFNet()), trainable(EncoderPred())

    assert sum(int(np.prod(shape)) for shape in whole.values()) == PARAMETERS == 2_064_256
    assert whole.items() >= {name: shape for name, shape in encoder.items() if not name.startswith("head.")}.items()
    assert sum(int(np.prod(encoder[f"head.{name}"])) for name in ("weight", "bias")) == 128 * 20 + 20
    assert whole["encoder.initial_block.conv.weight"] == (13, 3, 3, 3)
    assert whole["encoder.layers.14.conv3x1_2.weight"] == (128, 128, 3, 1)
    assert whole["decoder.output_conv.weight"] == (16, 20, 2, 2)


@pytest.mark.parametrize(("name", "size"), [(ERFNET, (64, 96)), (ENCODER, (8, 12))])
def test_logits_have_the_networks_resolution(name, size):
    network = make_network(name)
    network.set_train(False)
    initialise(network, 1)

    logits = network(Tensor(np.random.default_rng(0).random((1, 3, 64, 96), np.float32))).asnumpy()

    assert logits.shape == (1, OUTPUTS, *size)
    assert np.isfinite(logits).all()
    assert logits.std() > 0


def transposed(x, weight, bias):
    """A transposed convolution, 3x3, stride 2, padding 1, output_padding 1, written out (PyTorch's ConvTranspose2d)."""
    _, height, width = x.shape
    full = np.zeros((weight.shape[1], 2 * height + 1, 2 * width + 1))
    for row in range(height):
        for column in range(width):
            full[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3] += np.tensordot(x[:, row, column], weight, 1)
    return full[:, 1:, 1:] + bias[:, None, None]


def test_transposed_convolutions_are_aligned_as_pytorchs():
    convolution = Upsampler(2, 3).conv
    chance = np.random.default_rng(0)
    x, weight = chance.random((2, 4, 5), np.float32), chance.random((2, 3, 3, 3), np.float32)
    bias = np.array([1, 2, 3], np.float32)
    convolution.weight.set_data(Tensor(weight))
    convolution.bias.set_data(Tensor(bias))

    found = convolution(Tensor(x[None])).asnumpy()[0]

    assert np.allclose(found, transposed(x, weight, bias), atol=1e-5)


def test_masks_reach_the_channels_of_their_blocks():
    """A block whose mask is 0 hands its input on; masks of 1 change nothing."""
    encoder = Encoder()
    initialise(encoder, 1)
    encoder.set_train(False)
    image = Tensor(np.random.default_rng(0).random((2, 3, 32, 32), np.float32))
    ones = np.ones((2, CHANNELS), np.float32)
    plain = encoder(image).asnumpy()
    assert np.allclose(encoder(image, Tensor(ones)).asnumpy(), plain, atol=1e-6)

    halved = ones.copy()
    halved[0] = 0
    masked = encoder(image, Tensor(halved)).asnumpy()
    assert np.allclose(masked[1], plain[1], atol=1e-6)
    downsamplers = (encoder.initial_block, encoder.layers[0], encoder.layers[SHALLOW_BLOCKS + 1])
    bare = image
    for downsampler in downsamplers:
        bare = downsampler(bare)
    assert np.allclose(masked[0], bare.asnumpy()[0], atol=1e-6)


def test_first_weights_follow_from_the_seed():
    networks = [make_network(ENCODER) for _ in range(3)]
    for network, seed in zip(networks, (1, 1, 2), strict=True):
        initialise(network, seed)
    first, again, other = map(values_of, networks)

    name = "encoder.layers.6.conv.weight"
    assert all((first[key] == again[key]).all() for key in first)
    assert (first[name] != other[name]).any()
    assert 0.9 / np.sqrt(64 * 9) < np.abs(first[name]).max() <= 1 / np.sqrt(64 * 9)
    assert (first["encoder.layers.6.bn.gamma"] == 1).all()
