"""Gangs of scripted ranks, and waiting for what they do."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from erfnet_jobs.launch.gang import PLAN_NAME, Gang, attempt_mark
from erfnet_jobs.launch.processes import processes_with_mark
from erfnet_jobs.launch.program import SCRIPTED, RankProgram
from erfnet_jobs.launch.scripted_rank import SCRIPT
from erfnet_jobs.launch.verdict import GangResult
from erfnet_jobs.launch.watch import GangWatch, ReportLine
from erfnet_jobs.plan import Plan, RankPlace, write_plan
from erfnet_jobs.states import JobKind
from erfnet_jobs.train_spec import TrainSpec

HOST = "here"
DEADLINE = 30.0
PROGRAM = RankProgram(SCRIPTED, None)
Script = dict[str, list[list[Any]]]


def written_plan(folder: Path, ranks: int, attempt: int = 1) -> Plan:
    """A train job's plan in its run folder."""
    run_dir = folder / "run" / str(attempt)
    run_dir.mkdir(parents=True)
    places = tuple(RankPlace(rank, HOST, rank, rank) for rank in range(ranks))
    spec = TrainSpec(data="/nowhere", cards=ranks, epochs=(1, 1, 1, 1))
    plan = Plan(JobKind.TRAIN, spec, str(run_dir), str(folder / "data"), places, attempt=attempt)
    write_plan(plan, run_dir / PLAN_NAME)
    return plan


def scripted_environ(folder: Path, script: Script) -> dict[str, str]:
    """An environment in which ranks play the script."""
    path = folder / "script.json"
    path.write_text(json.dumps(script))
    return {**os.environ, SCRIPT: str(path)}


def scripted_gang(folder: Path, script: Script, ranks: int = 2, program: RankProgram = PROGRAM) -> Gang:
    """A gang, not started."""
    environ = scripted_environ(folder, script)
    return Gang(written_plan(folder, ranks), HOST, program=program, base_environ=environ)


def mark_of(plan: Plan) -> str:
    return attempt_mark(plan, HOST)


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Poll until the condition holds; fail after a generous deadline."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.02)


def to_the_end(watch: GangWatch) -> tuple[GangResult, list[ReportLine]]:
    """Step until there is a result."""
    lines: list[ReportLine] = []
    deadline = time.monotonic() + DEADLINE
    while watch.result is None:
        assert time.monotonic() < deadline, "the gang never ended"
        lines += watch.step(1.0)
    return watch.result, lines


@pytest.fixture
def gangs() -> Iterator[list[Gang]]:
    """Gangs put in here are ended, and must leave nothing."""
    started: list[Gang] = []
    yield started
    for gang in started:
        assert gang.kill(grace=0) == []


def play(folder: Path, script: Script, ranks: int = 2, stuck: float = 60.0) -> tuple[GangResult, list[ReportLine]]:
    """Run a gang to its end, which must leave nothing."""
    gang = scripted_gang(folder, script, ranks)
    gang.start()
    result, lines = to_the_end(GangWatch(gang, stuck, grace=0.5))
    assert processes_with_mark(gang.mark) == []
    assert result.left == ()
    return result, lines
