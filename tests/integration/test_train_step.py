"""The loss, Adam and one step, against the same written out in NumPy; and two ranks against one process."""

import json

import mindspore
import numpy as np
import pytest
from mindspore import Tensor, ops

from erfnet_jobs.erfnet.adam import Adam
from erfnet_jobs.erfnet.initialise import initialise
from erfnet_jobs.erfnet.labels import DECODER_WEIGHTS, ENCODER_WEIGHTS, IGNORE
from erfnet_jobs.erfnet.loss import LogSoftmax, WeightedLoss, check_finite
from erfnet_jobs.erfnet.train_step import TrainStep
from erfnet_jobs.erfnet.transforms import UNIT
from erfnet_jobs.errors import LossNotFinite
from erfnet_jobs.jobs import ENCODER, JobKind, TrainSpec
from erfnet_jobs.launch.gang import Gang
from erfnet_jobs.launch.program import RankProgram
from erfnet_jobs.plan import Plan, RankPlace, write_plan
from tests.tiny import Pointwise, in_graphs, make_tiny, random_batch, values_of
from tests.two_ranks import batch_of, first_values, take_steps

pytestmark = pytest.mark.mindspore
in_graphs()
RATE = 1e-2


def rate(value=RATE):
    return Tensor(value, mindspore.float32)


def weighted_mean(logits, labels, weights):
    """PyTorch's cross_entropy(weight=weights), pixel by pixel."""
    total = norm = 0.0
    for image, row, column in np.ndindex(*labels.shape):
        scores, label = logits[image, :, row, column].astype(np.float64), labels[image, row, column]
        total += weights[label] * (np.log(np.exp(scores).sum()) - scores[label])
        norm += weights[label]
    return total / norm


def test_the_loss_is_the_weighted_mean():
    network = Pointwise()
    images, labels = random_batch(0)

    loss, weights = WeightedLoss(network, DECODER_WEIGHTS)(Tensor(images), Tensor(labels))

    wanted = weighted_mean(network(Tensor(images)).asnumpy(), labels, DECODER_WEIGHTS)
    assert float(loss.asnumpy()) / float(weights.asnumpy()) == pytest.approx(wanted, rel=1e-5)


def test_log_softmax_has_the_gradient_of_log_softmax():
    chance = np.random.default_rng(0)
    logits, sensitivity = (chance.normal(size=(2, 20, 3, 5)).astype(np.float32) * scale for scale in (9, 1))

    gradient = ops.GradOperation(sens_param=True)(LogSoftmax())(Tensor(logits), Tensor(sensitivity)).asnumpy()

    shares = np.exp(logits.astype(np.float64))
    shares /= shares.sum(1, keepdims=True)
    assert np.allclose(gradient, sensitivity - shares * sensitivity.sum(1, keepdims=True), atol=1e-5)


def test_a_batch_of_ignored_pixels_has_no_loss_and_no_gradient():
    network = Pointwise()
    images, labels = random_batch(0)
    labels[:] = IGNORE
    gradient = ops.value_and_grad(WeightedLoss(network, DECODER_WEIGHTS), None, network.trainable_params(), True)

    (loss, weights), gradients = gradient(Tensor(images), Tensor(labels))

    assert float(loss.asnumpy()) == float(weights.asnumpy()) == 0
    assert all((one.asnumpy() == 0).all() for one in gradients)
    assert float(TrainStep(network, DECODER_WEIGHTS, 1)(Tensor(images), Tensor(labels), None, rate()).asnumpy()) == 0
    assert all(np.isfinite(value).all() for value in values_of(network).values())


