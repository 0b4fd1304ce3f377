"""From submit to the first rank's process on an idle worker, and a placement pass over a long queue."""

import tempfile
import time
from pathlib import Path

from erfnet_jobs.client import Client
from erfnet_jobs.jobs import Request
from erfnet_jobs.local.processes import start_of
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.events import Actor
from erfnet_jobs.registry.hosts import register_host
from erfnet_jobs.registry.jobs import submit_job
from erfnet_jobs.registry.migrate import upgrade
from erfnet_jobs.settings import load_settings
from erfnet_jobs.states import JobState
from erfnet_jobs.train_spec import TrainSpec
from tests.benchmarks.rows import Row
from tests.registry_steps import seen_device
from tests.services import RedisServer, Site, eventually
from workers.placing import pass_once

TICKS_PER_SECOND = 100  # of proc(5)'s start times, on every Linux of our machines
REPEATS = 5
QUEUED = 1000


def _start_once(site: Site, client: Client) -> float:
    """Seconds from before the call of `submit` to the start of rank 0's process, to 0.01 s."""
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    job = client.submit(Request(TrainSpec(str(site.data))), evaluate=False)[0]["id"]
    eventually(site.ranks, "a rank runs")
    started = start_of(site.ranks()[0])
    assert started is not None
    site.until(job, JobState.RUNNING)
    client.cancel([job])
    eventually(site.idle, "the worker is idle again")
    return started / TICKS_PER_SECOND - began


def _starts(folder: Path) -> list[Row]:
    redis = RedisServer(folder)
    redis.start()
    url = f"sqlite:///{folder / 'registry.sqlite'}"
    upgrade(url)
    site = Site(folder, url, redis.url, "bench", beat_interval=2, lease_timeout=30)
    try:
        site.script({"default": [["hello"], ["hang"]]})
        site.start_worker()
        client = Client(site.settings, warn=lambda text: None)
        taken = sorted(_start_once(site, client) for _ in range(REPEATS))
        client.close()
    finally:
        site.end()
        redis.kill()
    spread = f"{taken[0]:.2f} to {taken[-1]:.2f} s in {REPEATS} runs"
    return [Row("submit to first rank process", taken[len(taken) // 2], "s", spread, "0.5 s")]


def _passes(folder: Path) -> list[Row]:
    settings = load_settings(environ={"ERFNET_JOBS_HOME": str(folder / "queue")})
    url = f"sqlite:///{folder / 'queue.sqlite'}"
    upgrade(url)
    with Registry(url) as registry:
        request = Request(TrainSpec("/data", cards=4))
        with registry.write() as session:
            devices = [seen_device(number) for number in range(8)]
            register_host(session, name="h", address="", storage_id="s", version="", instance="i", devices=devices)
            for _ in range(QUEUED):
                submit_job(session, request, Actor("bench", "bench"))
        taken = []
        for _ in range(4):
            began = time.perf_counter()
            pass_once(registry, settings.runs, frozenset())
            taken.append(time.perf_counter() - began)
    return [
        Row(f"first placement pass, {QUEUED} queued", taken[0], "s", "places 2, tells the others why they wait", ""),
        Row(f"placement pass, {QUEUED} queued, nothing free", min(taken[1:]), "s", "", ""),
    ]


def run() -> list[Row]:
    """The figures of this benchmark."""
    with tempfile.TemporaryDirectory(prefix="ej-bench-") as folder:
        return _starts(Path(folder)) + _passes(Path(folder))
