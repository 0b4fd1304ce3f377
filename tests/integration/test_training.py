"""The whole of a training in one process: four stages, what is written and reported, and going on after an end."""

import json
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor
from PIL import Image

from erfnet_jobs.ascend.environment import RankEnvironment
from erfnet_jobs.erfnet import train as training
from erfnet_jobs.erfnet.checkpoints import load
from erfnet_jobs.erfnet.dataset import open_source
from erfnet_jobs.erfnet.initialise import initialise
from erfnet_jobs.erfnet.scenes import Scenes, make_scenes
from erfnet_jobs.errors import BadCheckpoint, BadData, LossNotFinite, RanksFailed
from erfnet_jobs.files import sha256_of
from erfnet_jobs.plan import CheckpointFile, Plan, RankPlace
from erfnet_jobs.reports import CheckpointRemoved, CheckpointWritten, Metric, Phase, Progress
from erfnet_jobs.states import JobKind
from erfnet_jobs.train_spec import TrainSpec
from tests.small_data import add_pair
from tests.tiny import in_graphs, make_tiny

pytestmark = [pytest.mark.mindspore, pytest.mark.xdist_group("training")]
in_graphs()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "scenes"
    make_scenes(root, Scenes(train=4, val=1, size=(64, 128), seed=1), workers=1)
    return root


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(training, "make_network", make_tiny)