def test_adam_is_pytorchs():
    network = Pointwise()
    adam = Adam(network.trainable_params())
    chance = np.random.default_rng(0)
    wanted = {name: value.astype(np.float64) for name, value in values_of(network).items()}
    moments = {name: (np.zeros_like(value), np.zeros_like(value)) for name, value in wanted.items()}

    for step in range(1, 4):
        # Tiny ones show where eps is added.
        gradients = {name: chance.normal(size=value.shape) * 1e-7 for name, value in wanted.items()}
        adam(tuple(Tensor(gradient.astype(np.float32)) for gradient in gradients.values()), rate())
        for name, gradient in gradients.items():
            decayed = gradient + 1e-4 * wanted[name]
            first, second = moments[name]
            first[:] = 0.9 * first + 0.1 * decayed
            second[:] = 0.999 * second + 0.001 * decayed**2
            corrected = np.sqrt(second / (1 - 0.999**step)) + 1e-8
            wanted[name] -= RATE * first / (1 - 0.9**step) / corrected

    for name, value in values_of(network).items():
        assert np.allclose(value, wanted[name], atol=1e-5), name


def test_another_rate_compiles_nothing_anew():
    step = TrainStep(Pointwise(), DECODER_WEIGHTS, 1)
    images, labels = map(Tensor, random_batch(0))

    losses = [float(step(images, labels, None, rate(value)).asnumpy()) for value in (1e-2, 1e-3, 1e-4)]

    assert losses[0] > losses[-1]
    assert len(step.compile_cache) == 1


def test_two_ranks_do_what_one_process_does_with_both_batches(tmp_path):
    places = tuple(RankPlace(rank, "here", rank, rank) for rank in (0, 1))
    plan = Plan(JobKind.TRAIN, TrainSpec(data="none", cards=2), str(tmp_path / "1"), str(tmp_path), places)
    (tmp_path / "1").mkdir()
    write_plan(plan, tmp_path / "1" / "plan.json")
    gang = Gang(plan, "here", program=RankProgram("tests.two_ranks"))
    try:
        gang.start()
        for known in (0, 1):
            assert gang.wait_for_death(known, 120)
    finally:
        assert gang.kill() == []
    codes = [death.exit_code for death in gang.deaths() if death.rank is not None]
    assert codes == [0, 0], plan.log_path(0).read_text() + plan.log_path(1).read_text()

    found = [json.loads((tmp_path / "1" / f"rank_{rank}.json").read_text()) for rank in (0, 1)]
    batches = [batch_of(rank) for rank in (0, 1)]
    alone = take_steps(TrainStep, tuple(np.concatenate(parts) for parts in zip(*batches, strict=True)), world_size=1)
    assert found[0] == found[1]
    assert found[0]["loss"] == pytest.approx(alone["loss"], rel=1e-5)
    for name, values in first_values().items():
        moved, wanted = np.array(found[0][name]) - values, np.array(alone[name]) - values
        assert np.abs(wanted).max() > 1e-4
        assert np.allclose(moved, wanted, atol=1e-6), name


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops(loss):
    check_finite(1.0, 1, 1, 1, 0.5)
    with pytest.raises(LossNotFinite, match=r"stage 3, epoch 2, step 7 at learning rate 0\.0005"):
        check_finite(loss, 3, 2, 7, 5e-4)


def test_training_mode_reaches_the_network():
    network = make_tiny(ENCODER)
    step = TrainStep(network, ENCODER_WEIGHTS, 1)

    step.set_train(True)

    norm = network.encoder.layers[0].bn
    assert norm.training
    images, labels = random_batch(0, size=(16, 16))
    step(Tensor(images), Tensor(labels[:, ::8, ::8]), None, rate())
    assert (norm.moving_mean.asnumpy() != 0).any()
    assert (norm.moving_variance.asnumpy() != 1).any()


def test_images_of_eight_bits_are_scaled_as_the_host_scales_them():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8)).astype(np.uint8)
    _, labels = random_batch(0)
    losses, weights = [], []
    for images in (pixels, np.multiply(pixels, UNIT, dtype=np.float32)):
        network = Pointwise()
        initialise(network, 1)
        step = TrainStep(network, DECODER_WEIGHTS, 1)
        losses.append([float(step(Tensor(images), Tensor(labels), None, rate()).asnumpy()) for _ in range(2)])
        weights.append(values_of(network))
    assert losses[0] == losses[1]
    assert all((weights[1][name] == value).all() for name, value in weights[0].items())
