"""Exports for MindSpore Lite with real MindSpore and scripted programs, which run ONNX by ONNX Runtime."""

import sys
from dataclasses import replace

import pytest

from erfnet_jobs.choices import ENCODER, ERFNET
from erfnet_jobs.erfnet import export
from erfnet_jobs.errors import DiskFull, MissingDependency, RanksFailed, UsageError
from erfnet_jobs.files import sha256_of
from erfnet_jobs.plan import ASCEND
from erfnet_jobs.reports import Progress
from erfnet_jobs.specs import ExportSpec
from tests.optional import optional
from tests.scripted_lite import install

optional("onnx")
optional("onnxruntime")

from tests.integration.test_export import SIZE, Exported, make_small  # noqa: E402

pytestmark = pytest.mark.mindspore
NAMES = ["ERFNet.lite.mindir", "ERFNet.onnx"]


@pytest.fixture
def programs(tmp_path, monkeypatch):
    made = install(tmp_path / "bin", vendor=True, runs=True, size=list(SIZE))
    monkeypatch.setenv("ERFNET_JOBS_INFER_310", str(made.infer))
    monkeypatch.delenv("LITE_HOME", raising=False)
    return made


@pytest.mark.parametrize("head", ["logits", "argmax"])
def test_a_model_for_lite_and_the_onnx_that_it_is_made_from(tmp_path, programs, head):
    made = Exported(tmp_path, ERFNET, make_small, formats=("lite",), head=head)

    assert made.error is None
    assert made.files == NAMES
    onnx, lite = made.artifacts
    assert (onnx.format, lite.format) == ("onnx", "lite")
    assert lite.made_from == onnx.sha256 == sha256_of(made.folder / "ERFNet.onnx")
    assert (lite.sha256, lite.checkpoint_id, lite.checkpoint_sha256) == (
        sha256_of(made.folder / "ERFNet.lite.mindir"),
        7,
        made.sha256,
    )
    assert onnx.made_from is None
    assert 0 <= lite.difference <= export.TOLERANCE
    assert made.progress == [Progress(0.5, 1, 2), Progress(1.0, 2, 2)]
    converted, *ran = programs.calls
    assert converted["program"] == "erfnet_convert"
    assert [call["program"] for call in ran] == ["erfnet_infer"] * 4
    (saved,) = {call["arguments"][call["arguments"].index("--save") + 1] for call in ran}
    assert saved == {"logits": "logits", "argmax": "labels"}[head]


@pytest.mark.parametrize("head", ["logits", "argmax"])
def test_what_says_something_else_is_not_kept(tmp_path, programs, head):
    programs.script(runs=True, size=list(SIZE), wrong=1.0)
    made = Exported(tmp_path, ERFNET, make_small, formats=("onnx", "lite"), head=head)

    assert "ERFNet.lite.mindir was not written: run on street scenes, the file differs" in str(made.error)
    assert made.files == ["ERFNet.onnx"]
    assert [artifact.format for artifact in made.artifacts] == ["onnx"]


def test_a_converter_that_fails(tmp_path, programs):
    programs.script(convert_code=11, errors=["[ERROR] Conv is not known"])
    made = Exported(tmp_path, ERFNET, make_small, formats=("lite", "mindir"))

    assert "ERFNet.lite.mindir was not written: ERFNet.onnx was not converted: erfnet_convert ended with" in str(
        made.error
    )
    assert "Conv is not known" in str(made.error)
    assert made.files == ["ERFNet.mindir", "ERFNet.onnx"]


@pytest.mark.parametrize(
    ("script", "error"),
    [({"convert_code": 13}, DiskFull), ({"die": 9}, RanksFailed), ({"error": [13, "no space left"]}, DiskFull)],
)
def test_what_another_attempt_may_do_is_told_as_such(tmp_path, programs, script, error):
    programs.script(**script)
    made = Exported(tmp_path, ERFNET, make_small, formats=("lite",))

    assert type(made.error) is error
    assert made.files == ["ERFNet.onnx"]


