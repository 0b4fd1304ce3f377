"""The registry alone: its questions over a big SQLite file, and a submit against a bare durable commit."""

import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

from erfnet_jobs.jobs import Request
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.evaluations import best
from erfnet_jobs.registry.events import Actor
from erfnet_jobs.registry.jobs import submit_job
from erfnet_jobs.registry.metrics import metric_names, metric_series
from erfnet_jobs.registry.migrate import upgrade
from erfnet_jobs.registry.status import count_by_state, job_details, list_jobs
from erfnet_jobs.specs import spec_to_json
from erfnet_jobs.train_spec import TrainSpec
from tests.benchmarks.big_registry import fill
from tests.benchmarks.rows import Row

JOBS = 100_000
SUBMITS = 300
REPEATS = 5
QUESTIONS: dict[str, Callable[[Session], object]] = {
    "list_jobs": list_jobs,
    "count_by_state": count_by_state,
    "job_details": lambda session: job_details(session, JOBS),
    "best": lambda session: best(session, "mean_iou"),
    "best of a job": lambda session: best(session, "mean_iou", job=4),
    "metric_names": lambda session: metric_names(session, JOBS),
    "metric_series, 500 values": lambda session: metric_series(session, JOBS, "loss"),
}


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _ask(registry: Registry, question: Callable[[Session], object]) -> None:
    with registry.read() as session:
        question(session)


def _questions(folder: Path) -> list[Row]:
    url = f"sqlite:///{folder / 'big.sqlite'}"
    upgrade(url)
    fill(url, jobs=JOBS)
    rows = []
    with Registry(url) as registry:
        for name, question in QUESTIONS.items():
            taken = min(_seconds(lambda question=question: _ask(registry, question)) for _ in range(REPEATS))
            rows.append(Row(f"{name}, warm", taken * 1000, "ms", "100,000 jobs, 1,000,000 metric rows, SQLite"))
    return rows


def _submits(registry: Registry, request: Request) -> None:
    actor = Actor("user", "shell")
    for _ in range(SUBMITS):
        with registry.write() as session:
            submit_job(session, request, actor)


def _commits(path: Path, spec: str) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        database.execute(f"PRAGMA {pragma}")
    database.execute("CREATE TABLE IF NOT EXISTS job (id INTEGER PRIMARY KEY, spec TEXT)")
    for _ in range(SUBMITS):
        database.execute("INSERT INTO job (spec) VALUES (?)", (spec,))
    database.close()


def _submitting(folder: Path) -> list[Row]:
    url = f"sqlite:///{folder / 'small.sqlite'}"
    upgrade(url)
    request = Request(TrainSpec("/data/cityscapes"))
    spec = spec_to_json(request.spec)
    with Registry(url) as registry:
        # One after the other, so that neither has the quieter machine.
        pairs = [
            (_seconds(lambda: _submits(registry, request)), _seconds(lambda: _commits(folder / "bare.sqlite", spec)))
            for _ in range(REPEATS)
        ]
    ours, bare = (min(side) / SUBMITS * 1000 for side in zip(*pairs, strict=True))
    return [Row("submit_job and its commit", ours, "ms", f"{ours - bare:+.2f} ms on a bare durable commit")]


def run() -> list[Row]:
    """All of them, in a folder of their own."""
    with tempfile.TemporaryDirectory(prefix="ej-bench-") as folder:
        return [*_questions(Path(folder)), *_submitting(Path(folder))]
