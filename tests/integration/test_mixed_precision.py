"""Mixed precision trains the same network: MindSpore's levels on the CPU, which computes in 16 bits when told to."""

import mindspore
import numpy as np
import pytest
from mindspore import Tensor

from erfnet_jobs.choices import AMP_LEVELS
from erfnet_jobs.erfnet.initialise import initialise
from erfnet_jobs.erfnet.labels import DECODER_WEIGHTS
from erfnet_jobs.erfnet.precision import loss_scale
from erfnet_jobs.erfnet.train_step import TrainStep
from tests.tiny import TinyNet, in_graphs, random_batch, values_of

pytestmark = pytest.mark.mindspore
in_graphs()
SIZE = (32, 32)


def trained(level):
    """The losses of three steps, and the weights then."""
    network = TinyNet()
    initialise(network, 1)
    network = mindspore.amp.auto_mixed_precision(network, level)
    step = TrainStep(network, DECODER_WEIGHTS, 1, loss_scale(level, 2 * SIZE[0] * SIZE[1]))
    step.set_train(True)
    batch = [*map(Tensor, random_batch(0, 2, SIZE)), None, Tensor(1e-3, mindspore.float32)]
    return [float(step(*batch).asnumpy()) for _ in range(3)], values_of(network)


@pytest.fixture(scope="module")
def full():
    return trained("O0")


@pytest.mark.parametrize("level", AMP_LEVELS[1:])
def test_levels_train_alike(level, full, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # O1 leaves a folder of rewritten cells where it runs
    losses, weights = trained(level)

    assert losses == pytest.approx(full[0], rel=5e-3)
    assert losses[2] < losses[0]
    assert weights.keys() == full[1].keys()
    assert all(value.dtype == np.float32 for value in weights.values())
    # O1 and auto leave nothing that shows on every CPU kernel; the others compute the convolutions in 16 bits.
    assert losses != full[0] or level in ("O1", "auto")


def test_a_step_whose_gradients_overflow_changes_no_weight_for_worse():
    """In 16 bits a scale of 2^40 overflows: Adam and the weights stay numbers, and only its weight decay acts."""
    network = TinyNet()
    initialise(network, 1)
    before = values_of(network)
    network = mindspore.amp.auto_mixed_precision(network, "O3")
    step = TrainStep(network, DECODER_WEIGHTS, 1, loss_scale=2.0**40)
    step.set_train(True)
    batch = [*map(Tensor, random_batch(0, 2, SIZE)), None, Tensor(1e-3, mindspore.float32)]

    losses = [float(step(*batch).asnumpy()) for _ in range(2)]

    assert np.isfinite(losses).all()
    for name, value in values_of(network).items():
        assert np.isfinite(value).all(), name
        if not name.endswith(("moving_mean", "moving_variance")):
            assert np.abs(value - before[name]).max() <= 2.1e-3, name


def test_the_loss_scale_changes_nothing_in_full_precision(full):
    network = TinyNet()
    initialise(network, 1)
    step = TrainStep(network, DECODER_WEIGHTS, 1, loss_scale=2.0**-4)
    step.set_train(True)
    batch = [*map(Tensor, random_batch(0, 2, SIZE)), None, Tensor(1e-3, mindspore.float32)]
    assert [float(step(*batch).asnumpy()) for _ in range(3)] == full[0]
