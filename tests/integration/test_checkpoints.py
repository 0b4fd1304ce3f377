"""Checkpoint files: whole, strict, and readable for others."""

import stat

import numpy as np
import pytest
from mindspore import Tensor, nn

from erfnet_jobs.choices import ENCODER, ERFNET
from erfnet_jobs.erfnet import checkpoints
from erfnet_jobs.erfnet.adam import Adam
from erfnet_jobs.erfnet.checkpoints import Position
from erfnet_jobs.erfnet.initialise import initialise
from erfnet_jobs.errors import BadCheckpoint
from erfnet_jobs.files import sha256_of
from tests.tiny import in_graphs, make_tiny, values_of

pytestmark = pytest.mark.mindspore
in_graphs()
POSITION = Position(ENCODER, 1, 2, 10, 42)


def encoder(seed=1):
    network = make_tiny(ENCODER)
    initialise(network, seed)
    return network


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "Encoder_stage1-2_10.ckpt"
    network = encoder()
    adam = Adam(network.trainable_params())
    adam.first[0].set_data(Tensor(np.full(adam.first[0].shape, 7, np.float32)))
    checkpoints.save(path, [*network.get_parameters(), *adam.state], POSITION)
    return path


def test_a_file_is_whole_readable_and_alone(saved):
    written = checkpoints.save(saved, encoder().get_parameters(), POSITION)

    assert stat.S_IMODE(saved.stat().st_mode) == 0o644
    assert list(saved.parent.iterdir()) == [saved]
    assert (written.sha256, written.size) == (sha256_of(saved), saved.stat().st_size)


def test_weights_and_moments_come_back(saved):
    network, wanted = encoder(seed=2), values_of(encoder())
    adam = Adam(network.trainable_params())
    checkpoint = checkpoints.load(saved)

    checkpoints.load_weights(checkpoint, ENCODER, network.get_parameters())
    checkpoints.load_adam(checkpoint, adam.state)

    assert checkpoint.network == ENCODER
    assert all((value == wanted[name]).all() for name, value in values_of(network).items())
    assert (adam.first[0].asnumpy() == 7).all()


def test_the_whole_network_takes_the_encoder_and_nothing_else(saved):
    network = make_tiny(ERFNET)
    initialise(network, 3)
    decoder = network.decoder.weight.asnumpy().copy()

    checkpoints.load_encoder(checkpoints.load(saved), network.get_parameters())

    wanted, found = values_of(encoder()), values_of(network)
    assert all((found[name] == wanted[name]).all() for name in wanted if name.startswith("encoder."))
    assert (found["decoder.weight"] == decoder).all()


def test_another_network_is_refused(saved):
    with pytest.raises(BadCheckpoint, match=r"holds the network encoder, not erfnet.*add --encoder"):
        checkpoints.load_weights(checkpoints.load(saved), ERFNET, make_tiny(ERFNET).get_parameters())


def test_names_and_shapes_must_be_the_same(tmp_path):
    path = tmp_path / "mine.ckpt"
    other = nn.Conv2d(3, 4, 1, pad_mode="valid", has_bias=True)
    checkpoints.save(path, other.get_parameters(), POSITION)

    with pytest.raises(BadCheckpoint, match=r"encoder\.layers\.0\.bn\.beta is missing.*and \d+ more"):
        checkpoints.load_weights(checkpoints.load(path), ENCODER, encoder().get_parameters())
    wider = nn.Conv2d(3, 8, 1, pad_mode="valid", has_bias=True)
    with pytest.raises(BadCheckpoint, match=r"weight is .*, not "):
        checkpoints.load_weights(checkpoints.load(path), ENCODER, wider.get_parameters())


@pytest.mark.parametrize("length", [0, 1, 100, 5000, -1])
def test_cut_short_files_are_refused(saved, length):
    content = saved.read_bytes()
    saved.write_bytes(content[:length])

    with pytest.raises(BadCheckpoint, match=saved.name):
        checkpoints.load_weights(checkpoints.load(saved), ENCODER, encoder().get_parameters())


@pytest.mark.parametrize("content", [b"no checkpoint", b"\x89PNG\r\n\x1a\n" * 100, bytes(1000)])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "picture.ckpt"
    path.write_bytes(content)

    with pytest.raises(BadCheckpoint, match=r"picture\.ckpt"):
        checkpoints.load_weights(checkpoints.load(path), ENCODER, encoder().get_parameters())


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(BadCheckpoint, match="is no file"):
        checkpoints.load(tmp_path / "absent.ckpt")
    with pytest.raises(BadCheckpoint, match="is no file"):
        checkpoints.load(tmp_path)


def test_another_suffix_is_told(saved):
    with pytest.raises(BadCheckpoint, match=r"is not called \*\.ckpt"):
        checkpoints.load(saved.rename(saved.with_suffix(".bin")))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(saved, value):
    network = encoder()
    network.head.bias.set_data(Tensor(np.full(network.head.bias.shape, value, np.float32)))
    checkpoints.save(saved, network.get_parameters(), POSITION)

    with pytest.raises(BadCheckpoint, match=r"its weights are not numbers .*head\.bias"):
        checkpoints.load_weights(checkpoints.load(saved), ENCODER, encoder(2).get_parameters())
