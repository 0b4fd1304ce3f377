"""An evaluation with small networks, by one rank and by two: what it measures, leaves out, writes and says."""

import json
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor
from PIL import Image

from erfnet_jobs.ascend.environment import RankEnvironment
from erfnet_jobs.choices import ENCODER, ERFNET
from erfnet_jobs.erfnet import checkpoints, inference
from erfnet_jobs.erfnet.checkpoints import Position
from erfnet_jobs.erfnet.evaluate import evaluate
from erfnet_jobs.erfnet.evaluation_pictures import Result, worth_drawing
from erfnet_jobs.erfnet.initialise import initialise
from erfnet_jobs.erfnet.scenes import Scenes, make_scenes
from erfnet_jobs.errors import BadCheckpoint, BadData, UsageError
from erfnet_jobs.launch.gang import Gang
from erfnet_jobs.launch.program import RankProgram
from erfnet_jobs.plan import CheckpointFile, Plan, RankPlace, write_plan
from erfnet_jobs.reports import ArtifactWritten, Done, Evaluated, decode
from erfnet_jobs.specs import EvalSpec
from erfnet_jobs.states import JobKind
from tests.official import assert_official, official_scores
from tests.small_data import make_dataset
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


def saved(folder, value=None, name="ERFNet_stage3-1_2.ckpt", kind=ERFNET):
    network = make_tiny(kind)
    initialise(network, 1)
    if value is not None:
        network.decoder.bias.set_data(Tensor(np.full(network.decoder.bias.shape, value, np.float32)))
    folder.mkdir(exist_ok=True)
    checkpoints.save(folder / name, network.get_parameters(), Position(kind, 3, 1, 2, 1))
    return str(folder / name)


def plan_of(folder, data, *inputs, **changes):
    spec = EvalSpec(("1",), str(data), size=SIZE, **changes)
    folder.mkdir()
    places = tuple(RankPlace(rank, "here", rank, rank) for rank in range(spec.cards))
    return Plan(JobKind.EVAL, spec, str(folder), str(folder.parent / "cache"), places, inputs=inputs)


def reported(folder, data, *inputs, **changes):
    """All reports of an evaluation, and the error that it ended with."""
    reports = []
    try:
        evaluate(plan_of(folder, data, *inputs, **changes), RankEnvironment(), reports.append)
    except BadCheckpoint as error:
        return reports, error
    return reports, None


def evaluated(folder, data, *inputs, **changes):
    """What was measured, and the error that it ended with."""
    reports, error = reported(folder, data, *inputs, **changes)
    return of(Evaluated, reports), error


def of(kind, reports):
    return [report for report in reports if isinstance(report, kind)]


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


@pytest.mark.parametrize("kind", [ENCODER, ERFNET])
def test_an_encoder_without_a_head_is_told_what_it_is_for(tmp_path, data, kind):
    network = make_tiny(ENCODER)
    initialise(network, 1)
    parts = [parameter for parameter in network.get_parameters() if not parameter.name.startswith("head.")]
    path = tmp_path / "imagenet.ckpt"
    checkpoints.save(path, parts, Position(ENCODER, 0, 0, 0, 0))

    reports, error = evaluated(tmp_path / "run", data, CheckpointFile(str(path)), network=kind)

    assert reports == []
    assert f"{path} holds an encoder without a head" in str(error)
    assert "it is for the start of stage 3" in str(error)
    assert "--encoder" not in str(error)
    assert "missing" not in str(error)


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


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    """Labels with every id, larger than the network's size; an odd number of images."""
    return make_dataset(tmp_path_factory.mktemp("streets"), train=1, val=5, size=(96, 160))


def rank_reports(plan, rank):
    return [decode(line) for line in plan.report_path(rank).read_bytes().splitlines()]


def run_ranks(plan, deaths):
    """The exit codes of those ranks that were among the first deaths."""
    write_plan(plan, Path(plan.run_dir, "plan.json"))
    gang = Gang(plan, "here", program=RankProgram("tests.tiny_rank"))
    try:
        gang.start()
        for known in range(deaths):
            assert gang.wait_for_death(known, 120)
        return {death.rank: death.exit_code for death in gang.deaths() if death.rank is not None}
    finally:
        assert gang.kill() == []


