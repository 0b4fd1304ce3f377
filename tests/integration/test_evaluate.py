"""An evaluation in one process with small networks: what it measures, leaves out, and says at the end."""

import json

import numpy as np
import pytest
from mindspore import Tensor

from erfnet_jobs.ascend.environment import RankEnvironment
from erfnet_jobs.erfnet import checkpoints, inference
from erfnet_jobs.erfnet.checkpoints import Position
from erfnet_jobs.erfnet.evaluate import evaluate
from erfnet_jobs.erfnet.initialise import initialise
from erfnet_jobs.erfnet.scenes import Scenes, make_scenes
from erfnet_jobs.errors import BadCheckpoint
from erfnet_jobs.jobs import ERFNET, EvalSpec, JobKind
from erfnet_jobs.plan import CheckpointFile, Plan, RankPlace
from erfnet_jobs.reports import Evaluated
from tests.tiny import in_graphs, make_tiny

pytestmark = pytest.mark.mindspore
in_graphs()
SIZE = (64, 64)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "scenes"
    make_scenes(root, Scenes(train=1, val=2, size=SIZE, seed=1), workers=1)
    return root


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(inference, "make_network", make_tiny)


def saved(folder, value=None, name="ERFNet_stage3-1_2.ckpt"):
    network = make_tiny(ERFNET)
    initialise(network, 1)
    if value is not None:
        network.decoder.bias.set_data(Tensor(np.full(network.decoder.bias.shape, value, np.float32)))
    folder.mkdir(exist_ok=True)
    checkpoints.save(folder / name, network.get_parameters(), Position(ERFNET, 3, 1, 2, 1))
    return str(folder / name)


def evaluated(folder, data, *inputs):
    """The reports of an evaluation, and the error that it ended with."""
    spec, places = EvalSpec(("1",), str(data), size=SIZE), (RankPlace(0, "here", 0, 0),)
    folder.mkdir()
    plan = Plan(JobKind.EVAL, spec, str(folder), str(folder.parent / "cache"), places, inputs=inputs)
    reports = []
    try:
        evaluate(plan, RankEnvironment(), reports.append)
    except BadCheckpoint as error:
        return [report for report in reports if isinstance(report, Evaluated)], error
    return [report for report in reports if isinstance(report, Evaluated)], None


def test_what_came_with_all_of_a_job_is_left_out_where_it_is_damaged(tmp_path, data, caplog):
    good, absent = saved(tmp_path / "a"), str(tmp_path / "absent.ckpt")
    changed = CheckpointFile(good, sha256="0" * 64, id=2, optional=True)

    reports, error = evaluated(
        tmp_path / "run", data, CheckpointFile(absent, id=1, optional=True), changed, CheckpointFile(good, id=3)
    )

    assert error is None
    assert [report.checkpoint_id for report in reports] == [3]
    assert "left out" in caplog.text
    assert absent in caplog.text

    reports, error = evaluated(tmp_path / "none", data, changed)
    assert reports == []
    assert "has changed" in str(error)


def test_what_the_user_named_is_told_at_the_end(tmp_path, data):
    good, ruined = saved(tmp_path / "a"), saved(tmp_path / "b", np.nan)
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(b"no checkpoint")

    reports, error = evaluated(tmp_path / "run", data, *map(CheckpointFile, (ruined, str(cut), good)))

    assert [report.checkpoint_path for report in reports] == [good]
    assert "2 of 3 checkpoints could not be measured" in str(error)
    assert f"{ruined} is ruined: its weights are not numbers" in str(error)
    assert str(cut) in str(error)


def test_weights_that_lead_to_no_loss(tmp_path, data):
    far_apart = np.where(np.arange(20) % 2, 3e38, -3e38)
    reports, error = evaluated(tmp_path / "run", data, CheckpointFile(saved(tmp_path / "a", far_apart)))

    assert reports == []
    assert "its loss is" in str(error)


def test_checkpoints_of_one_name_have_files_of_their_own(tmp_path, data):
    one, other = saved(tmp_path / "a"), saved(tmp_path / "b", 1)
    third = saved(tmp_path / "c", name="mine.ckpt")

    evaluated(tmp_path / "run", data, CheckpointFile(one, id=7), CheckpointFile(other), CheckpointFile(third, id=8))

    names = ("ERFNet_stage3-1_2.7", "ERFNet_stage3-1_2.given2", "mine")
    found = [json.loads((tmp_path / "run" / f"{name}.metrics.json").read_text()) for name in names]
    assert [document["checkpoint_path"] for document in found] == [one, other, third]
    assert len(list((tmp_path / "run").glob("*.metrics.txt"))) == 3
