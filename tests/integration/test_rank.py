"""Real ranks through the launcher: two of them train ERFNet, then one measures, exports and shows what came out."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from erfnet_jobs.erfnet.scenes import Scenes, make_scenes
from erfnet_jobs.errors import BadCheckpoint, BadData
from erfnet_jobs.launch.gang import Gang
from erfnet_jobs.plan import CheckpointFile, Plan, RankPlace, write_plan
from erfnet_jobs.reports import (
    ArtifactWritten,
    CheckpointWritten,
    Done,
    Evaluated,
    Failed,
    Hello,
    Progress,
    decode,
    read_lines,
)
from erfnet_jobs.specs import EvalSpec, ExportSpec, InferSpec
from erfnet_jobs.train_spec import TrainSpec

pytestmark = [pytest.mark.mindspore, pytest.mark.xdist_group("rank")]
SIZE = (64, 128)
PATIENCE = 240


class Ran:
    """An attempt that has ended: exit codes by rank, and the reports of each."""

    def __init__(self, folder: Path, spec, inputs=()) -> None:
        places = tuple(RankPlace(rank, "here", rank, rank) for rank in range(spec.cards))
        self.plan = Plan(spec.kind, spec, str(folder), str(folder.parent / "data"), places, inputs=tuple(inputs))
        folder.mkdir()
        write_plan(self.plan, folder / "plan.json")
        gang = Gang(self.plan, "here")
        try:
            gang.start()
            for known in range(spec.cards):
                assert gang.wait_for_death(known, PATIENCE), self.plan.log_path(0).read_text()
        finally:
            assert gang.kill() == []
        self.codes = {death.rank: death.exit_code for death in gang.deaths() if death.rank is not None}

    def reports(self, rank=0):
        lines, _ = read_lines(self.plan.report_path(rank), 0)
        return [decode(line) for line in lines]

    def of(self, kind, rank=0):
        return [report for report in self.reports(rank) if isinstance(report, kind)]

    @property
    def log(self):
        return "".join(self.plan.log_path(place.rank).read_text() for place in self.plan.ranks)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "scenes"
    make_scenes(root, Scenes(train=8, val=3, size=SIZE, seed=1), workers=1)
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data):
    spec = TrainSpec(data=str(data), cards=2, epochs=(1, 1, 1, 1), batch_size=2, size=(64, 64), lr=1e-3)
    return Ran(tmp_path_factory.mktemp("train") / "1", spec)


@pytest.fixture(scope="module")
def checkpoint(trained):
    written = trained.of(CheckpointWritten)[-1]
    path = Path(trained.plan.run_dir, written.path)
    return CheckpointFile(str(path), written.network, written.sha256, 7, written.stage, written.epoch, written.step)


def test_two_ranks_train_all_stages(trained):
    assert trained.codes == {0: 0, 1: 0}, trained.log
    for rank in (0, 1):
        (hello,) = trained.of(Hello, rank)
        assert (hello.rank, hello.world_size, hello.host) == (rank, 2, "here")
        assert trained.reports(rank)[-1] == Done()
    assert trained.of(Progress)[-1].fraction == 1.0
    assert [report.stage for report in trained.of(CheckpointWritten)] == [1, 2, 3, 4]
    assert trained.of(CheckpointWritten, 1) == trained.of(Progress, 1) == []
    manifest = json.loads((trained.plan.checkpoint_dir / "manifest.json").read_text())
    assert [entry["network"] for entry in manifest["checkpoints"]] == ["encoder", "encoder", "erfnet", "erfnet"]


def test_an_evaluation_of_two_checkpoints(tmp_path, data, checkpoint):
    spec = EvalSpec(checkpoints=("7",), data=str(data), size=SIZE, batch_size=2)
    ran = Ran(tmp_path / "1", spec, [checkpoint, CheckpointFile(checkpoint.path)])

    assert ran.codes == {0: 0}, ran.log
    first, second = ran.of(Evaluated)
    assert first.iou_class == second.iou_class
    assert (first.checkpoint_id, second.checkpoint_id) == (7, None)
    assert (first.engine, first.protocol, first.images) == ("mindspore-cpu", "half", 3)
    assert 0 < first.mean_loss < 10
    assert first.mean_iou_19 <= first.mean_iou <= 1
    text = (tmp_path / "1" / f"{Path(checkpoint.path).stem}.7.metrics.txt").read_text()
    assert re.fullmatch(r"mean_iou \S+\nmean_loss \S+\niou_class tensor\([^()]*\)\n", text)


def test_an_export_that_was_compared(tmp_path, checkpoint):
    ran = Ran(tmp_path / "1", ExportSpec(checkpoint="7", size=SIZE), [checkpoint])

    assert ran.codes == {0: 0}, ran.log
    (artifact,) = ran.of(ArtifactWritten)
    path = tmp_path / "1" / artifact.path
    assert (artifact.format, path.name) == ("mindir", "ERFNet.mindir")
    assert path.stat().st_mode & 0o777 == 0o644
    assert "of the largest logit" in ran.log


def test_pictures_of_a_split_and_of_a_folder(tmp_path, data, checkpoint):
    ran = Ran(tmp_path / "1", InferSpec(checkpoint="7", images=str(data), size=SIZE, limit=2), [checkpoint])

    assert ran.codes == {0: 0}, ran.log
    assert [artifact.format for artifact in ran.of(ArtifactWritten)] == ["triptych", "triptych", "preview"]
    names = sorted(path.name.rpartition("_")[2] for path in (tmp_path / "1" / "pictures").iterdir())
    assert names == ["overlay.png"] * 2 + ["prediction.png"] * 2 + ["preview.png"] + ["triptych.png"] * 2

    images, output = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    Image.fromarray(np.zeros((50, 70, 3), np.uint8)).save(images / "odd.png")
    ran = Ran(tmp_path / "2", InferSpec("7", str(images), size=SIZE, output=str(output)), [checkpoint])
    assert ran.codes == {0: 0}, ran.log
    assert Image.open(output / "odd_overlay.png").size == (70, 50)


@pytest.mark.parametrize(
    ("content", "data_exists", "error"), [(b"no checkpoint", True, BadCheckpoint), (b"", False, BadData)]
)
def test_a_mistake_ends_with_its_own_exit_code(tmp_path, data, content, data_exists, error):
    path = tmp_path / "mine.ckpt"
    path.write_bytes(content)
    spec = EvalSpec(checkpoints=("x",), data=str(data if data_exists else tmp_path / "absent"), size=SIZE)

    ran = Ran(tmp_path / "1", spec, [CheckpointFile(str(path))])

    assert ran.codes == {0: error.exit_code}, ran.log
    failed = ran.reports()[-1]
    assert isinstance(failed, Failed)
    assert (failed.error, failed.exit_code, failed.permanent) == (error.__name__, error.exit_code, True)
    assert "Traceback" not in ran.log
