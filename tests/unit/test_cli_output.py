"""Tables fit their width; numbers and times read as people read them."""

import os
import sys
import termios
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.choices import MEASURED_PART
from erfnet_jobs.cli.live import LiveLine
from erfnet_jobs.cli.output import (
    Column,
    age,
    difference_text,
    duration,
    fields,
    file_size,
    number,
    percent,
    shorten,
    table,
    terminal_width,
    wrapped,
)
from erfnet_jobs.cli.root import run_command
from erfnet_jobs.cli.status import job_table
from erfnet_jobs.cli.wait import ended_text, show_job

COLUMNS = (
    Column("id", lambda row: str(row["id"]), right=True),
    Column("what", lambda row: row["what"], bends=True, least=8),
    Column("extra", lambda row: row["extra"], keep=2),
    Column("more", lambda row: row["more"], keep=1),
)
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60)
ROWS = st.lists(
    st.fixed_dictionaries({"id": st.integers(1, 99999), "what": TEXT, "extra": TEXT, "more": TEXT}),
    min_size=1,
    max_size=5,
)


@given(ROWS, st.integers(20, 200))
def test_a_table_is_never_wider_than_asked(rows: list[dict[str, object]], width: int) -> None:
    lines = table(rows, COLUMNS, width)
    assert len(lines) == len(rows) + 1
    assert max(map(len, lines)) <= width


@given(ROWS)
def test_a_wide_table_keeps_everything(rows: list[dict[str, str]]) -> None:
    text = "\n".join(table(rows, COLUMNS, 1000))
    for row in rows:
        for value in row.values():
            assert str(value) in text or value == "-"


def test_columns_without_a_value_are_left_out() -> None:
    rows = [{"id": 1, "what": "", "extra": "-", "more": "x"}]
    assert table(rows, COLUMNS, 80)[0].split() == ["ID", "MORE"]


