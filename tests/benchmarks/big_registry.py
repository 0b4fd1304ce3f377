"""A registry as it is after years: filled with plausible rows, fast, on either database."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, insert, text

from erfnet_jobs.registry.engine import make_engine
from erfnet_jobs.registry.tables import (
    Artifact,
    Attempt,
    Base,
    Checkpoint,
    Evaluation,
    Event,
    Host,
    Job,
    LogTail,
    Placement,
)
from erfnet_jobs.specs import EvalSpec, spec_to_json
from erfnet_jobs.states import JobState
from erfnet_jobs.train_spec import TrainSpec

Rows = Iterator[Mapping[str, Any]]
BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
DATASETS = ("a" * 64, "b" * 64, "c" * 64)
ENDED = (JobState.SUCCEEDED, JobState.SUCCEEDED, JobState.FAILED, JobState.SUCCEEDED, JobState.CANCELLED)
CHUNK = 20_000


def _at(index: int) -> datetime:
    return BEGAN + timedelta(minutes=index)


def _state(index: int, jobs: int) -> JobState:
    """The newest 2 % are queued, and a few of them run or wait; all others have ended."""
    left = jobs - index
    if left > jobs // 50:
        return ENDED[index % len(ENDED)]
    return {0: JobState.RUNNING, 1: JobState.WAITING}.get(left % 100, JobState.QUEUED)


def _jobs(jobs: int) -> Rows:
    specs = (spec_to_json(TrainSpec("/data/cityscapes", cards=8)), spec_to_json(EvalSpec(("1:all",), "/data")))
    for index in range(1, jobs + 1):
        state = _state(index, jobs)
        yield {
            "id": index,
            "kind": ("train", "eval")[index % 2],
            "state": state,
            "reason": f"rank 3 failed: exit code {index % 7}",
            "priority": index % 3,
            "cards": 8,
            "max_attempts": 3,
            "spec": specs[index % 2],
            "user_name": f"user{index % 20}",
            "user_host": "shell",
            "attempt": 0 if state in {JobState.QUEUED, JobState.WAITING} else 1,
            "cancel_requested": False,
            "created_at": _at(index),
        }


def _attempts(jobs: int) -> Rows:
    for index in range(1, jobs + 1):
        yield {
            "job_id": index,
            "number": 1,
            "run_dir": f"/runs/{index}/1",
            "outcome": "succeeded",
            "permanent": False,
            "created_at": _at(index),
        }


def _placements(jobs: int) -> Rows:
    for index in range(1, jobs + 1):
        part = {"job_id": index, "attempt": 1, "host_name": f"host{index % 4}", "first_rank": 0}
        yield {**part, "devices": "[0, 1]", "state": "ended"}


def _log_tails(jobs: int) -> Rows:
    for index in range(1, jobs + 1):
        tail = {"job_id": index, "attempt": 1, "rank": 0, "host_name": "host0", "path": f"/runs/{index}/1/logs/0"}
        yield {**tail, "text": "the last line\n" * 5, "log_bytes": 70, "report_bytes": 0}


def _checkpoints(jobs: int) -> Rows:
    for index in range(1, jobs + 1):
        yield {
            "id": index,
            "job_id": index - index % 2 or 1,
            "attempt": 1,
            "network": "erfnet",
            "stage": 4,
            "epoch": index % 85,
            "step": index,
            "path": f"/runs/{index}/1/checkpoints/ERFNet_stage4-{index}.ckpt",
            "sha256": f"{index:064x}",
            "size": 8_300_000,
            "origin": "train",
            "created_at": _at(index),
            "removed_at": _at(index) if index % 10 == 0 else None,
        }


def _artifacts(jobs: int) -> Rows:
    for index in range(1, jobs + 1):
        made = {"id": index, "job_id": index, "attempt": 1, "checkpoint_id": index, "format": "mindir"}
        path, sha256 = f"/runs/{index}/1/ERFNet.mindir", f"{index:064x}"
        yield {**made, "path": path, "sha256": sha256, "size": 1, "created_at": _at(1)}


def _evaluations(jobs: int) -> Rows:
    classes = json.dumps([0.5] * 19)
    for index in range(1, jobs + 1):
        score = (index * 7919 % jobs) / jobs
        yield {
            "id": index,
            "job_id": index,
            "attempt": 1,
            "checkpoint_id": index,
            "checkpoint_path": f"/runs/{index}/1/checkpoints/ERFNet_stage4-{index}.ckpt",
            "dataset_hash": DATASETS[0 if index % 10 else index // 10 % 3],
            "split": "val",
            "protocol": "encoder-half" if index % 20 == 0 else "half",
            "height": 512,
            "width": 1024,
            "engine": "mindspore-ascend",
            "images": 500,
            "mean_iou": score,
            "mean_iou_19": score,
            "pixel_accuracy": score,
            "mean_loss": 1 - score,
            "iou_class": classes,
            "created_at": _at(index),
        }


def _events(jobs: int) -> Rows:
    for index in range(1, jobs + 1):
        yield {"id": index, "at": _at(index), "kind": "submitted", "text": "train on 8 cards", "job_id": index}


# Two curves of 500 values for as many of the newest jobs as it takes; counted by the database, which is faster.
METRICS = text("""
    INSERT INTO metric (job_id, name, attempt, stage, step, epoch, value)
    WITH RECURSIVE number (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < :rows)
    SELECT :jobs - n / 1000, CASE n / 500 % 2 WHEN 0 THEN 'loss' ELSE 'lr' END, 1, n / 125 % 4 + 1, n % 125 + 1, 1,
        1.0 / (n + 1) FROM number
""")


def _insert(connection: Connection, model: type[Base], rows: Rows) -> None:
    table = model.__table__
    assert isinstance(table, Table)
    while chunk := list(islice(rows, CHUNK)):
        connection.execute(insert(table), chunk)


def fill(database_url: str, jobs: int = 100_000, metrics: int = 1_000_000) -> None:
    """Fill a migrated, empty registry: `jobs` rows in each table that grows with jobs, and `metrics` values."""
    hosts = ({"name": f"host{n}", "drained": False, "beat": 1} for n in range(4))
    words = {"address": "127.0.0.1", "storage_id": "s", "version": "1", "instance": "i"}
    engine = make_engine(database_url).execution_options(registry_write=True)
    with engine.begin() as connection:
        _insert(connection, Host, ({**host, **words, "registered_at": BEGAN, "seen_at": BEGAN} for host in hosts))
        for model, rows in (
            (Job, _jobs(jobs)),
            (Attempt, _attempts(jobs)),
            (Placement, _placements(jobs)),
            (LogTail, _log_tails(jobs)),
            (Checkpoint, _checkpoints(jobs)),
            (Artifact, _artifacts(jobs)),
            (Evaluation, _evaluations(jobs)),
            (Event, _events(jobs)),
        ):
            _insert(connection, model, rows)
        connection.execute(METRICS, {"jobs": jobs, "rows": metrics})
    engine.dispose()
