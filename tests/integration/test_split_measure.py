"""Measuring a split with small networks: batches, protocols, the loss, what is left after it, and two ranks."""

import json
import math

import mindspore
import numpy as np
import pytest
from mindspore import Tensor

from erfnet_jobs.choices import ENCODER, ERFNET
from erfnet_jobs.erfnet.dataset import open_source
from erfnet_jobs.erfnet.initialise import initialise
from erfnet_jobs.erfnet.labels import DECODER_WEIGHTS, IGNORE
from erfnet_jobs.erfnet.metrics import confusion_matrix
from erfnet_jobs.erfnet.split_measure import SplitMeasure, enlarged
from erfnet_jobs.erfnet.train_step import TrainStep
from erfnet_jobs.erfnet.transforms import prepare_image, prepare_label
from erfnet_jobs.launch.gang import Gang
from erfnet_jobs.launch.program import RankProgram
from erfnet_jobs.plan import Plan, RankPlace, write_plan
from erfnet_jobs.states import JobKind
from erfnet_jobs.train_spec import TrainSpec
from tests.small_data import make_dataset
from tests.tiny import in_graphs, make_tiny, random_batch, values_of
from tests.two_measures import DATA_SIZE, IMAGES, SIZE, measured_document, measured_network

pytestmark = pytest.mark.mindspore
in_graphs()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("data"), train=1, val=IMAGES, size=DATA_SIZE)


@pytest.fixture(scope="module")
def network():
    return measured_network()


def logits_of(network, source):
    network.set_train(False)
    return [network(Tensor(prepare_image(sample.image, SIZE)[None])).asnumpy()[0] for sample in source]


def test_the_loss_is_per_labelled_pixel_and_the_matrix_that_of_the_predictions(data, network):
    source = open_source(data, "val")
    found = SplitMeasure(source, network, ERFNET, SIZE, 1).measure()

    total = norm = 0.0
    matrix = np.zeros((20, 20), np.int64)
    for sample, logits in zip(source, logits_of(network, source), strict=True):
        label = prepare_label(sample.label, SIZE)
        weights = np.asarray(DECODER_WEIGHTS)[label]
        scores = logits.astype(np.float64)
        own = np.take_along_axis(scores, label[None].astype(np.int64), 0)[0]
        total += (weights * (np.log(np.exp(scores).sum(0)) - own)).sum()
        norm += weights.sum()
        matrix += confusion_matrix(label, logits.argmax(0))
    assert found.mean_loss == pytest.approx(total / norm, rel=1e-6)
    assert (found.matrix == matrix).all()


@pytest.mark.parametrize("protocol", ["half", "full"])
def test_the_batch_size_changes_nothing(data, network, protocol):
    source = open_source(data, "val")
    one, three = (SplitMeasure(source, network, ERFNET, SIZE, size, protocol=protocol).measure() for size in (1, 3))

    assert (one.matrix == three.matrix).all()
    assert one.mean_loss == pytest.approx(three.mean_loss, rel=1e-6)
    assert one.image_ious.tolist() == three.image_ious.tolist()


def test_full_compares_at_the_size_of_the_label(data, network):
    source = open_source(data, "val")
    half, full = (SplitMeasure(source, network, ERFNET, SIZE, 2, protocol=protocol) for protocol in ("half", "full"))
    half, full = half.measure(), full.measure()

    matrix = sum(
        confusion_matrix(sample.label, enlarged(logits.argmax(0).astype(np.uint8), DATA_SIZE))
        for sample, logits in zip(source, logits_of(network, source), strict=True)
    )
    assert (full.matrix == matrix).all()
    assert full.matrix.sum() == IMAGES * math.prod(DATA_SIZE)
    assert half.matrix.sum() == IMAGES * math.prod(SIZE)
    assert full.mean_loss == half.mean_loss


