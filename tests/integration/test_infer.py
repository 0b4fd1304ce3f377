"""An inference job in one process with a small network, over pictures of which some are broken."""

import numpy as np
import pytest
from PIL import Image

from erfnet_jobs.erfnet import checkpoints, inference
from erfnet_jobs.erfnet.checkpoints import Position
from erfnet_jobs.erfnet.infer import infer
from erfnet_jobs.erfnet.initialise import initialise
from erfnet_jobs.errors import BadData
from erfnet_jobs.jobs import ERFNET, InferSpec, JobKind
from erfnet_jobs.plan import CheckpointFile, Plan, RankPlace
from erfnet_jobs.reports import Progress
from tests.tiny import in_graphs, make_tiny

pytestmark = pytest.mark.mindspore
in_graphs()


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.setattr(inference, "make_network", make_tiny)
    network = make_tiny(ERFNET)
    initialise(network, 1)
    path = tmp_path / "ERFNet_stage4-1_2.ckpt"
    checkpoints.save(path, network.get_parameters(), Position(ERFNET, 4, 1, 2, 1))
    (tmp_path / "images").mkdir()
    spec = InferSpec("1", str(tmp_path / "images"), size=(64, 64), output=str(tmp_path / "out"))
    run = (str(tmp_path), str(tmp_path), (RankPlace(0, "here", 0, 0),))
    return Plan(JobKind.INFER, spec, *run, inputs=(CheckpointFile(str(path), ERFNET),))


def test_broken_pictures_are_skipped_and_named(tmp_path, plan):
    for name in ("a", "c"):
        Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "images" / f"{name}.png")
    for name in ("b", "d"):
        (tmp_path / "images" / f"{name}.png").write_bytes(b"broken")
    reports = []

    with pytest.raises(BadData, match=r"(?s)2 of 4 pictures were skipped.*/b\.png is .*/d\.png is "):
        infer(plan, reports.append)

    written = sorted(path.name for path in (tmp_path / "out").glob("*_overlay.png"))
    assert written == ["a_overlay.png", "c_overlay.png"]
    assert (tmp_path / "out" / "preview.png").is_file()
    assert [report.fraction for report in reports if isinstance(report, Progress)][-1] == 1.0


def test_only_broken_pictures(tmp_path, plan):
    (tmp_path / "images" / "a.png").write_bytes(b"broken")

    with pytest.raises(BadData, match="1 of 1 pictures"):
        infer(plan, lambda report: None)

    assert not (tmp_path / "out" / "preview.png").exists()
