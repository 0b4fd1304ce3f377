"""Gangs of real processes: who failed first, what is left, and that nothing is."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from erfnet_jobs.ascend.environment import ATTEMPT_MARK
from erfnet_jobs.errors import RanksFailed
from erfnet_jobs.launch import watch as watch_module
from erfnet_jobs.launch.gang import PLAN_NAME, Gang
from erfnet_jobs.launch.processes import processes_with_mark
from erfnet_jobs.launch.program import RankProgram
from erfnet_jobs.launch.verdict import GangResult
from erfnet_jobs.launch.watch import GangWatch
from erfnet_jobs.plan import write_plan
from erfnet_jobs.reports import Failed, Hello, Progress, ReportWriter, encode
from erfnet_jobs.states import Outcome
from tests.gang_steps import (
    HOST,
    PROGRAM,
    Script,
    eventually,
    play,
    scripted_environ,
    scripted_gang,
    to_the_end,
    written_plan,
)

LOST_PEER = ["fail", "RanksFailed", "a collective failed: a peer is gone"]


def test_a_gang_that_succeeds(tmp_path: Path) -> None:
    result, lines = play(tmp_path, {})
    assert result == GangResult(Outcome.SUCCEEDED, log_path=result.log_path)
    kinds = {rank: [line.report.kind for line in lines if line.rank == rank and line.report] for rank in (0, 1)}
    assert kinds[1] == ["hello", "done"]
    assert kinds[0] == ["hello", "phase", *["metric", "progress", "checkpoint"] * 4, "done"]


def test_offsets_are_those_of_whole_lines(tmp_path: Path) -> None:
    _, lines = play(tmp_path, {"default": [["hello"], ["raw", "a\rb"], ["done"]]}, ranks=1)
    content = (tmp_path / "run/1/reports/rank_0.jsonl").read_bytes()
    start = 0
    for line in lines:
        assert content[start : line.offset] == line.raw + b"\n"
        start = line.offset
    assert start == len(content)


def test_malformed_lines_are_told_and_no_end(tmp_path: Path) -> None:
    result, lines = play(tmp_path, {"default": [["hello"], ["raw", "no report"], ["done"]]}, ranks=1)
    assert result.outcome is Outcome.SUCCEEDED
    assert [line.report is None for line in lines] == [False, True, False]
    assert lines[1].problem


def test_a_line_that_is_far_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "MAX_LINE", 1000)
    result, lines = play(tmp_path, {"default": [["raw", "x" * 2500], ["done"]]}, ranks=1)
    assert result.outcome is Outcome.SUCCEEDED
    assert any(line.problem for line in lines)


def test_a_rank_that_says_why(tmp_path: Path) -> None:
    script: Script = {"rank 0": [["hang"]], "rank 1": [["print", "last words"], ["fail", "BadData", "no labels"]]}
    result, _ = play(tmp_path, script)
    assert (result.outcome, result.failed_rank, result.exit_code) == (Outcome.FAILED, 1, 3)
    assert (result.error, result.message, result.permanent) == ("BadData", "no labels", True)
    assert result.last_lines == ("last words",)
    assert result.log_path == str(tmp_path / "run/1/logs/rank_1.log")


@pytest.mark.parametrize(
    ("steps", "exit_code", "signal", "error"),
    [
        ([["exit", 3]], 3, None, "BadData"),
        ([["exit", 77]], 77, None, "RanksFailed"),
        ([["exit", 0]], 0, None, "RanksFailed"),
        ([["done"], ["exit", 5]], 5, None, "BrokerUnreachable"),
        ([["signal", "SIGKILL"]], None, 9, "RanksFailed"),
        ([["no such step"]], 2, None, "UsageError"),
    ],
)
def test_how_a_rank_may_end(
    tmp_path: Path, steps: list[list[object]], exit_code: int | None, signal: int | None, error: str
) -> None:
    result, _ = play(tmp_path, {"default": steps}, ranks=1)
    assert result.outcome is Outcome.FAILED
    assert (result.failed_rank, result.exit_code, result.signal, result.error) == (0, exit_code, signal, error)


def test_the_killed_rank_is_to_blame_not_the_one_that_missed_it(tmp_path: Path, gangs: list[Gang]) -> None:
    peer_is_gone = tmp_path / "peer is gone"
    script: Script = {
        "rank 0": [["hello"], ["wait_for", str(peer_is_gone)], LOST_PEER],
        "rank 1": [["hello"], ["signal", "SIGKILL"]],
    }
    gang = scripted_gang(tmp_path, script)
    gangs.append(gang)
    gang.start()
    assert gang.wait_for_death(0, 30)
    peer_is_gone.touch()
    assert gang.wait_for_death(1, 30)  # who watches comes late: both are dead
    result, _ = to_the_end(GangWatch(gang, 60))
    assert (result.failed_rank, result.signal) == (1, 9)


def test_who_said_so_first_is_to_blame_not_who_died_first(tmp_path: Path, gangs: list[Gang]) -> None:
    said, peer_is_gone = tmp_path / "said", tmp_path / "peer is gone"
    failed = Failed("LossNotFinite", "the loss is NaN at step 3", 14, permanent=True)
    script: Script = {
        "rank 0": [["fail_later", failed.error, failed.message, str(said), str(peer_is_gone)]],
        "rank 1": [["wait_for", str(said)], LOST_PEER],
    }
    gang = scripted_gang(tmp_path, script)
    gangs.append(gang)
    gang.start()
    assert gang.wait_for_death(0, 30)
    assert [death.rank for death in gang.deaths()] == [1]
    peer_is_gone.touch()
    result, _ = to_the_end(GangWatch(gang, 60))
    assert (result.failed_rank, result.exit_code, result.error) == (0, 14, "LossNotFinite")
    assert result.permanent


def test_a_rank_that_failed_and_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "EXIT_PATIENCE", 0.1)
    line = encode(Failed("BadCheckpoint", "truncated", 11, permanent=True), 1.0).decode().strip()
    result, _ = play(tmp_path, {"default": [["raw", line], ["hang_deaf"]]}, ranks=1)
    assert (result.failed_rank, result.exit_code, result.error) == (0, 11, "BadCheckpoint")


def test_ranks_that_say_nothing_are_stuck(tmp_path: Path) -> None:
    result, lines = play(tmp_path, {"default": [["hello"], ["hang"]]}, stuck=1.0)
    assert result.outcome is Outcome.STUCK
    assert "no rank reported anything" in (result.message or "")
    assert len(lines) == 2
    assert len(result.last_lines) == 1


@pytest.mark.parametrize("moves", [True, False])
def test_on_every_host_rank_0_tells_whether_the_gang_moves(tmp_path: Path, gangs: list[Gang], moves: bool) -> None:
    plan = written_plan(tmp_path, 2)
    places = (replace(plan.ranks[0], host="elsewhere"), replace(plan.ranks[1], local_rank=0))
    done = tmp_path / "done"
    environ = scripted_environ(tmp_path, {"rank 1": [["hello"], ["wait_for", str(done)], ["done"]]})
    plan = replace(plan, ranks=places)
    write_plan(plan, Path(plan.run_dir, PLAN_NAME))
    other = Gang(plan, HOST, scheduler=("127.0.0.1", 1), program=PROGRAM, base_environ=environ)
    gangs.append(other)
    other.start()
    watch = GangWatch(other, stuck_timeout=2.0, compile_timeout=60.0)
    rank_0 = ReportWriter(plan.report_path(0))
    rank_0.write(Progress(0.1, 1, 10))
    eventually(lambda: bool(watch.step(0.1)), "it has said hello")

    end = time.monotonic() + 3.0
    while moves and time.monotonic() < end:
        rank_0.write(Progress(0.1, 1, 10))
        assert watch.step(0.1) == []
    if moves:
        assert watch.result is None
        done.touch()
    result, lines = to_the_end(watch)

    assert result.outcome is (Outcome.SUCCEEDED if moves else Outcome.STUCK)
    assert {line.rank for line in lines} <= {1}


@pytest.mark.parametrize("victim", [["fail", "PeersLost", "EI0006"], ["signal", "SIGTERM"]])
def test_a_victim_waits_for_the_rank_that_is_to_blame(
    tmp_path: Path, gangs: list[Gang], victim: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "VICTIM_PATIENCE", 30.0)
    go = tmp_path / "go"
    script: Script = {
        "rank 0": [["hello"], victim],
        "rank 1": [["hello"], ["wait_for", str(go)], ["print", "last words"], ["exit", 5]],
    }
    gang = scripted_gang(tmp_path, script)
    gangs.append(gang)
    gang.start()
    watch = GangWatch(gang, 60)
    assert gang.wait_for_death(0, 30)
    watch.step(0)
    assert watch.result is None
    go.touch()
    result, _ = to_the_end(watch)
    assert (result.failed_rank, result.exit_code, result.last_lines[-1]) == (1, 5, "last words")


def test_victims_alone_are_blamed_for_nothing(tmp_path: Path) -> None:
    result, _ = play(tmp_path, {"rank 0": [["hello"], ["hang"]], "rank 1": [["hello"], ["signal", "SIGTERM"]]})
    assert (result.outcome, result.failed_rank, result.error) == (Outcome.LOST, None, "PeersLost")
    assert "rank 1 ended by SIGTERM" in (result.message or "")


def test_cancelling_gives_what_was_written(tmp_path: Path, gangs: list[Gang]) -> None:
    gang = scripted_gang(tmp_path, {"default": [["hello"], ["hang"]]})
    gangs.append(gang)
    gang.start()
    watch = GangWatch(gang, 60)
    paths = [gang.plan.report_path(rank) for rank in gang.ranks]
    eventually(lambda: all(path.exists() and path.stat().st_size for path in paths), "both have said hello")
    lines = watch.cancel(Outcome.CANCELLED, "cancelled by somebody")
    assert [type(line.report) for line in lines] == [Hello, Hello]
    assert watch.result is not None
    assert (watch.result.outcome, watch.result.message) == (Outcome.CANCELLED, "cancelled by somebody")
    assert watch.cancel(Outcome.TIMED_OUT, "again") == []
    assert watch.step(0) == []
    assert watch.result.outcome is Outcome.CANCELLED
    assert processes_with_mark(gang.mark) == []


def test_kill_ends_strays_and_nobody_else(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script: Script = {
        "rank 0": [["stray"], ["child"], ["touch", str(ready)], ["hang_deaf"]],
        "rank 1": [["hang_locked"]],
    }
    gang = scripted_gang(tmp_path, script)
    bystander = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(3600)"], env={ATTEMPT_MARK: gang.mark + "0"}
    )
    try:
        gang.start()
        eventually(ready.exists, "the stray is there")
        eventually(lambda: len(processes_with_mark(gang.mark)) == 4, "two ranks, a stray and a child live")
        assert gang.kill(grace=0.2) == []
        assert processes_with_mark(gang.mark) == []
        assert bystander.poll() is None
        assert gang.kill() == []
    finally:
        bystander.kill()
        bystander.wait()


def test_a_rank_that_cannot_be_started_leaves_nothing(tmp_path: Path) -> None:
    gang = scripted_gang(tmp_path, {"default": [["hang"]]})
    scratch = Path(gang.plan.run_dir, "scratch")
    scratch.mkdir()
    (scratch / "rank_1").touch()
    with pytest.raises(FileExistsError):
        gang.start()
    assert processes_with_mark(gang.mark) == []


def test_a_program_that_cannot_be_imported(tmp_path: Path) -> None:
    gang = scripted_gang(tmp_path, {}, ranks=1, program=RankProgram("no_such_module", None))
    gang.start()
    result, _ = to_the_end(GangWatch(gang, 60))
    assert (result.outcome, result.failed_rank, result.exit_code) == (Outcome.FAILED, 0, 1)
    assert "no_such_module" in result.last_lines[-1]


def test_a_scheduler_that_dies_fails_the_gang(tmp_path: Path) -> None:
    program = RankProgram(PROGRAM.module, "no_such_scheduler")
    gang = scripted_gang(tmp_path, {"default": [["hang"]]}, program=program)
    gang.start()
    result, _ = to_the_end(GangWatch(gang, 60, grace=0.5))
    assert (result.outcome, result.failed_rank, result.exit_code) == (Outcome.FAILED, None, 1)
    assert "scheduler" in (result.message or "")
    assert "no_such_scheduler" in result.last_lines[-1]
    assert processes_with_mark(gang.mark) == []


def test_a_part_without_rank_0_needs_the_schedulers_address(tmp_path: Path) -> None:
    gang = scripted_gang(tmp_path, {})
    with pytest.raises(RanksFailed, match="no rank on host"):
        Gang(gang.plan, "elsewhere")


def test_output_is_appended(tmp_path: Path) -> None:
    gang = scripted_gang(tmp_path, {"default": [["print", "new"], ["done"]]}, ranks=1)
    log = gang.plan.log_path(0)
    log.parent.mkdir()
    log.write_text("old\n")
    gang.start()
    to_the_end(GangWatch(gang, 60))
    assert log.read_text() == "old\nnew\n"