class Attempt:
    """One attempt of a training with small networks, on two batches an epoch."""

    def __init__(self, folder, data, number=1, resume=None, inputs=(), **spec):
        values = {
            "epochs": (2, 1, 2, 2),
            "batch_size": 2,
            "size": (64, 64),
            "seed": 5,
            "lr": 1e-3,
            # What an epoch measured changes nothing: tests/integration/test_validation.py.
            "validate_every": 0,
            **spec,
        }
        self.plan = Plan(
            kind=JobKind.TRAIN,
            spec=TrainSpec(data=str(data), **values),
            run_dir=str(folder / str(number)),
            data_dir=str(folder / "cache"),
            ranks=(RankPlace(0, "here", 0, 0),),
            resume=resume,
            inputs=inputs,
        )
        self.reports = []

    def run(self):
        training.train(self.plan, RankEnvironment(), self.reports.append)
        return self

    def of(self, kind):
        return [report for report in self.reports if isinstance(report, kind)]

    @property
    def folder(self):
        return self.plan.checkpoint_dir

    def files(self):
        return sorted(path.name for path in self.folder.iterdir())

    def checkpoint(self, name):
        found = next(report for report in self.of(CheckpointWritten) if report.path.endswith(name))
        path = self.folder / name
        return CheckpointFile(str(path), found.network, found.sha256, 1, found.stage, found.epoch, found.step)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    """A training of all stages, never interrupted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "make_network", make_tiny)
        return Attempt(tmp_path_factory.mktemp("whole"), data).run()


def test_four_stages_leave_their_checkpoints_and_a_manifest(whole):
    names = [
        "ERFNet_stage3-1_2.ckpt",
        "ERFNet_stage3-2_2.ckpt",
        "ERFNet_stage4-1_2.ckpt",
        "ERFNet_stage4-2_2.ckpt",
        "Encoder_stage1-1_2.ckpt",
        "Encoder_stage1-2_2.ckpt",
        "Encoder_stage2-1_2.ckpt",
    ]
    assert whole.files() == [*names, "manifest.json"]
    manifest = json.loads((whole.folder / "manifest.json").read_text())
    assert manifest["dataset_hash"] == open_source(Path(whole.plan.spec.data), "train").dataset_hash
    entries = manifest["checkpoints"]
    assert sorted(entry["file"] for entry in entries) == names
    written = {report.path: report for report in whole.of(CheckpointWritten)}
    for entry in entries:
        assert sha256_of(whole.folder / entry["file"]) == entry["sha256"]
        assert written[f"checkpoints/{entry['file']}"].sha256 == entry["sha256"]


def test_each_network_is_compiled_once_and_progress_ends_at_one(whole):
    assert [report.name for report in whole.of(Phase)].count("compile") == 2
    assert whole.of(Progress)[-1].fraction == 1.0
    assert [report.stage for report in whole.of(Metric) if "epoch_loss" in report.values] == [1, 1, 2, 3, 3, 4, 4]


def test_stage_three_starts_with_the_encoder_of_stage_two(whole):
    """Batches and first weights being the same, only the start tells the first epoch of stage 3 from a fresh one."""
    encoder = load(whole.folder / "Encoder_stage2-1_2.ckpt").weights
    after = load(whole.folder / "ERFNet_stage3-1_2.ckpt").weights
    fresh = make_tiny("encoder")
    initialise(fresh, 5)
    name = "encoder.layers.2.conv.weight"
    first = {parameter.name: parameter.asnumpy() for parameter in fresh.get_parameters()}[name]

    assert np.abs(after[name] - encoder[name]).mean() < np.abs(after[name] - first).mean()


@pytest.mark.parametrize(
    ("name", "validate_every"),
    [
        ("Encoder_stage1-1_2.ckpt", 1),
        ("Encoder_stage2-1_2.ckpt", 0),
        ("ERFNet_stage3-1_2.ckpt", 0),
        ("ERFNet_stage3-2_2.ckpt", 0),
    ],
)
def test_a_resumed_training_ends_with_the_same_weights(tmp_path, whole, data, name, validate_every):
    resumed = Attempt(tmp_path, data, 2, whole.checkpoint(name), validate_every=validate_every).run()

    last = "ERFNet_stage4-2_2.ckpt"
    wanted, found = load(whole.folder / last), load(resumed.folder / last)
    assert all((found.weights[key] == value).all() for key, value in wanted.weights.items())
    assert all((found.adam[key] == value).all() for key, value in wanted.adam.items())
    assert name in resumed.files()
    assert not [report for report in resumed.of(CheckpointWritten) if report.path.endswith(name)]
    assert resumed.of(Progress)[0].fraction > 0.05


def test_a_checkpoint_that_changed_is_not_resumed(tmp_path, whole, data):
    resume = whole.checkpoint("Encoder_stage1-1_2.ckpt")
    changed = tmp_path / "Encoder_stage1-1_2.ckpt"
    changed.write_bytes(b"changed")
    given = CheckpointFile(str(changed), "encoder", resume.sha256, 1, 1, 1, 2)

    with pytest.raises(RanksFailed, match="has changed"):
        Attempt(tmp_path, data, resume=given).run()


def test_only_the_newest_checkpoints_of_a_stage_stay(tmp_path, data):
    attempt = Attempt(tmp_path, data, epochs=(4, 1, 1, 1), stages=(1,), keep=2).run()

    assert attempt.files() == ["Encoder_stage1-3_2.ckpt", "Encoder_stage1-4_2.ckpt", "manifest.json"]
    removed = [report.path for report in attempt.of(CheckpointRemoved)]
    assert removed == ["checkpoints/Encoder_stage1-1_2.ckpt", "checkpoints/Encoder_stage1-2_2.ckpt"]


def test_a_later_stage_starts_from_what_the_user_named(tmp_path, whole, data):
    given = whole.checkpoint("Encoder_stage2-1_2.ckpt")
    attempt = Attempt(tmp_path, data, stages=(3,), checkpoint="1", inputs=(given,)).run()

    # The whole training's stage 3 began there too.
    name = "ERFNet_stage3-2_2.ckpt"
    wanted, found = load(whole.folder / name).weights, load(attempt.folder / name).weights
    assert all((found[key] == value).all() for key, value in wanted.items())


def test_a_checkpoint_of_another_network_is_refused(tmp_path, whole, data):
    given = whole.checkpoint("Encoder_stage2-1_2.ckpt")
    with pytest.raises(BadCheckpoint, match="holds the network encoder, not erfnet"):
        Attempt(tmp_path, data, stages=(4,), checkpoint="1", inputs=(given,)).run()


def test_fewer_images_than_a_batch_repeat(tmp_path, data, caplog):
    attempt = Attempt(tmp_path, data, batch_size=8, stages=(1,), epochs=(1, 1, 1, 1)).run()

    assert attempt.of(Progress)[-1].steps == 1
    assert "images repeat" in caplog.text


def test_a_loss_that_is_no_number_ends_the_attempt(tmp_path, data, monkeypatch):
    def poisoned(network, seed):
        initialise(network, seed)
        bias = next(one for one in network.trainable_params() if one.name == "head.bias")
        bias.set_data(Tensor(np.full(bias.shape, np.nan, np.float32)))

    monkeypatch.setattr(training, "initialise", poisoned)
    attempt = Attempt(tmp_path, data)
    with pytest.raises(LossNotFinite, match=r"stage 1, epoch 1, step 1 at learning rate 0\.001"):
        attempt.run()
    assert attempt.of(CheckpointWritten) == []


def test_weights_that_are_no_numbers_are_not_written(tmp_path, data, monkeypatch):
    """Behind MindSpore's ReLU the loss stays a number."""

    def poisoned(network, seed):
        initialise(network, seed)
        bias = next(one for one in network.trainable_params() if one.name == "encoder.layers.0.conv.bias")
        bias.set_data(Tensor(np.full(bias.shape, np.nan, np.float32)))

    monkeypatch.setattr(training, "initialise", poisoned)
    attempt = Attempt(tmp_path, data, stages=(1,))
    with pytest.raises(LossNotFinite, match=r"weights \(.*stage 1, epoch 1, step 2 at learning rate 0\.001"):
        attempt.run()
    assert attempt.of(CheckpointWritten) == []


def test_labels_that_are_all_ignored(tmp_path):
    _, label = add_pair(tmp_path / "data", "train", "aachen_000000_000019", seed=1)
    Image.fromarray(np.zeros((24, 40), np.uint8)).save(label)

    with pytest.raises(BadData, match="ignored"):
        Attempt(tmp_path, tmp_path / "data").run()


def test_missing_data(tmp_path):
    with pytest.raises(BadData):
        Attempt(tmp_path, tmp_path / "absent").run()
