import pytest

from erfnet_jobs.cli.live import Course, LiveLine, phase_text, progress_text
from erfnet_jobs.launch.watch import ReportLine
from erfnet_jobs.reports import CheckpointRemoved, CheckpointWritten, Phase, Progress, Report


def line(report: Report | None, rank: int = 0) -> ReportLine:
    return ReportLine(rank, 0, b"", report, None if report else "not JSON")


def test_all_of_a_training_step() -> None:
    report = Progress(0.456, 10, 50, 2, 3, 85, 1.23456, 12.34, 200.0)
    said = "stage 2  epoch 3/85  step 10/50  loss 1.2346  12.3 img/s  45%  ETA 3m20s"
    assert progress_text(report) == said


def test_what_is_not_known_is_left_out() -> None:
    assert progress_text(Progress(0.5, 1, 2)) == "step 1/2  50%"


@pytest.mark.parametrize(
    ("report", "said"),
    [(Phase("compile"), "compile"), (Phase("build data", 3, 20, 45.0), "build data 3/20  ETA 45s")],
)
def test_phases(report: Phase, said: str) -> None:
    assert phase_text(report) == said


def test_piped_a_line_for_each_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    course = Course()
    for step in range(1, 6):
        course.take(line(Progress(step / 10, step, 5, 1, 1, 2)))
    course.take(line(Progress(0.6, 1, 5, 1, 2, 2)))
    course.live.end()
    shown = capsys.readouterr().err.splitlines()
    assert [text.split("  ")[1] for text in shown] == ["epoch 1/2", "epoch 2/2"]
    assert course.fraction == 0.6


def test_a_terminal_has_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    live = LiveLine()
    monkeypatch.setattr(live, "_is_terminal", True)
    live.show("one", ("a",))
    live.show("two", ("b",))
    live.end()
    # click takes the codes that clear the rest of the line out, as this is no terminal.
    assert capsys.readouterr().err == "\rone\rtwo\r"


def test_only_kept_checkpoints_are_told() -> None:
    course = Course()
    for epoch in (1, 2):
        course.take(line(CheckpointWritten("erfnet", 3, epoch, 1, f"checkpoints/{epoch}.ckpt", "0", 1)))
    course.take(line(CheckpointRemoved("checkpoints/1.ckpt")))
    assert [entry["epoch"] for entry in course.document()["checkpoints"]] == [2]


def test_a_malformed_line_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Course().take(line(None, rank=3))
    assert "rank 3" in capsys.readouterr().err
