"""Checkpoints converted once: real MindSpore with small networks, scripted programs that run ONNX."""

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from erfnet_jobs.ascend.environment import RankEnvironment
from erfnet_jobs.choices import ERFNET
from erfnet_jobs.erfnet import checkpoints, inference, lite_cache
from erfnet_jobs.erfnet.build_lock import build_lock
from erfnet_jobs.erfnet.checkpoints import Position
from erfnet_jobs.erfnet.lite_cache import ENTRY_NAME, lite_model
from erfnet_jobs.errors import BadCheckpoint, ErfnetJobsError, MissingDependency
from erfnet_jobs.files import sha256_of
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.plan import ASCEND, CheckpointFile, Plan, RankPlace
from erfnet_jobs.reports import ArtifactWritten, Phase
from erfnet_jobs.states import JobKind
from tests.optional import optional
from tests.scripted_lite import install

optional("onnx")
optional("onnxruntime")

from tests.integration.test_export import SIZE, make_small, randomized  # noqa: E402

pytestmark = [pytest.mark.mindspore, pytest.mark.xdist_group("lite_cache")]
VERSION = "erfnet_infer 0.1.0 (MindSpore Lite 2.0.0)"


def installed(folder, patch):
    """The programs in a folder, small networks in place of ERFNet."""
    made = install(folder, vendor=True, runs=True, size=list(SIZE))
    patch.setenv("ERFNET_JOBS_INFER_310", str(made.infer))
    patch.delenv("LITE_HOME", raising=False)
    patch.setattr(inference, "make_network", make_small)
    return made


def plan_of(folder, checkpoint):
    spec = Infer310Spec("/images", checkpoint="7", size=SIZE, allow_cpu=True)
    run = (str(folder / "run"), str(folder / "home"), (RankPlace(0, "here", 0, 0),))
    return Plan(JobKind.INFER_310, spec, *run, inputs=(CheckpointFile(str(checkpoint), ERFNET, None, 7),))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "ERFNet_stage4-1_2.ckpt"
    checkpoints.save(path, randomized(make_small(ERFNET)).get_parameters(), Position(ERFNET, 4, 1, 2, 1))
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory, checkpoint):
    """A home with the checkpoint's model in it, for copies."""
    folder = tmp_path_factory.mktemp("converted")
    with pytest.MonkeyPatch.context() as patch:
        installed(folder / "bin", patch)
        model_of(plan_of(folder, checkpoint))
    return folder / "home"


@pytest.fixture
def programs(tmp_path, monkeypatch):
    return installed(tmp_path / "bin", monkeypatch)


@pytest.fixture
def plan(tmp_path, programs, checkpoint):
    """With an empty home."""
    return plan_of(tmp_path, checkpoint)


@pytest.fixture
def kept(plan, home):
    """With a home of its own in which the model is already; no program was called there."""
    shutil.copytree(home, plan.data_dir)
    return plan


def model_of(plan, version=VERSION, **environment):
    reports = []
    found = lite_model(plan, plan.spec, version, RankEnvironment(**environment), reports.append)
    return found, reports


def conversions(programs):
    return [call["program"] for call in programs.calls if call["program"] != "erfnet_infer"]


def test_a_checkpoint_is_converted_once(tmp_path, plan, programs):
    first, reports = model_of(plan)

    (folder,) = [path for path in (tmp_path / "home" / "lite").iterdir() if path.is_dir()]
    assert sorted(path.name for path in folder.iterdir()) == ["ERFNet.lite.mindir", "ERFNet.onnx", ENTRY_NAME]
    assert first.path == str(folder / "ERFNet.lite.mindir")
    onnx, lite = (report for report in reports if isinstance(report, ArtifactWritten))
    assert lite == first
    assert (lite.format, lite.made_from, lite.sha256) == ("lite", onnx.sha256, sha256_of(Path(first.path)))
    assert onnx.path == str(folder / "ERFNet.onnx")
    assert (lite.checkpoint_id, lite.checkpoint_sha256) == (7, sha256_of(Path(plan.inputs[0].path)))
    assert Phase("export lite", 1, 2) in reports

    again, reports = model_of(plan)
    assert again == first
    assert [report.format for report in reports] == ["onnx", "lite"]
    assert conversions(programs) == ["erfnet_convert"]


def test_the_same_weights_under_another_name_are_the_same_model(tmp_path, kept, programs):
    first, _ = model_of(kept)
    moved = tmp_path / "moved.ckpt"
    shutil.copy(kept.inputs[0].path, moved)
    again, _ = model_of(replace(kept, inputs=(CheckpointFile(str(moved), ERFNET, None, 9),)))

    assert (again.path, again.checkpoint_id, again.checkpoint_path) == (first.path, 9, str(moved))
    assert conversions(programs) == []


