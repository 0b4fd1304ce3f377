"""What `--json` prints: one document each, with stable keys, everywhere the same."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from erfnet_jobs.jobs import Part
from erfnet_jobs.registry.attempts import assign, claim, end_attempt, report_running
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.tables import Checkpoint, Evaluation, LogTail, Metric
from tests.cli_calls import Shell
from tests.registry_steps import failed

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
JOB_KEYS = {
    *(
        "id",
        "kind",
        "name",
        "state",
        "reason",
        "cards",
        "attempt",
        "max_attempts",
        "priority",
        "hosts",
        "group",
        "user",
    ),
    *("cancel_requested", "progress", "phase", "stage", "epoch", "epochs", "step", "steps", "loss", "mean_iou", "spec"),
    *("images_per_second", "eta_seconds", "created_at", "started_at", "ended_at", "not_before"),
    *("wanted_host", "wanted_devices", "lr", "time_limit", "wait_seconds"),
}
MORE_KEYS = {
    "training",
    *("needs", "needed_by", "attempts", "events", "checkpoints", "evaluations", "artifacts", "first_failure", "logs"),
}
BEST_KEYS = {
    *(
        "checkpoint",
        "path",
        "job",
        "metric",
        "value",
        "attempt",
        "stage",
        "epoch",
        "step",
        "evaluation",
        "evaluated_by",
    ),
    *("dataset_hash", "split", "protocol", "height", "width", "engine", "images"),
    *("mean_iou", "mean_iou_19", "pixel_accuracy", "mean_loss", "iou_class"),
    *("mean_iou_category", "iou_category"),
}


def run_a_while(shell: Shell, job: int, tmp_path: Path) -> None:
    """The first attempt of a job has started, said something, and measured a checkpoint."""
    log = tmp_path / "rank_0.log"
    log.write_text("first line\nsecond line\n")
    with shell.registry() as registry, registry.write() as session:
        assert assign(session, job, 0, [Part("h1", (0, 1), 0)], str(tmp_path))
        assert claim(session, job, 1, "h1", ("127.0.0.1", 4000))
        report_running(session, job, 1, "h1")
        at = now(session)
        row = Checkpoint(
            job_id=job,
            attempt=1,
            network="erfnet",
            stage=4,
            epoch=2,
            step=9,
            path="/c.ckpt",
            sha256="0" * 64,
            size=5,
            origin="train",
            created_at=at,
        )
        session.add(row)
        session.flush()
        session.add(
            Evaluation(
                job_id=job,
                attempt=1,
                checkpoint_id=row.id,
                checkpoint_path="/c.ckpt",
                dataset_hash="d" * 64,
                split="val",
                protocol="half",
                height=64,
                width=128,
                engine="mindspore-cpu",
                images=3,
                mean_iou=0.5,
                mean_iou_19=0.4,
                pixel_accuracy=0.9,
                mean_loss=0.3,
                iou_class="[" + "null, " * 18 + "0.5]",
                created_at=at,
            )
        )
        for step in (1, 2):
            session.add(Metric(job_id=job, name="loss", attempt=1, stage=1, step=step, epoch=1, value=1.0 / step))
        session.add(
            LogTail(job_id=job, attempt=1, rank=0, host_name="h1", path=str(log), text="second line\n", log_bytes=23)
        )


def times(document: Any) -> Iterator[str]:
    if isinstance(document, list):
        for item in document:
            yield from times(item)
    elif isinstance(document, dict):
        for name, value in document.items():
            if (name.endswith("_at") or name == "at") and value is not None:
                yield value
            yield from times(value)


def test_submit_prints_the_job_or_the_jobs_it_made(shell: Shell, data: Path) -> None:
    alone = shell("submit", "train", "--data", data, "--no-eval", "--name", "one", "--json").json
    assert alone.keys() == JOB_KEYS
    assert (alone["id"], alone["kind"], alone["state"], alone["cards"], alone["name"]) == (
        1,
        "train",
        "queued",
        1,
        "one",
    )
    assert alone["spec"]["data"] == str(data)
    made = shell("submit", "train", "--data", data, "--devices", "0,1", "--then", "export,infer", "--json").json
    assert [job["kind"] for job in made] == ["train", "eval", "export", "infer"]
    assert [job["state"] for job in made] == ["queued", "waiting", "waiting", "waiting"]
    assert made[0]["cards"] == 2
    assert made[0]["wanted_devices"] == [0, 1]
    assert made[1]["spec"]["checkpoints"] == ["2:all"]
    assert made[2]["spec"]["checkpoint"] == made[3]["spec"]["checkpoint"] == "2:best"
    assert len({job["group"] for job in made}) == 1
    assert shell("status", 4, "--json").json["needs"] == [3]


def test_without_an_evaluation_the_last_weights_are_used(shell: Shell, data: Path) -> None:
    made = shell("submit", "train", "--data", data, "--no-eval", "--then", "export", "--json").json
    assert made[1]["spec"]["checkpoint"] == "1:last"
    assert shell("status", made[1]["id"], "--json").json["needs"] == [1]


def test_an_encoder_is_evaluated_as_one(shell: Shell, data: Path) -> None:
    made = shell("submit", "train", "--data", data, "--stages", "1-2", "--json").json
    assert made[1]["spec"]["network"] == "encoder"


def test_a_job_that_uses_the_best_waits_for_the_evaluation(shell: Shell, data: Path) -> None:
    shell("submit", "train", "--data", data)
    later = shell("submit", "export", "--checkpoint", "1:best", "--json").json
    assert later["state"] == "waiting"
    assert shell("status", later["id"], "--json").json["needs"] == [1, 2]


def test_a_dry_run_does_nothing(shell: Shell, data: Path) -> None:
    plan = shell("submit", "train", "--data", data, "--cards", "2", "--then", "export", "--dry-run", "--json").json
    assert plan.keys() == {"jobs", "hosts", "now"}
    assert [job["kind"] for job in plan["jobs"]] == ["train", "eval", "export"]
    assert plan["jobs"][0]["stages"][0] == {"stage": 1, "epochs": 65, "lr": pytest.approx(5e-4 * 2**0.5)}
    assert plan["jobs"][0]["training"]["global_batch"] == 12
    assert plan["hosts"] == [{"name": "h1", "usable": 2, "free": 2, "up": True, "closed": None}]
    assert plan["now"] == {"parts": [["h1", [0, 1]]], "reason": "assigned to h1"}
    assert shell.count_jobs() == 0
    text = shell("submit", "train", "--data", data, "--dry-run").out
    assert "65 epochs" in text
    assert "If it were the next job: it would get device 0 of h1 now." in text
    assert "Nothing was submitted" in text


def test_between_attempts_nothing_of_the_last_one_is_shown_as_of_now(shell: Shell, data: Path, tmp_path: Path) -> None:
    shell("submit", "train", "--data", data, "--cards", "2", "--no-eval")
    assert "logs 1" not in shell("status", 1).out
    run_a_while(shell, 1, tmp_path)
    assert "runs for" in shell("status", 1).out
    with shell.registry() as registry, registry.write() as session:
        assert end_attempt(session, 1, 1, failed(), 60)

    text = shell("status", 1).out

    assert "Job 1  train  queued" in text
    assert not [word for word in ("  progress  ", "  stage  ", "  speed  ", "  ETA  ", "runs for") if word in text]
    assert "tried again until 3 have failed" in text
    assert "logs 1 --follow" in text
    listed = shell("status").out.splitlines()
    assert "%" not in listed[1]


def test_documents_about_a_job_that_runs(shell: Shell, data: Path, tmp_path: Path) -> None:
    shell("submit", "train", "--data", data, "--cards", "2")
    run_a_while(shell, 1, tmp_path)
    listed = shell("status", "--json").json
    assert all(job.keys() == JOB_KEYS for job in listed)
    assert (listed[0]["state"], listed[0]["hosts"], listed[0]["attempt"]) == ("running", ["h1"], 1)
    details = shell("status", 1, "--json").json
    assert details.keys() == JOB_KEYS | MORE_KEYS
    assert details["attempts"][0]["placements"][0]["devices"] == [0, 1]
    assert all(TIME.fullmatch(at) for at in times(details))
    best = shell("best", "--json").json
    assert best.keys() == BEST_KEYS
    assert (best["checkpoint"], best["path"], best["job"], best["metric"]) == (1, "/c.ckpt", 1, "mean_iou")
    assert best["value"] == 0.5
    assert len(best["iou_class"]) == 19
    assert shell("best", "--top", 3, "--json").json == [best]
    assert shell("best", "--path").out == "/c.ckpt\n"
    by_class = shell("best", "--per-class", "Bicycle", "--top", 5, "--json").json
    assert by_class == [{**best, "metric": "iou_bicycle", "value": 0.5}]
    assert shell("best", "--per-class", "rider").code == 4
    assert "leave one of the two out" in shell("best", "--per-class", "rider", "--metric", "mean_iou").err
    for given, size in ((), [best["height"], best["width"]]), (("--size", "96x192"), [96, 192]):
        (planned,) = shell("submit", "export", "--best", "mean_iou", *given, "--dry-run", "--json").json["jobs"]
        assert (planned["spec"]["checkpoint"], planned["spec"]["size"]) == ("1", size)
    assert [row["value"] for row in shell("metrics", 1, "--name", "loss", "--json").json] == [1.0, 0.5]
    assert [row["name"] for row in shell("metrics", 1, "--json").json] == ["loss"]
    assert shell("checkpoints", "list", "--json").json[0]["checkpoint"] == 1
    assert shell("checkpoints", "show", "1:best", "--json").json["evaluations"][0]["mean_iou"] == 0.5
    hosts = shell("hosts", "--json").json
    assert (hosts[0]["name"], hosts[0]["free"], hosts[0]["jobs"]) == ("h1", 0, [1])
    assert [event["kind"] for event in shell("events", 1, "--json").json] == ["submitted", "assigned", "running"]
    assert shell("logs", 1, "--json").json[0]["text"] == "second line\n"


def test_what_people_see_of_a_job_that_runs(shell: Shell, data: Path, tmp_path: Path) -> None:
    shell("submit", "train", "--data", data, "--cards", "2", "--name", "night")
    run_a_while(shell, 1, tmp_path)
    assert "night" in shell("status").out
    details = shell("status", 1).out
    for words in (
        "Job 1  train  running  night",
        "Attempts",
        "h1: 0,1",
        "/c.ckpt",
        "mean IoU 0.5000",
        "erfnet-jobs logs 1",
    ):
        assert words in details
    assert shell("logs", 1).out == "first line\nsecond line\n"
    (tmp_path / "rank_0.log").unlink()
    assert "on h1 only" in shell("logs", 1).out
    assert "second line" in shell("logs", 1).out
    assert shell("logs", 2).err.startswith("job 2 has written nothing yet: it is waiting")
    assert "bicycle" in shell("best").out
    for command in (["hosts"], ["events"], ["metrics", 1], ["checkpoints", "list"], ["checkpoints", "show", 1]):
        assert shell(*command).out.count("\n") >= 2


def test_cancel_and_wait(shell: Shell, data: Path, tmp_path: Path) -> None:
    shell("submit", "train", "--data", data, "--cards", "2")
    shell("submit", "train", "--data", data, "--cards", "2", "--no-eval")
    run_a_while(shell, 1, tmp_path)
    cancelled = shell("cancel", 1, 3, "--json").json
    assert [(job["state"], job["cancel_requested"]) for job in cancelled] == [("running", True), ("cancelled", False)]
    assert "is told to end" in shell("cancel", 1).out
    assert shell("wait", 3).code == 10
    assert shell("wait", 1, "--timeout", "0").code == 124
    assert shell("wait", 1, 99).code == 4
    assert shell("wait", 3, "--json").json[0]["state"] == "cancelled"
    assert shell("cancel", 3).out == "job 3 is cancelled\n"


def test_the_registry_s_version(shell: Shell) -> None:
    assert shell("db", "current", "--json").json.keys() == {"database", "version", "needed"}
    again = shell("db", "upgrade", "--json").json
    assert again["before"] == again["version"]


def test_doctor(shell: Shell) -> None:
    called = shell("doctor", "--no-mindspore", "--json")
    states = {check["name"]: check["state"] for check in called.json["checks"]}
    assert called.code == 0
    assert states["Redis"] == states["registry"] == "ok"
    assert states["worker"] == "warning"
    broken = shell("--database-url", "sqlite:////nowhere/at/all.sqlite", "doctor", "--no-mindspore")
    assert broken.code == 1
    assert "ERROR" in broken.out
    assert "db upgrade" in " ".join(broken.out.split())