def test_the_encoder_is_measured_at_an_eighth(data):
    encoder = make_tiny(ENCODER)
    initialise(encoder, 1)
    source = open_source(data, "val")

    half = SplitMeasure(source, encoder, ENCODER, SIZE, 2).measure()
    full = SplitMeasure(source, encoder, ENCODER, SIZE, 2, protocol="full").measure()

    assert half.matrix.sum() == IMAGES * math.prod(SIZE) // 64
    assert full.matrix.sum() == IMAGES * math.prod(DATA_SIZE)


def test_images_with_nothing_labelled_have_no_iou_of_their_own(data, network):
    source = [*open_source(data, "val")]
    source[1].label[:] = IGNORE
    found = SplitMeasure(source, network, ERFNET, SIZE, 2).measure()

    assert np.isnan(found.image_ious).tolist() == [False, True, *[False] * (IMAGES - 2)]


def test_a_network_that_is_being_trained_is_measured_with_the_weights_it_has(data):
    network = measured_network()
    split = SplitMeasure(open_source(data, "val"), network, ERFNET, SIZE, 1)
    before = split.measure()
    network.set_train(True)
    bias = network.decoder.bias
    bias.set_data(Tensor(np.where(np.arange(20) == 3, 1000, 0).astype(np.float32)))

    after = split.measure()

    assert not (before.matrix == after.matrix).all()
    assert after.matrix[:, 3].sum() == after.matrix.sum()
    assert len(split.step.compile_cache) == 1


def test_a_training_goes_on_after_a_measure_and_compiles_nothing_anew(data):
    """Bit for bit as one that was not measured: running statistics of BatchNorm stay as the training left them."""
    source, batch = (
        open_source(data, "val"),
        (*map(Tensor, random_batch(0, size=SIZE)), None, Tensor(1e-3, mindspore.float32)),
    )
    values = []
    for measured in (False, True):
        network = measured_network()
        step = TrainStep(network, DECODER_WEIGHTS, 1)
        split = SplitMeasure(source, network, ERFNET, SIZE, 2)
        for _ in range(3):
            step.set_train(True)
            step(*batch)
            if measured:
                split.measure()
        assert len(step.compile_cache) == 1
        values.append(values_of(network))

    for name, value in values[0].items():
        assert (value == values[1][name]).all(), name


def test_progress_counts_images(data, network):
    done = []
    SplitMeasure(open_source(data, "val"), network, ERFNET, SIZE, 2).measure(done.append)

    assert done == [2, 4, IMAGES]


def test_ranks_find_together_what_one_finds(tmp_path, data):
    """Three, more than there are images on one of the splits: the training's has one. Two are in test_evaluate.py."""
    ranks = 3
    places = tuple(RankPlace(rank, "here", rank, rank) for rank in range(ranks))
    spec = TrainSpec(data=str(data), cards=ranks)
    plan = Plan(JobKind.TRAIN, spec, str(tmp_path / "1"), str(tmp_path), places)
    (tmp_path / "1").mkdir()
    write_plan(plan, tmp_path / "1" / "plan.json")
    gang = Gang(plan, "here", program=RankProgram("tests.two_measures"))
    try:
        gang.start()
        for known in range(ranks):
            assert gang.wait_for_death(known, 120)
    finally:
        assert gang.kill() == []
    codes = [death.exit_code for death in gang.deaths() if death.rank is not None]
    assert codes == [0] * ranks, "".join(plan.log_path(rank).read_text() for rank in range(ranks))

    found = [json.loads((tmp_path / "1" / f"rank_{rank}.json").read_text()) for rank in range(ranks)]
    alone = measured_document(data)
    assert all(document == found[0] for document in found)
    assert "rank 0 sees 5 images and rank 1 1" in found[0].pop("fault")
    for name, wanted in alone.items():
        got = found[0][name]
        assert got["matrix"] == wanted["matrix"], name
        assert got["mean_loss"] == pytest.approx(wanted["mean_loss"], rel=1e-6)
        assert got["image_ious"] == wanted["image_ious"]
