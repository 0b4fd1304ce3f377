"""Placement at 1,000 hosts of 8 devices and 10,000 queued jobs in PostgreSQL: a pass, and what an idle host asks."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, insert, text, update

from erfnet_jobs.ascend.devices import HostDevices
from erfnet_jobs.ascend.health import DeviceStates
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.hosts import list_hosts
from erfnet_jobs.registry.queue import queue_window
from erfnet_jobs.registry.tables import Attempt, Device, Host, Job, Placement
from erfnet_jobs.settings import load_settings
from erfnet_jobs.specs import spec_to_json
from erfnet_jobs.train_spec import TrainSpec
from tests.benchmarks.big_registry import BEGAN
from tests.benchmarks.rows import Row
from tests.conftest import PostgresServer
from workers.news import News
from workers.own_devices import FirstLook, OwnDevices
from workers.placing import MOST_PLACED, Sweep, pass_once
from workers.rounds import ROUND_SECONDS, Rounds

HOSTS = 1000
QUEUED = 10_000
REPEATS = 5
RUNS = Path("/runs")


@dataclass
class Asked:
    """What was sent to the database: statements, and the rows that came back."""

    statements: int = 0
    rows: int = 0


@contextmanager
def asked() -> Iterator[Asked]:
    """What this process asks its databases meanwhile."""
    found = Asked()

    def sent(_conn: object, cursor: Any, statement: str, *_rest: object) -> None:
        found.statements += 1
        found.rows += cursor.rowcount if statement.startswith(("SELECT", "WITH")) else 0

    event.listen(Engine, "after_cursor_execute", sent)
    yield found
    event.remove(Engine, "after_cursor_execute", sent)


def _host(number: int) -> dict[str, Any]:
    words = {"address": "", "storage_id": "s", "version": "1", "instance": f"i{number}", "drained": False, "beat": 1}
    devices = {"family": "910A", "present": "0-7", "usable": "0-7", "free": ""}
    return {"name": f"host{number:04}", "registered_at": BEGAN, "seen_at": BEGAN, **words, **devices}


def _job(number: int, state: str) -> dict[str, Any]:
    person = {"user_name": "alice", "user_host": "shell", "kind": "train"}
    job = {"cards": 8, "max_attempts": 3, "spec": spec_to_json(TrainSpec("/data", cards=8)), "created_at": BEGAN}
    return {"state": state, "priority": number % 3, "attempt": int(state == "running"), **person, **job}


def fill(registry: Registry) -> None:
    """All hosts are full with a job each, and the queue waits for whole hosts."""
    chip = {"kind": "ascend", "name": "910A", "generation": "910A", "health": "ok", "present": True}
    with registry.write() as session:
        session.execute(insert(Host), [_host(number) for number in range(HOSTS)])
        session.execute(
            insert(Device),
            [{"host_name": f"host{host:04}", "id": number, **chip} for host in range(HOSTS) for number in range(8)],
        )
        running = session.scalars(insert(Job).returning(Job.id), [_job(number, "running") for number in range(HOSTS)])
        held = list(enumerate(running))
        part = {"attempt": 1, "devices": "[0, 1, 2, 3, 4, 5, 6, 7]", "first_rank": 0, "state": "running"}
        session.execute(
            insert(Attempt),
            [{"job_id": job, "number": 1, "run_dir": "/r", "permanent": False, "created_at": BEGAN} for _, job in held],
        )
        session.execute(
            insert(Placement), [{"job_id": job, "host_name": f"host{number:04}", **part} for number, job in held]
        )
        session.execute(insert(Job), [_job(number, "queued") for number in range(QUEUED)])
    with registry.write() as session:
        session.execute(text("ANALYZE"))


def _free(registry: Registry, hosts: int) -> None:
    """So many hosts have become empty."""
    with registry.write() as session:
        names = [f"host{number:04}" for number in range(hosts)]
        session.execute(update(Placement).where(Placement.host_name.in_(names)).values(state="ended"))
        session.execute(update(Host).where(Host.name.in_(names)).values(free="0-7"))


def _timed(call: Callable[[], object], repeats: int = REPEATS) -> tuple[float, Asked]:
    """The median seconds of a call, and what one asks."""
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        with asked() as found:
            call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken), found


def _row(name: str, seconds: float, found: Asked, against: float, note: str = "") -> Row:
    ratio = f"{found.statements} statements, {found.rows} rows read, {seconds / against:.2f} of reading everything"
    return Row(name, seconds * 1000, "ms", "; ".join(filter(None, (ratio, note))))


def _everything(registry: Registry) -> None:
    """What a pass read before: all devices and placements, and the whole queue."""
    with registry.read() as session:
        list_hosts(session)
        queue_window(session, None, QUEUED)


def _one(registry: Registry) -> None:
    with registry.read() as session:
        session.execute(text("SELECT 1"))


def _passes(registry: Registry) -> list[Row]:
    sweep = Sweep()

    def run() -> int:
        return len(pass_once(registry, RUNS, frozenset(), sweep=sweep))

    for _ in range(QUEUED // 500):
        run()  # tells the jobs why they wait, which is written once
    one, _ = _timed(lambda: _one(registry))
    everything, read = _timed(lambda: _everything(registry), 3)
    rows = [
        Row("a transaction with SELECT 1", one * 1000, "ms"),
        Row("reading everything", everything * 1000, "ms", f"{read.statements} statements, {read.rows} rows read"),
        _row("pass, nothing placeable", *_timed(run), everything),
    ]
    _free(registry, 1)
    rows.append(_row("pass, one job placeable", *_timed(run, 1), everything))
    _free(registry, HOSTS)
    seconds, found = _timed(run, 3)
    rows.append(_row(f"pass, {MOST_PLACED} placed", seconds, found, everything, f"{seconds * 10:.2g} ms a job"))
    with registry.write() as session:
        session.execute(update(Job).where(Job.state == "queued").values(host_name="host0000"))
        session.execute(update(Host).where(Host.name == "host0000").values(drained=True))
    for _ in range(QUEUED // 500):
        run()
    rows.append(_row("pass, free devices that no job wants", *_timed(run), everything))
    return rows


def _rounds(registry: Registry, folder: Path, clock: Callable[[], float]) -> Rounds:
    settings = load_settings(environ={"ERFNET_JOBS_HOME": str(folder), "ERFNET_JOBS_HOST_NAME": "host0001"})
    settings = replace(settings, database_url=registry.url.render_as_string(hide_password=False))
    devices = OwnDevices(settings, registry, FirstLook(DeviceStates({}, True), HostDevices(())), None)
    return Rounds(settings, registry, "i1", News(), devices, clock)


def _idle_minute(registry: Registry, folder: Path) -> Asked:
    """The rounds of one of 1,000 workers, by a clock that jumps from round to round."""
    clock = 0.0
    rounds = _rounds(registry, folder, lambda: clock)
    total = Asked()
    for number in range(round(120 / ROUND_SECONDS)):
        with registry.write() as session:
            session.execute(text("UPDATE host SET seen_at = clock_timestamp()"))
        with asked() as found:
            rounds._round()
        if number >= 60 / ROUND_SECONDS:
            total.statements += found.statements
            total.rows += found.rows
        clock += ROUND_SECONDS
    return total


def run() -> list[Row]:
    """All of them, on a PostgreSQL of their own."""
    with tempfile.TemporaryDirectory(prefix="ej-bench-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        try:
            with Registry(server.create("template_registry")) as registry:
                fill(registry)
                idle = _minutes(registry, Path(folder))
                return [*_passes(registry), *idle]
        finally:
            server.stop()


def _minutes(registry: Registry, folder: Path) -> Sequence[Row]:
    full = _idle_minute(registry, folder)
    return [
        Row(
            f"statements of an idle worker and minute, {HOSTS} hosts, {QUEUED} queued",
            full.statements,
            "",
            f"{full.rows} rows read; 30 beats",
        )
    ]
