"""The command's speed: --help, status and best over a big registry, and a thousand submits against bare ones."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from erfnet_jobs.broker import celery_settings
from erfnet_jobs.client import Client
from erfnet_jobs.jobs import Request
from erfnet_jobs.local.redis_server import start_redis, stop_redis
from erfnet_jobs.registry.migrate import upgrade
from erfnet_jobs.settings import Settings, load_settings
from erfnet_jobs.train_spec import TrainSpec
from tests.benchmarks.big_registry import fill
from tests.benchmarks.rows import Row
from tests.layout import empty_dataset

REPEATS = 7
SUBMITS = 1000


def _best_of(call: Callable[[], None], repeats: int = REPEATS) -> float:
    """The shortest of some runs, in seconds: what else the machine did counts least there."""
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return min(taken)


def _command(*arguments: str) -> Callable[[], None]:
    def call() -> None:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)

    return call


def _help() -> list[Row]:
    bare = _best_of(_command("-c", "pass"))
    shown = _best_of(_command("-m", "erfnet_jobs", "--help"))
    return [Row("erfnet-jobs --help", shown, "s", f"{shown - bare:+.3f} s on python -c pass", "within 0.12 s of it")]


def _asking(folder: Path) -> list[Row]:
    url = f"sqlite:///{folder / 'big.sqlite'}"
    upgrade(url)
    fill(url)
    common = ("-m", "erfnet_jobs", "--home", str(folder), "--database-url", url)
    what = "100,000 jobs, 1,000,000 metric rows, SQLite"
    return [
        Row(f"erfnet-jobs {name}", _best_of(_command(*common, name)), "s", what, "at most 0.5 s")
        for name in ("status", "best")
    ]


def _submits(settings: Settings) -> float:
    request = Request(TrainSpec(str(empty_dataset(settings.home / "data"))))
    with Client(settings) as client:
        client.submit(request, evaluate=False)
        began = time.perf_counter()
        for _ in range(SUBMITS):
            client.submit(request, evaluate=False)
        return time.perf_counter() - began


def _bare_submits(settings: Settings) -> float:
    """As many bare Celery sends, each after one bare durable commit of a row of the same size."""
    from celery import Celery

    app = Celery("bare", set_as_current=False)
    app.conf.update(celery_settings(settings.resolved_broker_url))
    database = sqlite3.connect(settings.home / "bare.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE job (id INTEGER PRIMARY KEY, spec TEXT)")
    spec = "x" * 400
    with app.producer_pool.acquire(block=True) as producer:
        app.send_task("bare", args=(0,), queue="bare", producer=producer, ignore_result=True)
        began = time.perf_counter()
        for number in range(SUBMITS):
            database.execute("INSERT INTO job (spec) VALUES (?)", (spec,))
            app.send_task("bare", args=(number,), queue="bare", producer=producer, ignore_result=True)
        taken = time.perf_counter() - began
    database.close()
    return taken


def _submitting(folder: Path) -> list[Row]:
    settings = load_settings({"home": folder}, {})
    upgrade(settings.resolved_database_url)
    start_redis(settings)
    try:
        # Alternating, so that neither has the quieter machine.
        pairs = [(_bare_submits(settings), _submits(settings)) for _ in range(3) if _forget(folder)]
    finally:
        stop_redis(settings)
    bare, ours = min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
    against = f"{ours / bare:.2f} times {SUBMITS} bare sends and commits ({bare:.2f} s)"
    return [Row(f"{SUBMITS} submits in one process", ours, "s", against, "at most 1.5 times")]


def _forget(folder: Path) -> bool:
    for name in ("bare.sqlite", "bare.sqlite-wal", "bare.sqlite-shm"):
        (folder / name).unlink(missing_ok=True)
    return True


def run() -> list[Row]:
    """All of them, in a folder of their own."""
    os.environ["COLUMNS"] = "120"
    with tempfile.TemporaryDirectory(prefix="ej-bench-") as folder:
        for name in ("big", "home"):
            Path(folder, name).mkdir()
        return [*_help(), *_asking(Path(folder, "big")), *_submitting(Path(folder, "home"))]
