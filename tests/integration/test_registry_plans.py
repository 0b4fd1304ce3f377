"""No question scans a table that grows: the databases' own plans of every statement that the registry sends."""

import re
from collections.abc import Callable, Iterator
from itertools import zip_longest

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from erfnet_jobs.choices import EVALUATION_METRICS
from erfnet_jobs.jobs import Part
from erfnet_jobs.registry import (
    checkpoints,
    comparison,
    curves,
    evaluations,
    hosts,
    lineage,
    logs,
    metrics,
    monitoring,
    needs,
    outlook,
    prune,
    queue,
    status,
    summaries,
)
from erfnet_jobs.registry.attempts import (
    assign,
    beat,
    claim,
    declare_lost,
    end_part,
    holds_lease,
    release,
    report_running,
)
from erfnet_jobs.registry.cancel import request_cancel
from erfnet_jobs.registry.engine import make_engine
from erfnet_jobs.states import JobState, PartState
from tests.benchmarks.big_registry import fill
from tests.registry_steps import ACTOR, SCHEDULER, WELL, failed, submit
from tests.statements import Statement, recorded

BIG = ("job", "metric", "event", "evaluation", "checkpoint", "attempt", "placement", "artifact", "log_tail")
BIG += ("job_dependency",)
JOBS = 400
FINISHED = 2
RUNNING = JOBS

QUESTIONS: dict[str, Callable[[Session], object]] = {
    "status": status.list_jobs,
    "status of a state": lambda session: status.list_jobs(session, 20, [JobState.FAILED, JobState.QUEUED]),
    "counts": status.count_by_state,
    "details": lambda session: status.job_details(session, FINISHED),
    "metric names": lambda session: metrics.metric_names(session, RUNNING),
    "metric series": lambda session: metrics.metric_series(session, RUNNING, "loss"),
    "newest values": lambda session: metrics.newest_values(session, RUNNING),
    "log tails": lambda session: logs.log_tails(session, FINISHED, 1, 0),
    "job events": lambda session: logs.job_events(session, FINISHED),
    "host events": lambda session: logs.host_events(session, "host0"),
    "best of a job": lambda session: evaluations.best(session, "mean_iou", job=FINISHED),
    "hosts": hosts.list_hosts,
    "rows of hosts": summaries.host_rows,
    "who holds devices until when": outlook.held_until,
    "what jobs wait for": lambda session: outlook.awaited(session, [RUNNING, RUNNING - 1]),
    "the queue": lambda session: queue.queue_window(session, None, 5),
    "further down the queue": lambda session: queue.queue_window(session, queue.QueueKey(1, RUNNING - 4), 5),
    "what queued jobs need": lambda session: needs.needed_storages(session, queue.queue_window(session, None, 5)),
    "checkpoints of a job": lambda session: checkpoints.list_checkpoints(session, FINISHED),
    "a job's last": lambda session: checkpoints.resolve_checkpoints(session, f"{FINISHED}:last"),
    "a job's best": lambda session: checkpoints.resolve_checkpoints(session, f"{FINISHED}:best"),
    "a model's checkpoint": lambda session: lineage.checkpoint_of_model(session, f"{FINISHED:064x}"),
    "what came of a checkpoint": lambda session: lineage.lineage_of(
        session, checkpoints.get_checkpoint(session, FINISHED)
    ),
    "what goes of a job": lambda session: prune.prune_plans(session, prune.Keep(best=1, newest=1), FINISHED),
    "curves": lambda session: curves.panel_of(session, "mean_iou", [FINISHED]),
    "jobs side by side": lambda session: comparison.comparable(session, [FINISHED, FINISHED - 1]),
    "a path": lambda session: checkpoints.resolve_checkpoints(session, "/nowhere.ckpt"),
    "jobs by kind and state": monitoring.queues,
    "hosts by state": lambda session: monitoring.host_counts(session, 30),
    "one host": lambda session: monitoring.own_host(session, "host0"),
    "the newest event": lambda session: monitoring.newest_event(session, JOBS - 4),
    "what has happened": lambda session: monitoring.happened(session, JOBS - 4),
    **{
        # mypy infers no type of a lambda with a default.
        f"best {name}": lambda session, name=name: evaluations.best(session, name, top=3)  # type: ignore[misc]
        for name in (*EVALUATION_METRICS, "iou_rider")
    },
}