def test_another_size_or_lite_is_another_model(kept, programs):
    first, _ = model_of(kept)
    newer, _ = model_of(kept, version="erfnet_infer 0.1.0 (MindSpore Lite 2.7.0)")
    larger, _ = model_of(replace(kept, spec=replace(kept.spec, size=(64, 64))))
    assert len({first.path, newer.path, larger.path}) == 3
    assert conversions(programs) == ["erfnet_convert"] * 2


@pytest.mark.parametrize("name", ["ERFNet.lite.mindir", "ERFNet.onnx", ENTRY_NAME])
@pytest.mark.parametrize("content", [b"spoilt", None])
def test_what_was_spoilt_is_made_anew(kept, programs, caplog, name, content):
    first, _ = model_of(kept)
    victim = Path(first.path).with_name(name)
    victim.unlink()
    if content is not None:
        victim.write_bytes(content)

    again, _ = model_of(kept)
    assert sha256_of(Path(again.path)) == again.sha256
    assert conversions(programs) == ["erfnet_convert"]
    assert "is not as it was written" in caplog.text
    model_of(kept)
    assert len(conversions(programs)) == 1


def test_a_failed_conversion_leaves_nothing_and_is_tried_again(tmp_path, plan, programs):
    programs.script(convert_code=11)
    with pytest.raises(ErfnetJobsError, match="was not converted"):
        model_of(plan)
    assert [path.name for path in (tmp_path / "home" / "lite").iterdir() if path.is_dir()] == []
    programs.script(runs=True, size=list(SIZE))
    assert Path(model_of(plan)[0].path).is_file()


def test_one_converts_and_the_others_wait(kept, programs):
    first, _ = model_of(kept)
    folder = Path(first.path).parent
    shutil.move(folder, folder.with_name("aside"))
    waits = threading.Event()
    found = []

    def take(report):
        if isinstance(report, Phase) and report.name.startswith("wait for another conversion"):
            waits.set()

    def other():
        found.append(lite_model(kept, kept.spec, VERSION, RankEnvironment(), take))

    with build_lock(folder.with_name(f".{folder.name}.lock"), lambda done, total: None) as lock:
        lock.report(0, 1)
        thread = threading.Thread(target=other)
        thread.start()
        assert waits.wait(60)
        shutil.move(folder.with_name("aside"), folder)
    thread.join(60)
    assert [one.path for one in found] == [first.path]
    assert conversions(programs) == []


def test_for_a_chip_the_vendor_s_converter_and_mindspore_on_the_cpu(kept, programs, monkeypatch):
    on_chip = replace(kept, device_target=ASCEND, ranks=(RankPlace(0, "here", 3, 0),))
    with pytest.raises(MissingDependency, match=r"converter_lite.*set LITE_HOME.*--format lite.*--model"):
        model_of(on_chip, device_target=ASCEND)
    assert programs.calls == []

    monkeypatch.setenv("LITE_HOME", str(programs.folder))
    joined = []
    monkeypatch.setattr("erfnet_jobs.erfnet.world.join", joined.append)
    chip, _ = model_of(on_chip, device_target=ASCEND)
    cpu, _ = model_of(kept)
    assert conversions(programs) == ["converter_lite"]
    assert chip.path != cpu.path
    assert [environment.device_target for environment in joined] == ["CPU"]
    half, _ = model_of(replace(on_chip, spec=replace(kept.spec, precision="fp16")), device_target=ASCEND)
    assert half.path not in (chip.path, cpu.path)
    told = programs.calls[-1]["arguments"]
    assert told[told.index("--precision") + 1] == "fp16"
    assert model_of(replace(kept, spec=replace(kept.spec, precision="fp16")))[0] == cpu


def test_without_mindspore_the_other_way_is_told(plan, programs, monkeypatch):
    monkeypatch.setattr(lite_cache, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"MindSpore is not installed.*--format lite.*--model"):
        model_of(plan)
    assert programs.calls == []


def test_a_checkpoint_that_is_gone(plan):
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        model_of(replace(plan, inputs=(CheckpointFile("/gone.ckpt"),)))


def test_the_entry_says_what_it_is_of(kept):
    found, _ = model_of(kept)
    entry = json.loads(Path(found.path).with_name(ENTRY_NAME).read_text())
    assert (entry["size"], entry["target"]) == (list(SIZE), "cpu")
    assert entry["checkpoint"]["sha256"] == found.checkpoint_sha256
