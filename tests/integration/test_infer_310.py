"""A 310-infer rank in this process with scripted programs: its reports, its files, and what goes wrong."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from erfnet_jobs.ascend.environment import RankEnvironment
from erfnet_jobs.erfnet.data_hash import dataset_hash
from erfnet_jobs.erfnet.infer_310 import infer_310
from erfnet_jobs.erfnet.infer_310_reports import Infer310Reports, Ran
from erfnet_jobs.erfnet.metrics import scores
from erfnet_jobs.errors import BadCheckpoint, BadData, DeviceLost, MissingDependency, RanksFailed, UsageError
from erfnet_jobs.files import sha256_of
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.lite.messages import Skipped
from erfnet_jobs.plan import ASCEND, CheckpointFile, Plan, RankPlace, write_plan
from erfnet_jobs.reports import ArtifactWritten, Evaluated, Hello, Phase, Progress, Report, decode
from erfnet_jobs.states import JobKind
from tests.scripted_lite import MATRIX, PNG, VERSION_LINE, Programs, install
from tests.small_data import make_dataset

ROOT = Path(__file__).parents[2]
ENVIRONMENT = RankEnvironment(host="here", threads=3)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    made = install(tmp_path / "bin")
    monkeypatch.setenv("ERFNET_JOBS_INFER_310", str(made.infer))
    monkeypatch.delenv("LITE_HOME", raising=False)
    return made


@pytest.fixture
def plan(tmp_path: Path, programs: Programs) -> Plan:
    data = make_dataset(tmp_path / "data", val=25)
    model = tmp_path / "ERFNet.lite.mindir"
    model.write_bytes(b"a model")
    (tmp_path / "run").mkdir()
    spec = Infer310Spec(str(data), model=str(model), labels=str(data), allow_cpu=True)
    run = (str(tmp_path / "run"), str(tmp_path / "home"), (RankPlace(0, "here", 0, 0),))
    return Plan(JobKind.INFER_310, spec, *run)


def with_spec(plan: Plan, **values: Any) -> Plan:
    assert isinstance(plan.spec, Infer310Spec)
    return replace(plan, spec=replace(plan.spec, **values))


def run(plan: Plan) -> list[Report]:
    reports: list[Report] = []
    infer_310(plan, ENVIRONMENT, reports.append)
    return reports


def only(reports: list[Report], kind: type[Any]) -> Any:
    (found,) = (report for report in reports if isinstance(report, kind))
    return found


def artifacts(reports: list[Report]) -> list[ArtifactWritten]:
    return [report for report in reports if isinstance(report, ArtifactWritten)]


def test_a_run_with_labels(plan: Plan, programs: Programs, tmp_path: Path) -> None:
    given = CheckpointFile("/runs/a.ckpt", id=7)
    reports = run(replace(plan, inputs=(given,)))

    hello = reports[0]
    assert isinstance(hello, Hello)
    assert (hello.rank, hello.world_size, hello.host, hello.device) == (0, 1, "here", 0)
    assert hello.versions["erfnet_infer"] == VERSION_LINE
    assert {"erfnet-jobs", "python", "numpy"} <= set(hello.versions)
    progress = [report for report in reports if isinstance(report, Progress)]
    assert [(report.step, report.steps, report.images_per_second) for report in progress] == [
        (number, 25, 2.5) for number in range(1, 26)
    ]
    assert (progress[0].eta_seconds, progress[-1].fraction) == (24 / 2.5, 1.0)
    assert Phase("infer") in reports

    wanted = scores(np.pad(np.array(MATRIX), ((0, 1), (0, 0))))
    data, model = tmp_path / "data", tmp_path / "ERFNet.lite.mindir"
    assert only(reports, Evaluated) == Evaluated(
        "/runs/a.ckpt", "erfnet", dataset_hash(data, "val"), "val", "half", 64, 128, "lite-cpu", 25,
        wanted.mean_iou, wanted.mean_iou_19, wanted.pixel_accuracy, None, wanted.iou_class, 7,
        wanted.mean_iou_category, wanted.iou_category, sha256_of(model), 2.5,
    )  # fmt: skip
    folder = tmp_path / "run" / "pictures"
    *pictures, metrics = artifacts(reports)
    assert [picture.format for picture in pictures] == ["labels"] * 20
    assert metrics == ArtifactWritten(
        "metrics", str(folder / "metric.txt"), sha256_of(folder / "metric.txt"), len("mean_iou 0.9\n"), 7
    )
    assert len(list(folder.glob("*_pred_labelIds.png"))) == 25
    _, call = programs.calls
    assert call["arguments"] == [
        *("--model", str(model), "--images", str(data), "--output", str(folder), "--labels", str(data)),
        *("--split", "val", "--device", "cpu", "--threads", "3", "--precision", "fp32", "--save", "labels", "--json"),
    ]


def test_overlays_stand_on_one_sheet_and_logits_are_reported(plan: Plan, tmp_path: Path) -> None:
    out = tmp_path / "out"
    reports = run(with_spec(plan, save=("labels", "overlay", "logits"), limit=6, output=str(out), labels=None))

    assert [artifact.format for artifact in artifacts(reports)] == [*("overlay", "logits") * 6, "preview"]
    with Image.open(out / "preview.png") as preview:
        assert preview.height > 4 * preview.width / 2  # four square pictures
    assert not [report for report in reports if isinstance(report, Evaluated)]


def test_a_part_is_not_recorded_as_the_whole(plan: Plan, caplog: pytest.LogCaptureFixture) -> None:
    reports = run(with_spec(plan, limit=24))
    assert not [report for report in reports if isinstance(report, Evaluated)]
    assert artifacts(reports)[-1].format == "metrics"
    told = f"figures of 24 of 25 images: {Path(plan.run_dir, 'pictures', 'metric.txt')} alone has them"
    assert told in caplog.text
    assert Phase(told) in reports
    assert only(run(with_spec(plan, limit=25)), Evaluated).images == 25


def test_skipped_images_fail_the_job_and_lose_nothing(plan: Plan, programs: Programs) -> None:
    programs.script(skip=["frankfurt_000003_000019_leftImg8bit.png"])
    reports: list[Report] = []
    with pytest.raises(BadData) as fault:
        infer_310(plan, ENVIRONMENT, reports.append)
    folder = Path(plan.run_dir, "pictures")
    assert f"24 of 25 pictures are done, in {folder}; skipped" in str(fault.value)
    assert str(fault.value).endswith("rank 0 has: frankfurt_000003_000019_leftImg8bit.png")
    assert [artifact.format for artifact in artifacts(reports)] == ["labels"] * 20 + ["metrics"]
    assert not [report for report in reports if isinstance(report, Evaluated)]


def test_a_picture_whose_name_is_no_text_is_written_and_not_reported(
    plan: Plan, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = tmp_path / "flat"
    images.mkdir()
    for name in (b"a b.png", b"\xff.png"):
        Path(os.fsdecode(os.fsencode(images) + b"/" + name)).write_bytes(PNG)
    reports = run(with_spec(plan, images=str(images), labels=None, save=("labels", "overlay")))
    folder = tmp_path / "run" / "pictures"
    assert os.fsencode(folder) + b"/\xff_overlay.png" in {os.fsencode(path) for path in folder.iterdir()}
    assert [Path(artifact.path).name for artifact in artifacts(reports)] == ["a b_overlay.png", "preview.png"]
    assert "a name that is not UTF-8" in caplog.text


def test_figures_of_a_model_that_was_replaced_meanwhile_are_not_recorded(plan: Plan, programs: Programs) -> None:
    programs.script(after=3, replaces=True)
    reports: list[Report] = []
    with pytest.raises(BadCheckpoint, match="was replaced while it was in use"):
        infer_310(plan, ENVIRONMENT, reports.append)
    assert not [report for report in reports if isinstance(report, Evaluated)]


@pytest.mark.parametrize("reason", ["/a/x.png is no picture", "it is no picture"])
def test_a_skipped_image_is_named_once_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    ran = Ran(Infer310Spec("D", model="M"), tmp_path, None, tmp_path / "M", "", None)
    Infer310Reports(ran, lambda report: None).take(Skipped("/a/x.png", reason))
    assert caplog.text.count("/a/x.png") == 1


def test_of_many_skipped_images_some_are_named(plan: Plan, programs: Programs) -> None:
    programs.script(skip=[f"frankfurt_{number:06}_000019_leftImg8bit.png" for number in range(25)])
    with pytest.raises(BadData, match=r"0 of 25 pictures are done.*000002_000019_leftImg8bit.png and 22 more$"):
        run(plan)
    programs.script(error=[3, "no picture in it"])
    with pytest.raises(BadData, match="no picture in it"):
        run(plan)


def test_nothing_is_saved_where_nothing_is_wanted(plan: Plan) -> None:
    assert [artifact.format for artifact in artifacts(run(with_spec(plan, save=())))] == ["metrics"]


def test_an_ascend_device_by_its_logical_id(plan: Plan, programs: Programs) -> None:
    place = RankPlace(0, "here", 5, 0)
    reports = run(with_spec(replace(plan, ranks=(place,), device_target=ASCEND), allow_cpu=False, threads=7))
    assert only(reports, Hello).device == 5
    assert only(reports, Evaluated).engine == "lite-ascend310"
    arguments = programs.calls[-1]["arguments"]
    assert [arguments[arguments.index(name) + 1] for name in ("--device", "--threads")] == ["ascend:5", "7"]


def test_the_cpu_only_where_it_is_allowed(plan: Plan, programs: Programs) -> None:
    with pytest.raises(UsageError, match="--allow-cpu"):
        run(with_spec(plan, allow_cpu=False))
    assert programs.calls == []


def test_half_precision_is_refused_on_a_cpu_before_anything_runs(plan: Plan, programs: Programs) -> None:
    with pytest.raises(UsageError, match="--precision fp16 is for Ascend"):
        run(with_spec(plan, precision="fp16"))
    assert programs.calls == []


def test_a_folder_that_cannot_be_made_is_told(plan: Plan) -> None:
    with pytest.raises(UsageError, match="/proc/x cannot be made"):
        run(with_spec(plan, output="/proc/x"))


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ({"error": [11, "version 3 and Lite 2.0.0 reads 1"]}, BadCheckpoint),
        ({"error": [17, "no device 5"]}, DeviceLost),
        ({"die": 11, "after": 3}, RanksFailed),
    ],
)
def test_what_the_program_ends_with(plan: Plan, programs: Programs, script: Any, error: type[Exception]) -> None:
    programs.script(**script)
    with pytest.raises(error):
        run(plan)


def test_labels_that_are_not_whole_are_found_before_the_model_runs(plan: Plan, programs: Programs) -> None:
    assert isinstance(plan.spec, Infer310Spec)
    assert plan.spec.labels
    next(Path(plan.spec.labels, "gtFine").rglob("frankfurt*.png")).unlink()
    with pytest.raises(BadData, match="1 of 25 images"):
        run(plan)
    assert [call["arguments"] for call in programs.calls] == [["--version"]]


def test_without_the_program_the_way_to_it_is_told(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERFNET_JOBS_INFER_310", "/gone")
    with pytest.raises(MissingDependency, match="make infer310"):
        run(plan)


def test_a_model_that_is_gone(plan: Plan) -> None:
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        run(with_spec(plan, model="/gone.mindir"))


WITHOUT_MINDSPORE = """
import sys
sys.modules["mindspore"] = None
from erfnet_jobs.erfnet.rank import main
sys.exit(main(sys.argv[1:]))
"""


def as_process(plan: Plan, tmp_path: Path) -> tuple[int, list[Report]]:
    write_plan(plan, tmp_path / "plan.json")
    command = [sys.executable, "-c", WITHOUT_MINDSPORE, str(tmp_path / "plan.json")]
    done = subprocess.run(command, cwd=ROOT, timeout=120, check=False)
    return done.returncode, [decode(line) for line in plan.report_path(0).read_bytes().splitlines()]


def test_a_rank_with_a_model_needs_no_mindspore(plan: Plan, tmp_path: Path) -> None:
    code, reports = as_process(plan, tmp_path)
    assert code == 0
    assert only(reports, Evaluated).images == 25
    assert reports[-1].kind == "done"


def test_the_rank_says_which_model_cannot_be_read(plan: Plan, programs: Programs, tmp_path: Path) -> None:
    programs.script(error=[11, "X.mindir is MINDIR version 3; MindSpore Lite 2.0.0 reads up to 1"])
    code, reports = as_process(plan, tmp_path)
    assert code == BadCheckpoint.exit_code
    assert json.loads(json.dumps(reports[-1].__dict__)) == {
        "error": "BadCheckpoint",
        "message": "X.mindir is MINDIR version 3; MindSpore Lite 2.0.0 reads up to 1",
        "exit_code": 11,
        "permanent": True,
    }
