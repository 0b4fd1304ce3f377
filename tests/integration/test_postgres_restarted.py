"""PostgreSQL is shut down, or killed, while a job runs and while it ends: nothing is lost, nothing is there twice."""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from erfnet_jobs.registry.tables import Artifact, Checkpoint, Metric
from erfnet_jobs.states import JobState
from tests.conftest import PostgresServer
from tests.metrics_page import free_port, read_page
from tests.services import NewSite, Site, eventually

RUNNING, SUCCEEDED = JobState.RUNNING, JobState.SUCCEEDED


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of these tests alone."""
    with tempfile.TemporaryDirectory(prefix="erfnet-pg-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        yield server
        server.stop()


def epoch(number: int, gate: Path) -> list[list[object]]:
    steps = [["metric", 4, number, number, {"loss": 1 / number}], ["checkpoint", 4, number, number]]
    return [*steps, ["progress", number / 4], ["wait_for", str(gate)]]


def rows(site: Site, job: int) -> list[int]:
    """How many metrics, checkpoints and artifacts the registry has of a job."""
    tables = (Metric, Checkpoint, Artifact)
    return [
        site.ask(lambda session, table=table: session.scalar(select(func.count()).where(table.job_id == job)))
        for table in tables
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_postgresql_is_restarted(new_site: NewSite, own_postgres: PostgresServer, number: signal.Signals) -> None:
    site = new_site(own_postgres.create("template_registry"), metrics_port=free_port())
    site.start_worker()
    gates = [site.folder / f"gate {count}" for count in range(4)]
    steps = [step for count, gate in enumerate(gates, 1) for step in epoch(count, gate)]
    site.script({"default": [["hello"], *steps, ["artifact", "mindir", "ERFNet.mindir"], ["done"]]})
    job = site.train()
    eventually(lambda: site.job(job).fraction == 1 / 4, "the first epoch is stored")
    supervisors, ranks = site.supervisors(), site.ranks()
    run = Path(site.attempts(job)[0].run_dir)
    log = run / "logs" / "supervisor.log"

    # While it runs, with an epoch in between.
    own_postgres.halt(number)
    eventually(lambda: "the ranks go on" in log.read_text(), "the supervisor has noticed")
    page = read_page(site.settings)
    assert "erfnet_jobs_registry_up 0.0" in page
    assert "erfnet_jobs_registry_jobs" not in page
    assert 'erfnet_jobs_device_health{device="1",health="ok"} 1.0' in page
    gates[0].touch()
    own_postgres.start_again()
    eventually(lambda: site.job(job).fraction == 2 / 4, "the epoch meanwhile is stored")
    assert (site.supervisors(), site.ranks()) == (supervisors, ranks)

    # While it ends.
    gates[1].touch()
    eventually(lambda: site.job(job).fraction == 3 / 4, "the third epoch is stored")
    own_postgres.halt(number)
    for gate in gates[2:]:
        gate.touch()
    eventually(lambda: not site.ranks(), "the rank has ended")
    assert site.supervisors() == supervisors
    own_postgres.start_again()

    assert site.until(job, SUCCEEDED).attempt == 1
    assert rows(site, job) == [4, 4, 1]
    site.script({})
    assert site.until(site.train(), SUCCEEDED).attempt == 1
    assert "Traceback" not in site.log
    assert "Traceback" not in log.read_text()
