"""`plot`: what is found, drawn and written of trainings whose rows are in a registry."""

import io
import json
from pathlib import Path
from typing import Any

import click
import pytest
from sqlalchemy.orm import Session

from erfnet_jobs.choices import EVALUATION_METRICS
from erfnet_jobs.cli import plot as plot_module
from erfnet_jobs.cli.curves_text import curve_lines
from erfnet_jobs.jobs import Part, Request
from erfnet_jobs.registry.attempts import assign
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.jobs import get_job, submit_job
from erfnet_jobs.registry.tables import Checkpoint, Evaluation, Metric
from erfnet_jobs.train_spec import TrainSpec
from tests.cli_calls import Shell
from tests.registry_steps import ACTOR, add_hosts, submit

EPOCHS = (1, 1, 2, 3)


def train(session: Session, steps: int, name: str | None = None) -> int:
    """A training of all stages with a loss at each step, and what it measured after each epoch."""
    job = submit_job(session, Request(TrainSpec("/data", epochs=EPOCHS), name=name), ACTOR).id
    assert assign(session, job, 0, [Part("a", (0,), 0)], f"/runs/{job}/1")
    get_job(session, job).steps = steps
    for stage, epochs in enumerate(EPOCHS, 1):
        for step in range(1, epochs * steps + 1):
            add(session, job, "loss", stage, (step - 1) // steps + 1, step, 1 / step)
        for epoch in range(1, epochs + 1):
            add(session, job, "val_mean_iou", stage, epoch, epoch * steps, 0.1 * epoch)
    return job


def add(session: Session, job: int, name: str, stage: int, epoch: int, step: int, value: float) -> None:
    session.add(Metric(job_id=job, name=name, attempt=1, stage=stage, epoch=epoch, step=step, value=value))


def evaluate(session: Session, job: int, stage: int, epoch: int, value: float, **others: Any) -> None:
    at = now(session)
    checkpoint = Checkpoint(job_id=job, attempt=1, network="erfnet", stage=stage, epoch=epoch, step=4, created_at=at)
    checkpoint.path, checkpoint.sha256, checkpoint.size, checkpoint.origin = f"/{job}/{stage}/{value}", "0", 1, "train"
    session.add(checkpoint)
    session.flush()
    row = {
        "protocol": "half",
        "iou_class": json.dumps([value] * 19),
        **dict.fromkeys(EVALUATION_METRICS, value),
        **others,
    }
    place = {"dataset_hash": "d" * 64, "split": "val", "height": 64, "width": 128, "engine": "m", "images": 3}
    session.add(
        Evaluation(
            job_id=job, attempt=1, checkpoint_id=checkpoint.id, checkpoint_path="/c", created_at=at, **place, **row
        )
    )


@pytest.fixture
def shell(narrow_shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("LINES", "24")
    with narrow_shell.registry() as registry, registry.write() as session:
        add_hosts(session)
        few, many = train(session, 2, "few steps"), train(session, 40)
        evaluate(session, few, 4, 3, 0.6)
        evaluate(session, few, 2, 1, 0.3, protocol="encoder-half")
        evaluate(session, many, 4, 3, 0.7)
        evaluate(session, many, 4, 2, 0.9, protocol="full")
        evaluate(session, many, 4, 3, 0.99, model_sha256="c" * 64)
        submit(session)
    return narrow_shell


def test_runs_of_other_batches_lie_over_one_another(shell: Shell) -> None:
    document = shell("plot", 1, 2, 1, "--metric", "loss,mean_iou", "--json").json
    loss, iou = document["panels"]
    assert [(series["job"], series["source"]) for series in loss["series"]] == [(1, "loss"), (2, "loss")]
    assert [series["points"][-1]["x"] for series in loss["series"]] == [7, 7]
    assert [len(series["points"]) for series in loss["series"]] == [14, 280]
    of_few = [
        (series["source"], [(point["x"], point["value"]) for point in series["points"]]) for series in iou["series"]
    ]
    trained = [(1, 0.1), (2, 0.1), (3, 0.1), (4, 0.2), (5, 0.1), (6, 0.2), (7, pytest.approx(0.3))]
    assert of_few == [
        ("val_mean_iou", trained),
        ("evaluations", [(7, 0.6)]),
        ("val_mean_iou", trained),
        ("evaluations", [(7, 0.7)]),
    ]
    assert (iou["evaluated"]["protocol"], iou["evaluated"]["height"]) == ("half", 64)
    stages = [[1, 0, 1], [2, 1, 2], [3, 2, 4], [4, 4, 7]]
    assert [list(stage.values()) for stage in document["jobs"][0]["stages"]] == stages


def test_the_iou_of_a_class_is_of_evaluations(shell: Shell) -> None:
    (panel,) = shell("plot", 1, "--metric", "iou_rider", "--json").json["panels"]
    assert [(series["source"], len(series["points"])) for series in panel["series"]] == [("evaluations", 1)]


def test_the_terminal_has_no_control_codes_where_it_is_none_and_80_columns(shell: Shell) -> None:
    called = shell("plot", 1, 2, "--metric", "loss,mean_iou")
    lines = called.out.splitlines()
    assert called.code == 0
    assert max(map(len, lines)) <= 80
    assert "\33" not in called.out
    assert "o job 1 few steps: loss" in called.out
    assert "* job 2: evaluations" in called.out
    assert "stage 1 to 1, stage 2 to 2, stage 3 to 4, stage 4 to 7" in " ".join(called.out.split())
    # Each series is in its panel, not only in the legend.
    first, second = called.out.split("o job 1 few steps: loss")
    assert all(first.count(marker) >= 3 for marker in "ox")
    assert all(marker in second.split("o job 1")[0] for marker in "o+x*")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_colours_unless_it_wants_none(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    document = shell("plot", 1, 2, "--json").json
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = curve_lines(document, _Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    plain = curve_lines(document, _Terminal())
    assert "\33" not in "".join(plain)
    assert "\33[38;5;12mo" in "".join(coloured)
    assert [click.unstyle(line).rstrip() for line in coloured] == plain


def test_one_panel_fits_24_lines(shell: Shell) -> None:
    assert len(shell("plot", 1, 2).out.splitlines()) <= 22


def test_one_point_is_drawn_and_those_without_a_value_are_told(shell: Shell, tmp_path: Path) -> None:
    with shell.registry() as registry, registry.write() as session:
        add(session, 2, "once", 1, 1, 1, 5.0)
    called = shell("plot", 1, 2, "--metric", "once", "-o", tmp_path / "one.png")
    assert (called.code, called.err) == (0, "warning: no once yet of job 1\n")
    assert "o" in shell("plot", 2, "--metric", "once").out.split("o job 2")[0].replace("once", "")


@pytest.mark.parametrize(("name", "begins"), [("c.png", b"\x89PNG"), ("c.svg", b"<?xml")])
def test_pictures_replace_what_was_there_and_are_the_same_again(
    shell: Shell, tmp_path: Path, name: str, begins: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(b"old")
    assert shell("plot", 1, 2, "--metric", "loss,mean_iou", "-o", path).out == f"{path} is written.\n"
    first = path.read_bytes()
    assert first.startswith(begins)
    shell("plot", 1, 2, "--metric", "loss,mean_iou", "-o", path)
    assert path.read_bytes() == first
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == [name]


NOT_DRAWN: list[tuple[tuple[object, ...], int, str]] = [
    ((1, "-o", "x.jpg"), 2, "end it with .png or .svg"),
    ((99, "-o", "x"), 2, "end it with"),
    ((1, "-o", "/no/such/folder/x.png"), 2, "there is no folder /no/such/folder"),
    ((1, "--metric", "accuracy"), 4, "job 1 has no metric 'accuracy': there is iou_CLASS, loss, mean_iou"),
    ((99,), 4, "job 99 is unknown"),
    ((3,), 4, "job 3 is of kind export, and only trainings have curves"),
    (tuple(range(1, 10)), 2, "9 jobs are more than can be told apart"),
]


def test_what_cannot_be_drawn(shell: Shell) -> None:
    for arguments, code, said in NOT_DRAWN:
        called = shell("plot", *arguments)
        assert (called.code, called.out, said in called.err) == (code, "", True), called.err


def test_without_matplotlib_the_extra_is_named_before_anything_is_read(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(plot_module, "find_spec", lambda name: None)
    called = shell("plot", 99, "-o", tmp_path / "x.png")
    assert called.code == 15
    assert "pip install 'erfnet-jobs[plot]'" in called.err
    assert shell("plot", 1).code == 0
