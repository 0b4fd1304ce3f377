"""ERFNet here against ERFNet in PyTorch, from a .pth file through import-weights to logits, gradients and a step.

The reference is tests/torch_erfnet.py. Weights, BatchNorm's scales and shifts and its statistics are all random.
"""

import re
from dataclasses import dataclass
from typing import Any

import mindspore
import numpy as np
import pytest
import torch
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from erfnet_jobs.choices import ENCODER, ERFNET
from erfnet_jobs.erfnet import checkpoints
from erfnet_jobs.erfnet.adam import Adam
from erfnet_jobs.erfnet.inference import inference_network, use_weights
from erfnet_jobs.erfnet.model import make_network
from erfnet_jobs.erfnet.stages import CLASS_WEIGHTS, LABEL_SCALES
from erfnet_jobs.erfnet.train_step import TrainStep
from erfnet_jobs.erfnet.weights import published_name
from erfnet_jobs.erfnet.weights_import import import_weights
from erfnet_jobs.plan import CheckpointFile
from tests.tiny import in_graphs, values_of
from tests.torch_erfnet import CLASSES, away_from_kinks, random_erfnet, torch_loss, with_close_classes, without_dropout

pytestmark = pytest.mark.mindspore
in_graphs()
RATE = 5e-4
# A bias that BatchNorm takes out again: its gradient is 0, and what is computed for it is rounding.
BEFORE_BATCH_NORM = re.compile(r".*\.(conv|conv1x3_1|conv1x3_2)\.bias")


def imported(folder, network, name):
    """The checkpoint that import-weights makes of the network."""
    source, path = folder / f"{name}.pth", folder / f"{name}.ckpt"
    torch.save(network.state_dict(), source)
    import_weights(source, name, path)
    return path


def random_image(height, width):
    """Patches of 64 x 64 with noise on them: of noise alone, all places look the same to a network."""
    chance = np.random.default_rng(0)
    patches = np.kron(chance.random((1, 3, height // 64, width // 64)), np.ones((64, 64)))
    return (0.8 * patches + 0.2 * chance.random((1, 3, height, width))).astype(np.float32)


@pytest.mark.parametrize("name", [ERFNET, ENCODER])
def test_logits_are_pytorchs(name, tmp_path):
    image = random_image(512, 1024)
    reference = with_close_classes(random_erfnet(seed=1), name, image)
    network = inference_network(name)
    use_weights(network, name, CheckpointFile(str(imported(tmp_path, reference, name))))

    found = network(Tensor(image)).asnumpy()

    with torch.no_grad():
        wanted = reference.logits(name, torch.from_numpy(image)).numpy()
    assert len(np.unique(wanted.argmax(1))) >= 10
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert (found.argmax(1) == wanted.argmax(1)).mean() >= 0.9999


@dataclass(frozen=True)
class Stepped:
    """One step of training on one batch, from the same weights, by names of ours: loss, gradients, weights after it.

    `step` is ours, `single` PyTorch's in float32, `double` in float64.
    """

    name: str
    before: dict[str, Any]
    step: "Step"
    single: "Step"
    double: "Step"


@dataclass(frozen=True)
class Step:
    loss: float
    gradients: dict[str, Any]
    after: dict[str, Any]


class Watched(nn.Cell):
    """Adam, and the gradients that it was given."""

    def __init__(self, adam, parameters):
        super().__init__(auto_prefix=False)
        self.adam = adam
        self.given = ParameterTuple(
            Parameter(ops.zeros_like(one), name=f"given.{one.name}", requires_grad=False) for one in parameters
        )
        self.map = ops.HyperMap()

    def construct(self, gradients, lr):
        self.map(ops.assign, self.given, gradients)
        self.adam(gradients, lr)


def our_step(name, path, images, labels):
    network = make_network(name)
    checkpoints.load_weights(checkpoints.load(path), name, network.get_parameters())
    before = values_of(network)
    step = TrainStep(network, CLASS_WEIGHTS[name], 1)
    step.adam = watched = Watched(step.adam, network.trainable_params())
    step.set_train(True)
    loss = step(Tensor(images), Tensor(labels), None, Tensor(RATE, mindspore.float32))
    gradients = {given.name.removeprefix("given."): given.asnumpy() for given in watched.given}
    return before, Step(float(loss.asnumpy()), gradients, values_of(network))


def their_step(name, state, ours, images, labels, precision):
    network = random_erfnet()
    network.load_state_dict(state)
    without_dropout(network.to(precision))
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE, weight_decay=1e-4, eps=1e-8)
    loss = torch_loss(network, name, images, labels, CLASS_WEIGHTS[name])
    loss.backward()
    given = dict(network.named_parameters())
    gradients = {key: given[published_name(key)].grad.numpy().copy() for key in ours.gradients}
    optimiser.step()
    after = {key: network.state_dict()[published_name(key)].numpy().copy() for key in ours.after}
    return Step(loss.item(), gradients, after)


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.xdist_group(f"parity_{name}")) for name in (ERFNET, ENCODER)],
)
def stepped(request, tmp_path_factory):
    name = request.param
    chance = np.random.default_rng(2)
    # At 1/8 18 x 18, so that the taps of dilation 16 see more than padding.
    images = chance.random((2, 3, 144, 144), np.float32)
    side = 144 // LABEL_SCALES[name]
    labels = chance.integers(0, CLASSES, (2, side, side)).astype(np.int32)
    state = away_from_kinks(random_erfnet(seed=3), name, images).state_dict()
    reference = random_erfnet()
    reference.load_state_dict(state)
    before, ours = our_step(name, imported(tmp_path_factory.mktemp(name), reference, name), images, labels)
    single, double = (
        their_step(name, state, ours, images, labels, precision) for precision in (torch.float32, torch.float64)
    )
    return Stepped(name, before, ours, single, double)