def test_columns_of_less_weight_go_first() -> None:
    rows = [{"id": 1, "what": "w" * 30, "extra": "e" * 10, "more": "m" * 10}]
    assert table(rows, COLUMNS, 44)[0].split() == ["ID", "WHAT", "EXTRA", "MORE"]
    assert table(rows, COLUMNS, 24)[0].split() == ["ID", "WHAT", "EXTRA"]
    assert table(rows, COLUMNS, 20)[0].split() == ["ID", "WHAT"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0s"),
        (59.4, "59s"),
        (60, "1m00s"),
        (3725, "1h02m"),
        (90000, "1d01h"),
        (864000, "10d"),
        (-3, "0s"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_numbers() -> None:
    assert number(None, 2) == percent(None) == age(None) == "-"
    assert number(0.12345, 3) == "0.123"
    assert percent(0.999) == "99%"
    assert percent(1.0) == "100%"
    assert [file_size(size) for size in (5, 2048, 5 << 20, 3 << 30)] == ["5 B", "2.0 KiB", "5.0 MiB", "3.0 GiB"]


@given(st.text(max_size=50), st.integers(1, 60))
def test_shortened_text_fits(text: str, width: int) -> None:
    cut = shorten(text, width)
    assert len(cut) <= width
    assert cut == text or cut.endswith("…")


def test_fields_leave_out_what_is_not_known() -> None:
    assert fields([("a", 1), ("long", "x"), ("none", None), ("empty", "")]) == ["a     1", "long  x"]


def job(**values: object) -> dict[str, object]:
    plain: dict[str, object] = {
        "id": 12,
        "kind": "train",
        "name": "a long name for a job",
        "state": "running",
        "wait_seconds": None,
        "reason": "running on ascend-host-001",
        "cards": 8,
        "hosts": ["ascend-host-001", "ascend-host-002"],
        "cancel_requested": False,
        "progress": 0.42,
        "phase": None,
        "stage": 3,
        "epoch": 17,
        "epochs": 65,
        "loss": 0.4211,
        "mean_iou": 0.512,
        "eta_seconds": 7260.0,
        "created_at": "2026-01-01T00:00:00Z",
        "not_before": None,
    }
    return {**plain, **values}


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_status_fits_the_terminal(width: int) -> None:
    queued = job(
        id=100000, state="queued", progress=None, stage=None, reason="needs 8 free devices on one host: 2 of 8"
    )
    lines = job_table([job(), queued, job(state="failed", reason="rank 3 failed: " + "very " * 40)], width)
    assert max(map(len, lines)) <= width
    for word in ("ID", "KIND", "STATE", "PROGRESS"):
        assert word in lines[0]
    assert "needs 8 free devices on one host: 2 of 8" in "\n".join(lines)


@pytest.mark.parametrize("state", ["cancelled", "failed", "succeeded", "queued"])
def test_only_what_goes_on_has_a_time_left(state: str) -> None:
    assert "ETA" in job_table([job()], 200)[0]
    assert "ETA" not in job_table([job(state=state)], 200)[0]


def test_how_a_job_ended_is_told_once_by_who_waits(capsys: pytest.CaptureFixture[str]) -> None:
    show_job(LiveLine(), job(ended_at="2026-01-01T00:01:00Z"))
    assert capsys.readouterr().err == ""
    assert ended_text(job(state="failed", reason="no\ndata")) == "job 12 train failed: no data"


def test_figures_of_a_part_are_told_at_the_end() -> None:
    phase = f"{MEASURED_PART} 2 of 3 images: /out/metric.txt alone has them"
    assert ended_text(job(kind="310-infer", state="succeeded", phase=phase)).endswith(f"succeeded: {phase}")
    assert ended_text(job(state="succeeded", phase="train")) == "job 12 train succeeded"


def test_how_far_an_exported_model_is_from_the_network() -> None:
    assert difference_text(None) == ""
    assert difference_text(0.0) == "  (equals the network)"
    assert difference_text(1.234e-7) == "  (differs by 1.2e-07 of the largest logit)"


def test_paths_lose_their_beginning() -> None:
    columns = (Column("id", lambda row: row["id"]), Column("path", lambda row: row["path"], bends=True, ends=True))
    rows = [{"id": "1", "path": "/runs/of/somebody/checkpoints/ERFNet.ckpt"}]
    assert table(rows, columns, 100)[1].endswith("/runs/of/somebody/checkpoints/ERFNet.ckpt")
    assert table(rows, columns, 24)[1].endswith("…kpoints/ERFNet.ckpt")


def test_text_is_wrapped_between_words_and_words_stay_whole() -> None:
    path = "/a/long/path/that/is/longer/than/the/line.log"
    text = f"error: it is at {path}: read it\n  | a line"
    assert wrapped(text, None) == text
    assert wrapped(text, 40, "    ") == f"error: it is at\n    {path}:\n    read it\n  | a line"


def test_only_a_terminal_has_a_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb"), os.fdopen(theirs, "w") as terminal:
        assert terminal_width(terminal) is None  # a terminal that does not know its size
        termios.tcsetwinsize(theirs, (24, 80))
        assert terminal_width(terminal) == 80
        monkeypatch.setenv("COLUMNS", "100")
        assert terminal_width(terminal) == 100
    with Path(os.devnull).open("w") as file:
        assert terminal_width(file) is None


@pytest.mark.parametrize("arguments", [("status",), ("submit", "train", "--no-such-option")])
def test_errors_are_wrapped_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ERFNET_JOBS_BEAT_INTERVAL", "fast")
    monkeypatch.delenv("COLUMNS", raising=False)
    assert run_command(arguments) == 2
    piped = capsys.readouterr().err
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        with os.fdopen(theirs, "w") as stderr, monkeypatch.context() as patch:
            termios.tcsetwinsize(theirs, (24, 40))
            patch.setattr(sys, "stderr", stderr)
            run_command(arguments)
        shown = terminal.read(10_000).decode().replace("\r\n", "\n")
    assert shown.split() == piped.split()
    assert max(map(len, piped.splitlines())) > 40
    assert [line for line in shown.splitlines() if len(line) > 40 and " " in line] == []
