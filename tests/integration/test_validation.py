"""A training that measures itself: metrics by epoch, the best checkpoint kept, the training itself untouched."""

import numpy as np
import pytest

from erfnet_jobs.ascend.environment import RankEnvironment
from erfnet_jobs.erfnet import train as training
from erfnet_jobs.erfnet import validation as validation_module
from erfnet_jobs.erfnet.checkpoints import load
from erfnet_jobs.erfnet.manifest import Manifest
from erfnet_jobs.erfnet.scenes import Scenes, make_scenes
from erfnet_jobs.erfnet.stages import stage_runs
from erfnet_jobs.erfnet.validation import validates, validations_left
from erfnet_jobs.errors import BadData
from erfnet_jobs.plan import Plan, RankPlace
from erfnet_jobs.reports import CheckpointRemoved, CheckpointWritten, Metric
from erfnet_jobs.states import JobKind
from erfnet_jobs.train_spec import TrainSpec
from tests.small_data import make_dataset
from tests.tiny import in_graphs, make_tiny

pytestmark = [pytest.mark.mindspore, pytest.mark.xdist_group("validation")]
in_graphs()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "scenes"
    make_scenes(root, Scenes(train=4, val=3, size=(64, 128), seed=1), workers=1)
    return root


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(training, "make_network", make_tiny)


def spec_of(data, **values):
    return TrainSpec(str(data), **{"epochs": (4, 1, 2, 2), "batch_size": 2, "size": (64, 64), "lr": 3e-3, **values})


def trained(folder, spec):
    """The folder of its checkpoints, and what it reported."""
    place = RankPlace(0, "here", 0, 0)
    plan = Plan(JobKind.TRAIN, spec, str(folder), str(folder.parent / "cache"), (place,))
    reports = []
    training.train(plan, RankEnvironment(), reports.append)
    return plan.checkpoint_dir, reports


@pytest.fixture(scope="module")
def first_stage(tmp_path_factory, data):
    """The first stage alone, of which one checkpoint is kept beside the best."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "make_network", make_tiny)
        return trained(tmp_path_factory.mktemp("first") / "measured", spec_of(data, stages=(1,), keep=1))


def test_every_epoch_is_measured_and_the_best_is_kept(first_stage):
    folder, reports = first_stage

    found = {
        report.epoch: report.values["val_mean_iou"]
        for report in reports
        if isinstance(report, Metric) and "val_mean_iou" in report.values
    }
    assert list(found) == [1, 2, 3, 4]
    best = max(found, key=lambda epoch: (found[epoch], epoch))
    kept = {entry.epoch: entry.mean_iou for entry in Manifest(folder).entries}
    assert kept == {epoch: found[epoch] for epoch in {best, 4}}
    assert {path.name for path in folder.glob("*.ckpt")} == {f"Encoder_stage1-{epoch}_2.ckpt" for epoch in {best, 4}}
    assert len([report for report in reports if isinstance(report, CheckpointRemoved)]) == 4 - len(kept)


def test_a_checkpoint_counts_once_its_epoch_is_measured(first_stage):
    """Killed in between, the next attempt would go on behind an epoch that nobody measures any more."""
    _, reports = first_stage

    told = [
        (type(one), one.epoch)
        for one in reports
        if isinstance(one, CheckpointWritten) or (isinstance(one, Metric) and "val_loss" in one.values)
    ]
    assert told == [(kind, epoch) for epoch in (1, 2, 3, 4) for kind in (Metric, CheckpointWritten)]


def test_measuring_changes_nothing_of_the_training(tmp_path, data):
    measured, _ = trained(tmp_path / "measured", spec_of(data))
    alone, reports = trained(tmp_path / "alone", spec_of(data, validate_every=0))

    name = "ERFNet_stage4-2_2.ckpt"
    wanted, found = load(alone / name), load(measured / name)
    assert all((found.weights[key] == value).all() for key, value in wanted.weights.items())
    assert not [one for one in reports if isinstance(one, Metric) and "val_loss" in one.values]


def test_when_it_measures(tmp_path, data):
    runs = stage_runs(spec_of(data))
    assert validations_left(spec_of(data), runs) == 4 + 1 + 2 + 2
    assert validations_left(spec_of(data, validate_every=3), runs) == 2 + 1 + 1 + 1
    assert validations_left(spec_of(data, validate_every=0), runs) == 0
    assert validates(spec_of(data), 1)
    assert not validates(spec_of(data, validate_every=0), 1)
    without = make_dataset(tmp_path / "without", train=2, val=0)
    assert not validates(spec_of(without), 1)


def test_hosts_that_see_different_splits(data, monkeypatch):
    monkeypatch.setattr(validation_module, "sum_over_ranks", lambda own, _ranks: own + np.int64(1))
    assert validates(spec_of(data), 2)
    with pytest.raises(BadData, match=r"some hosts and not on others.*--validate-every 0"):
        validates(spec_of(data, validate_every=0), 2)


def test_a_validation_split_that_cannot_be_used_is_told_before_training(tmp_path, data):
    root = make_dataset(tmp_path / "broken", train=2, val=1)
    next((root / "gtFine" / "val").rglob("*.png")).unlink()
    with pytest.raises(BadData, match=r"have no label(.|\n)*--validate-every 0"):
        trained(tmp_path / "run", spec_of(root))
    assert not list((tmp_path / "run").rglob("*.ckpt"))