def test_two_ranks_are_one_evaluation(tmp_path, streets):
    one, other, cut = saved(tmp_path / "a"), saved(tmp_path / "b", np.arange(20) / 9), tmp_path / "cut.ckpt"
    cut.write_bytes(b"no checkpoint")
    inputs = (CheckpointFile(one, id=1), CheckpointFile(str(cut), id=2, optional=True), CheckpointFile(other, id=3))
    alone, _ = evaluated(tmp_path / "alone", streets, *inputs)
    out = tmp_path / "out"
    plan = plan_of(tmp_path / "two", streets, *inputs, cards=2, save_predictions=str(out), worst=2)

    codes = run_ranks(plan, deaths=2)

    assert codes == {0: 0, 1: 0}, plan.log_path(0).read_text() + plan.log_path(1).read_text()
    together = of(Evaluated, rank_reports(plan, 0))
    assert [report.checkpoint_id for report in together] == [1, 3]
    for found, wanted in zip(together, alone, strict=True):
        assert (found.iou_class, found.iou_category, found.images) == (wanted.iou_class, wanted.iou_category, 5)
        assert (found.mean_iou, found.pixel_accuracy) == (wanted.mean_iou, wanted.pixel_accuracy)
        assert found.mean_loss == pytest.approx(wanted.mean_loss, rel=1e-6)
    assert "left out" in plan.log_path(0).read_text()
    quiet = {type(report).__name__ for report in rank_reports(plan, 1)}
    assert quiet == {"Hello", "Done"}
    assert rank_reports(plan, 0)[-1] == Done()
    assert [len(list(folder.glob("*_pred_labelIds.png"))) for folder in sorted(out.iterdir())] == [5, 5]
    drawn = [artifact.format for artifact in of(ArtifactWritten, rank_reports(plan, 0))]
    assert drawn == ["metrics"] * 2 + ["confusion", "iou", "worst", "worst"] * 2


def test_two_ranks_of_which_none_can_measure(tmp_path, streets):
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(b"no checkpoint")
    plan = plan_of(tmp_path / "two", streets, CheckpointFile(str(cut)), cards=2)

    codes = run_ranks(plan, deaths=1)

    assert codes[0] == BadCheckpoint.exit_code
    assert str(cut) in rank_reports(plan, 0)[-1].message


@pytest.mark.parametrize("kind", [ERFNET, ENCODER])
def test_saved_predictions_are_what_the_official_script_takes(tmp_path, streets, kind):
    checkpoint, out = CheckpointFile(saved(tmp_path / "a", kind=kind, name=f"{kind}.ckpt")), tmp_path / "out"
    changes = {"protocol": "full", "network": kind, "save_predictions": str(out), "worst": 0}

    (report,), error = evaluated(tmp_path / "run", streets, checkpoint, **changes)

    assert error is None
    assert report.protocol == ("full" if kind == ERFNET else "encoder-full")
    with Image.open(next(out.iterdir())) as picture:
        assert (picture.mode, picture.size) == ("L", (160, 96))
    assert_official(report, official_scores(streets / "gtFine" / "val", out))


def test_names_of_other_datasets(tmp_path, streets):
    checkpoint, out = CheckpointFile(saved(tmp_path / "a")), tmp_path / "out"
    scenes = tmp_path / "scenes"
    make_scenes(scenes, Scenes(train=1, val=2, size=SIZE, seed=1), workers=1)
    for path in [*scenes.rglob("*_leftImg8bit.png"), *scenes.rglob("*_gtFine_*.png")]:
        path.rename(path.with_name(path.name.replace("_", " of ", 1)))

    evaluated(tmp_path / "run", scenes, checkpoint, save_predictions=str(out))

    assert len(list(out.glob("*_pred_labelIds.png"))) == 2