def test_the_training_loss_is_pytorchs(stepped):
    assert stepped.step.loss == pytest.approx(stepped.single.loss, rel=1e-3)
    assert stepped.step.loss == pytest.approx(stepped.double.loss, rel=1e-5)


def norm(array):
    return float(np.linalg.norm(array.astype(np.float64)))


def test_the_gradient_of_every_parameter_is_pytorchs(stepped):
    """Within 1e-3 of the norm of the parameter's gradient, of PyTorch's in both precisions."""
    compared = 0
    for key, found in stepped.step.gradients.items():
        if BEFORE_BATCH_NORM.fullmatch(key):
            continue
        for wanted in (stepped.single.gradients[key], stepped.double.gradients[key]):
            assert norm(found - wanted) <= 1e-3 * norm(wanted), key
        compared += 1
    assert compared == {ERFNET: 187, ENCODER: 141}[stepped.name]


def test_what_batch_norm_takes_out_has_no_gradient_in_either(stepped):
    """Measured by the gradient of the weights of the same convolution."""
    biases = [key for key in stepped.step.gradients if BEFORE_BATCH_NORM.fullmatch(key)]
    for key in biases:
        scale = norm(stepped.double.gradients[key.removesuffix("bias") + "weight"])
        assert norm(stepped.double.gradients[key]) <= 1e-12 * scale, key
        assert norm(stepped.step.gradients[key]) <= 1e-4 * scale, key
    assert len(biases) == {ERFNET: 39, ENCODER: 29}[stepped.name]


def test_the_running_statistics_are_pytorchs(stepped):
    statistics = [key for key in stepped.before if "moving_" in key]
    for key in statistics:
        moved = stepped.double.after[key] - stepped.before[key]
        assert norm(moved) > 0, key
        assert norm(stepped.step.after[key] - stepped.double.after[key]) <= 1e-3 * norm(moved), key
    assert len(statistics) == {ERFNET: 78, ENCODER: 58}[stepped.name]


def test_one_step_of_adam_is_pytorchs(stepped):
    """Within a thousandth of the step's length, and the last place of a float32.

    Adam's first step is nearly the gradient's sign, so it is chance where the gradient is rounding: numbers whose
    gradient is below a hundredth of the parameter's root mean square are only held to the step's length.
    """
    compared = total = 0
    for key, gradient in stepped.double.gradients.items():
        decayed = gradient + 1e-4 * stepped.before[key]
        certain = np.abs(decayed) > 1e-2 * np.sqrt(np.mean(decayed**2))
        certain |= gradient == 0  # behind a ReLU that is off; then the decay alone is left
        certain &= not BEFORE_BATCH_NORM.fullmatch(key)
        found, wanted = (side.after[key] - stepped.before[key] for side in (stepped.step, stepped.single))
        last_place = np.spacing(np.abs(stepped.before[key]))
        assert (np.abs(found) <= 1.001 * RATE + last_place).all(), key
        assert (np.abs(found - wanted) <= 1e-3 * RATE + last_place)[certain].all(), key
        compared, total = compared + int(certain.sum()), total + certain.size
    assert compared > 0.9 * total


def test_adam_with_pytorchs_gradients_goes_where_pytorchs_goes(stepped):
    """Three steps of all parameters, the gradients of the second tiny, so that it shows where eps is added."""
    network = make_network(stepped.name)
    for parameter in network.get_parameters():
        parameter.set_data(Tensor(stepped.before[parameter.name]))
    keys = [parameter.name for parameter in network.trainable_params()]
    theirs = {key: torch.nn.Parameter(torch.from_numpy(stepped.before[key].copy())) for key in keys}
    optimiser = torch.optim.Adam(theirs.values(), lr=RATE, weight_decay=1e-4, eps=1e-8)
    adam = Adam(network.trainable_params())

    for factor in (1.0, 1e-6, -0.5):
        gradients = {key: stepped.single.gradients[key] * np.float32(factor) for key in keys}
        # As constants they would have the graph compiled anew with each step.
        given = mindspore.mutable(tuple(Tensor(gradients[key]) for key in keys))
        adam(given, Tensor(RATE, mindspore.float32))
        for key in keys:
            theirs[key].grad = torch.from_numpy(gradients[key])
        optimiser.step()
    assert len(adam.compile_cache) == 1

    after = values_of(network)
    for key in keys:
        apart = np.abs(after[key] - theirs[key].detach().numpy())
        assert (apart <= 1e-3 * RATE + 3 * np.spacing(np.abs(after[key]))).all(), key
