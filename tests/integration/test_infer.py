"""An inference job in one process with a small network: pictures, logits, and files that are broken."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mindspore import Tensor
from PIL import Image

from erfnet_jobs.choices import ERFNET
from erfnet_jobs.erfnet import checkpoints, inference, segmentation
from erfnet_jobs.erfnet.checkpoints import Position
from erfnet_jobs.erfnet.infer import distinct_names, infer
from erfnet_jobs.erfnet.initialise import initialise
from erfnet_jobs.errors import BadCheckpoint, BadData, UsageError
from erfnet_jobs.plan import CheckpointFile, Plan, RankPlace
from erfnet_jobs.reports import ArtifactWritten, Progress
from erfnet_jobs.specs import InferSpec
from erfnet_jobs.states import JobKind
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


def test_logits_are_the_network_s(tmp_path, plan):
    pixels = np.random.default_rng(3).integers(0, 256, (70, 130, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png")
    Image.fromarray(255 - pixels).save(tmp_path / "images" / "a.jpg")
    network = make_tiny(ERFNET)
    checkpoint = checkpoints.load(Path(plan.inputs[0].path))
    checkpoints.load_weights(checkpoint, ERFNET, network.get_parameters())
    network.set_train(False)
    resized = np.asarray(Image.fromarray(pixels).resize((64, 64), Image.Resampling.BILINEAR))
    wanted = network(Tensor(resized.transpose(2, 0, 1)[None].astype(np.float32) / 255)).asnumpy()[0]
    reports = []

    spec = replace(plan.spec, logits=str(tmp_path / "logits"))
    infer(replace(plan, spec=spec), reports.append)

    assert sorted(path.name for path in (tmp_path / "logits").iterdir()) == ["a.jpg.npy", "a.png.npy"]
    found = np.load(tmp_path / "logits" / "a.png.npy", allow_pickle=False)
    assert (found.dtype, found.shape) == (np.float32, (20, 64, 64))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())
    assert [report.format for report in reports if isinstance(report, ArtifactWritten)].count("logits") == 2

    infer(replace(plan, spec=replace(plan.spec, output=str(tmp_path / "without"))), reports.append)
    for path in (tmp_path / "without").iterdir():
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()


@pytest.mark.parametrize("logits", [True, False])
def test_logits_come_from_the_layers_as_published(tmp_path, plan, monkeypatch, logits):
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    made = []

    def noted(make, kind):
        return lambda name: made.append(kind) or make(name)

    for kind in ("inference_network", "folded_network"):
        monkeypatch.setattr(segmentation, kind, noted(getattr(segmentation, kind), kind))
    infer(
        replace(plan, spec=replace(plan.spec, logits=str(tmp_path / "logits") if logits else None)),
        lambda report: None,
    )

    assert made == ["inference_network" if logits else "folded_network"]


@pytest.mark.parametrize("logits", [True, False])
def test_a_network_whose_output_is_no_number_draws_nothing(tmp_path, plan, logits):
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    path = Path(plan.inputs[0].path)
    network = make_tiny(ERFNET)
    initialise(network, 1)
    for parameter in network.get_parameters():
        if parameter.name.endswith("gamma"):
            parameter.set_data(Tensor(np.full(parameter.shape, 3e38, np.float32)))
    checkpoints.save(path, network.get_parameters(), Position(ERFNET, 4, 1, 2, 1))
    spec = replace(plan.spec, logits=str(tmp_path / "logits") if logits else None)

    with pytest.raises(BadCheckpoint, match=r"ERFNet_stage4-1_2\.ckpt segments nothing.* not finite"):
        infer(replace(plan, spec=spec), lambda report: None)

    assert list((tmp_path / "out").iterdir()) == []
    assert not logits or list((tmp_path / "logits").iterdir()) == []


def test_a_negative_variance_is_refused_before_it_is_a_root(tmp_path, plan):
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    network = make_tiny(ERFNET)
    variance = next(one for one in network.get_parameters() if one.name.endswith("moving_variance"))
    variance.set_data(Tensor(np.full(variance.shape, -1, np.float32)))
    checkpoints.save(Path(plan.inputs[0].path), network.get_parameters(), Position(ERFNET, 4, 1, 2, 1))

    with pytest.raises(BadCheckpoint, match=r"is ruined: the variance encoder.* is negative"):
        infer(plan, lambda report: None)


def test_it_does_not_write_among_the_pictures(tmp_path, plan):
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    before = sorted((tmp_path / "images").iterdir())
    with pytest.raises(UsageError, match="is the folder of the pictures themselves"):
        infer(replace(plan, spec=replace(plan.spec, output=str(tmp_path / "images"))), lambda _: None)
    assert sorted((tmp_path / "images").iterdir()) == before


def test_a_folder_for_logits_that_cannot_be_made(tmp_path, plan):
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    (tmp_path / "file").touch()

    with pytest.raises(UsageError, match="--logits"):
        infer(replace(plan, spec=replace(plan.spec, logits=str(tmp_path / "file"))), lambda report: None)


NAMES = st.lists(st.text("ab.", min_size=1, max_size=5).map(lambda stem: stem + ".png"), unique=True)


@given(NAMES, NAMES)
def test_no_two_pictures_have_one_name(names, others):
    files = [Path("D", name) for name in {*names, *(name.replace(".png", ".jpg") for name in others)}]

    assert len(set(distinct_names(files))) == len(files)