def test_pictures_that_are_there_already(tmp_path, data, caplog):
    checkpoint, out = CheckpointFile(saved(tmp_path / "a")), tmp_path / "out"
    (out / "older").mkdir(parents=True)
    stray = out / "older" / "stray.PNG"
    stray.touch()

    with pytest.raises(UsageError, match=r"does not write \(older/stray\.PNG\).* give an empty --save-predictions"):
        reported(tmp_path / "refused", data, checkpoint, save_predictions=str(out))
    assert list(out.rglob("*_pred_labelIds.png")) == []

    stray.rename(stray.with_name("notes.txt"))
    evaluated(tmp_path / "one", data, checkpoint, save_predictions=str(out), worst=0)
    assert "are replaced" not in caplog.text
    reports, _ = evaluated(tmp_path / "two", data, checkpoint, save_predictions=str(out), worst=0)
    assert len(reports) == 1
    assert f"2 predictions in {out} are there already and are replaced" in caplog.text
    with pytest.raises(UsageError, match=r"_pred_labelIds\.png and 1 more\)"):
        reported(tmp_path / "other", data, checkpoint, save_predictions=str(out), split="train")


def test_names_that_would_be_one_file_are_refused_before_measuring(tmp_path, data):
    scenes, out = tmp_path / "scenes", tmp_path / "out"
    make_scenes(scenes, Scenes(train=1, val=2, size=SIZE, seed=1), workers=1)
    for kind in ("leftImg8bit", "gtFine_labelIds"):
        found = sorted(scenes.rglob(f"val/*/*_{kind}.png"))
        for name, path in zip(("a b", "a_b"), found, strict=True):
            path.rename(path.with_name(f"{name}_{kind}.png"))

    with pytest.raises(BadData, match=r"the predictions of 'a b' and 'a_b' would both be called a_b_pred_labelIds"):
        reported(tmp_path / "run", scenes, CheckpointFile(saved(tmp_path / "a")), save_predictions=str(out))
    assert list(out.iterdir()) == []


def test_a_folder_for_predictions_that_cannot_be_made(tmp_path, streets):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="another --save-predictions"):
        reported(tmp_path / "run", streets, CheckpointFile("x"), save_predictions=str(tmp_path / "file" / "out"))


def test_the_pictures_of_a_checkpoint(tmp_path, streets):
    reports, _ = reported(tmp_path / "run", streets, CheckpointFile(saved(tmp_path / "a"), id=4), worst=3)

    drawn = of(ArtifactWritten, reports)
    assert [artifact.format for artifact in drawn] == ["metrics", "confusion", "iou", "worst", "worst", "worst"]
    assert {artifact.checkpoint_id for artifact in drawn} == {4}
    for artifact in drawn[1:]:
        with Image.open(tmp_path / "run" / artifact.path) as picture:
            assert min(picture.size) > 300
    (report,) = of(Evaluated, reports)
    document = json.loads((tmp_path / "run" / "ERFNet_stage3-1_2.metrics.json").read_text())
    assert document["iou_category"] == list(report.iou_category)
    assert document["mean_iou_category"] == report.mean_iou_category


def test_of_all_of_a_job_only_the_best_is_drawn(tmp_path, streets):
    paths = [saved(tmp_path / name, np.arange(20) == place) for place, name in enumerate("abc")]
    inputs = [CheckpointFile(path, id=number, optional=True) for number, path in enumerate(paths, 1)]
    reports, _ = reported(tmp_path / "run", streets, *inputs, worst=1)

    best = max(of(Evaluated, reports), key=lambda report: report.mean_iou)
    drawn = [artifact for artifact in of(ArtifactWritten, reports) if artifact.format != "metrics"]
    assert {artifact.checkpoint_id for artifact in drawn} == {best.checkpoint_id}
    assert len(drawn) == 3


def test_named_ones_are_all_drawn():
    named = [Result(CheckpointFile(path), path, None) for path in "ab"]
    assert worth_drawing(named) == named
    assert worth_drawing([]) == []
