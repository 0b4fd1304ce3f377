"""`compare`: jobs side by side, from rows and from what their runs say of themselves."""

import json

import pytest

from erfnet_jobs.registry.tables import Metric
from tests.cli_calls import Shell
from tests.registry_steps import add_hosts
from tests.trained_jobs import evaluate, train, validated

IOUS = [0.5] * 12 + [0.25] + [0.5] * 6


@pytest.fixture
def shell(narrow_shell: Shell) -> Shell:
    runs = narrow_shell.settings.runs
    with narrow_shell.registry() as registry, registry.write() as session:
        add_hosts(session)
        first, second = train(session, runs, epochs=1), train(session, runs, epochs=1, lr=0.01, size=(64, 128))
        train(session, runs, epochs=1, seed=7, ended=False)
        for name, value in (("loss", 9.0), ("epoch_loss", 0.5), ("images_per_second", 12.0)):
            for job in (first.job, second.job):
                session.add(Metric(job_id=job, name=name, attempt=1, stage=4, step=7, epoch=1, value=value * job))
        validated(session, 1, 4, 1, 0.6)
        evaluate(session, 1, first.checkpoints[1], 0.4)
        evaluate(session, 1, first.checkpoints[1], 0.5)
        evaluate(session, 1, first.checkpoints[1], 0.99, protocol="full")
        evaluate(session, 1, first.checkpoints[1], 0.99, model_sha256="c" * 64)
        evaluate(session, 2, second.checkpoints[0], 0.7, iou_class=json.dumps(IOUS))
        evaluate(session, 2, second.checkpoints[1], 0.3)
    for job, mindspore in ((1, "2.9.0"), (2, "2.10.0")):
        document = {
            "job": job,
            "spec": {},
            "versions": {"mindspore": mindspore, "python": "3.11.2"},
            "revision": "c0ffee",
        }
        (runs / str(job) / "job.json").write_text(json.dumps(document))
    return narrow_shell


def lines(document: list[dict[str, object]]) -> dict[object, object]:
    return {line["name"]: line["values"] for line in document if line["differs"]}


def test_two_trainings(shell: Shell) -> None:
    document = shell("compare", 1, 2, "--json").json
    assert lines(document["settings"]) == {"lr": [None, 0.01], "size": [[512, 1024], [64, 128]]}
    assert {"name": "seed", "values": [1, 1], "differs": False} in document["settings"]
    assert lines(document["origins"]) == {"version of mindspore": ["2.9.0", "2.10.0"]}
    figures = {line["name"]: line["values"] for line in document["figures"]}
    assert figures["final loss"] == [0.5, 1.0]
    assert figures["images/s"] == [12.0, 24.0]
    assert figures["best val_mean_iou"] == [0.6, None]
    assert figures["cards"] == [1, 1]
    assert document["unseen"] == []
    evaluated = document["evaluated"]
    assert (evaluated["group"]["protocol"], evaluated["why"]) == ("half", None)
    assert evaluated["mean_iou"]["values"] == [0.5, 0.7]
    rider = next(row for row in evaluated["iou_class"] if row["class"] == "rider")
    assert (rider["values"], rider["differences"]) == ([0.5, 0.25], [0.0, -0.25])
    assert [row["checkpoint"] for row in evaluated["evaluations"]] == [2, 3]


def test_on_the_terminal_what_is_equal_is_left_out_unless_asked_for(shell: Shell) -> None:
    called = shell("compare", 1, 2)
    text = called.out
    assert called.code == 0
    assert max(map(len, text.splitlines())) <= 80
    assert "512x1024" in text
    assert "lr none 0.01" in " ".join(text.split())
    assert "seed" not in text
    assert "3.11.2" not in text
    assert "-0.2500" in text
    assert "+0.2000" in text
    assert "Measured: of job 1 checkpoint 2, of job 2 checkpoint 3." in text
    everything = shell("compare", 1, 2, "--all").out
    assert "seed" in everything
    assert "3.11.2" in everything


def test_what_cannot_be_compared_is_told_with_why(shell: Shell) -> None:
    text = " ".join(shell("compare", 1, 2, 3).out.split())
    assert "job 3 has no evaluation: 'erfnet-jobs submit eval --checkpoint 3:best --data D' makes one" in text
    assert "Versions and data of job 3 are not known" in text
    assert "version of mindspore 2.9.0 2.10.0 unknown" in text
    with shell.registry() as registry, registry.write() as session:
        evaluate(session, 3, None, 0.5, height=96)
    document = shell("compare", 1, 3, "--json").json
    assert document["evaluated"]["group"] is None
    why = "job 3 on val of dataset dddddddddddd at 96x128, protocol half"
    assert why in document["evaluated"]["why"]
    assert why in " ".join(shell("compare", 1, 3).out.split())


def test_jobs_of_other_kinds_and_wrong_numbers_of_jobs(shell: Shell) -> None:
    assert "takes from 2 to 8 different jobs, and was given 1" in shell("compare", 1, 1).err
    assert shell("compare", 1, 1).code == 2
    assert shell("compare", 1, 99).code == 4