def test_without_onnx_nothing_is_converted(tmp_path, programs, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("no")

    monkeypatch.setattr(export.mindspore.onnx, "export", refuse)
    made = Exported(tmp_path, ERFNET, make_small, formats=("lite",))

    assert "ERFNet.onnx, from which it is made, could not be exported" in str(made.error)
    assert (made.files, programs.calls) == ([], [])


def test_a_program_that_writes_no_logits(tmp_path, programs):
    programs.script(size=list(SIZE))
    made = Exported(tmp_path, ERFNET, make_small, formats=("lite",))

    assert "the program wrote no logits (scene.npy: it is no NumPy array)" in str(made.error)
    assert made.files == ["ERFNet.onnx"]


class OnAscend(Exported):
    """An export on an Ascend host's device 5 (its chips run nothing here: MindSpore is on the CPU)."""

    def _export(self, plan):
        place = replace(plan.ranks[0], device=5)
        super()._export(replace(plan, device_target=ASCEND, ranks=(place,)))


def test_the_vendor_s_converter_makes_it_for_the_chips_of_the_host(tmp_path, programs, monkeypatch):
    monkeypatch.setenv("LITE_HOME", str(programs.folder))
    made = OnAscend(tmp_path, ERFNET, make_small, formats=("lite",))

    assert made.error is None
    converted, ran, *_ = programs.calls
    assert converted["program"] == "converter_lite"
    assert "--optimize=ascend_oriented" in converted["arguments"]
    assert ran["arguments"][ran["arguments"].index("--device") + 1] == "ascend:5"
    assert made.artifacts[-1].difference <= export.TOLERANCE


@pytest.mark.parametrize(("wrong", "kept"), [(1e-3, True), (1.0, False)])
def test_a_chip_may_round_and_not_more(tmp_path, programs, monkeypatch, wrong, kept):
    monkeypatch.setenv("LITE_HOME", str(programs.folder))
    programs.script(runs=True, size=list(SIZE), wrong=wrong)
    made = OnAscend(tmp_path, ERFNET, make_small, formats=("lite",))

    assert (made.error is None) == kept
    assert not kept or export.TOLERANCE < made.artifacts[-1].difference < export.CHIP_TOLERANCE


def test_what_nothing_here_runs_is_written_and_said_to_be_unproved(tmp_path, programs, monkeypatch, caplog):
    monkeypatch.setenv("LITE_HOME", str(programs.folder))
    monkeypatch.setenv("ERFNET_JOBS_INFER_310", str(tmp_path / "gone"))
    made = OnAscend(tmp_path, ERFNET, make_small, formats=("lite",))

    assert made.error is None
    assert made.files == NAMES
    assert made.artifacts[-1].difference is None
    assert "ERFNet.lite.mindir is not proved: nothing on this host runs it" in caplog.text


def test_an_ascend_host_without_the_vendor_s_converter_makes_it_for_cpus(tmp_path, programs, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    made = OnAscend(tmp_path, ERFNET, make_small, formats=("lite",))

    assert made.error is None
    assert programs.calls[0]["program"] == "erfnet_convert"
    assert "cpu" in programs.calls[1]["arguments"]


def test_without_the_program_nothing_begins(tmp_path, monkeypatch):
    monkeypatch.setenv("ERFNET_JOBS_INFER_310", str(tmp_path / "gone"))
    monkeypatch.setattr(export, "inference_network", lambda name: pytest.fail("a network was made"))
    made = Exported(tmp_path, ERFNET, make_small, formats=("mindir", "lite"))

    assert isinstance(made.error, MissingDependency)
    assert (made.files, made.reports) == ([], [])


def test_without_onnx_s_packages_nothing_begins(tmp_path, programs, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    made = Exported(tmp_path, ERFNET, make_small, formats=("lite",))

    assert isinstance(made.error, MissingDependency)
    assert "pip install 'erfnet-jobs[worker,onnx]'" in str(made.error)


def test_the_encoder_is_refused(tmp_path, programs):
    made = Exported(tmp_path, ENCODER, make_small, formats=("lite",))

    assert isinstance(made.error, UsageError)
    assert "of the encoder" in str(made.error)
    assert (made.files, made.reports) == ([], [])


def test_a_batch_of_more_than_one_is_refused():
    with pytest.raises(UsageError, match=r"batch is 2: give 1 for lite"):
        ExportSpec("1", ("onnx", "lite"), batch=2)