def _life(session: Session) -> None:
    needs = submit(session)
    job = submit(session, after=(needs,))
    for number, end in enumerate((failed(), WELL), start=1):
        assert assign(session, needs, number - 1, [Part("host0", (0,), 0)], "/runs")
        assert claim(session, needs, number, "host0", SCHEDULER)
        report_running(session, needs, number, "host0")
        assert beat(session, needs, number, "host0", 1).held
        assert holds_lease(session, needs, number, "host0")
        assert end_part(session, needs, number, "host0", end, 0)
    assert assign(session, job, 0, [Part("host0", (0,), 0)], "/runs")
    assert release(session, job, 1, "host0", PartState.ASSIGNED, "late", 0)
    assert assign(session, job, 1, [Part("host0", (0,), 0)], "/runs")
    assert claim(session, job, 2, "host0", SCHEDULER)
    assert declare_lost(session, job, 2, "host0", 0, "no pulse", 0)
    submit(session, after=(job,))
    assert request_cancel(session, job, ACTOR) == JobState.CANCELLED


def _plan(connection: Connection, statement: Statement) -> list[str]:
    explain = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
    return [str(row[-1]) for row in connection.exec_driver_sql(explain + statement[0], statement[1])]


def _scans(plan: list[str]) -> list[str]:
    """Steps that read a big table from one end to the other; an index without a condition is no better."""
    names = "|".join(BIG)
    found = [step for step in plan if re.search(rf"\bSCAN (TABLE )?({names})\b|Seq Scan on ({names})\b", step)]
    for step, inner in zip_longest(plan, plan[1:], fillvalue=""):
        if re.search(rf"Index (Only )?Scan.* on ({names})\b", step) and "Index Cond" not in inner:
            found.append(step)
    return found


@pytest.fixture
def filled(database_url: str) -> Iterator[Engine]:
    fill(database_url, jobs=JOBS, metrics=2000)
    engine = make_engine(database_url).execution_options(registry_write=True)
    yield engine
    engine.dispose()


def _assert_no_scan(engine: Engine, statements: list[Statement]) -> None:
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET enable_seqscan = off")
        for statement in statements:
            plan = _plan(connection, statement)
            assert not _scans(plan), f"{statement[0]}\n" + "\n".join(plan)


def test_no_question_scans(filled: Engine) -> None:
    for question in QUESTIONS.values():
        with recorded(filled) as statements, Session(filled) as session:
            question(session)
        assert statements
        _assert_no_scan(filled, statements)


def test_no_step_of_a_job_scans(filled: Engine) -> None:
    if filled.dialect.name == "postgresql":
        with filled.begin() as connection:  # the filled rows brought their ids with them
            for table in ("job", "event"):
                connection.exec_driver_sql(f"ALTER TABLE {table} ALTER id RESTART WITH 1000000")
    with recorded(filled) as statements, Session(filled) as session, session.begin():
        _life(session)
    assert len(statements) > 50
    _assert_no_scan(filled, statements)


@pytest.mark.parametrize("name", ["status", "best mean_iou", "best mean_loss", "metric series"])
def test_sqlite_sorts_nothing(sqlite_url: str, name: str) -> None:
    """The lists come out of their indices in order, so a limit ends the reading."""
    fill(sqlite_url, jobs=JOBS, metrics=2000)
    engine = make_engine(sqlite_url)
    with recorded(engine) as statements, Session(engine) as session:
        QUESTIONS[name](session)
    with engine.connect() as connection:
        for statement in statements:
            assert not [step for step in _plan(connection, statement) if "TEMP B-TREE" in step], statement
    engine.dispose()


def test_a_scan_would_be_seen(filled: Engine) -> None:
    statement = ("SELECT * FROM job WHERE reason = 'x'", ())
    with pytest.raises(AssertionError):
        _assert_no_scan(filled, [statement])
