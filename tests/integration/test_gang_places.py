"""Where the ranks of a gang land: as the plan has them, or the gang ends."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from erfnet_jobs.ascend.rank_table import RankTable, Server, TableDevice, to_text
from erfnet_jobs.launch.gang import PLAN_NAME, Gang
from erfnet_jobs.launch.processes import processes_with_mark
from erfnet_jobs.launch.program import RankProgram
from erfnet_jobs.launch.verdict import GangResult
from erfnet_jobs.launch.watch import GangWatch, ReportLine
from erfnet_jobs.plan import ASCEND, Plan, write_plan
from erfnet_jobs.reports import Done, Hello, Metric
from erfnet_jobs.states import Outcome
from tests.gang_steps import HOST, PROGRAM, eventually, mark_of, play, scripted_environ, written_plan


@pytest.mark.parametrize(
    ("lies", "words"),
    [
        ({"rank": 0}, "rank 0 was to be on here device 0, and is on here device 1"),
        ({"device": 0}, "rank 1 was to be on here device 1, and is on here device 0"),
        ({"host": "there"}, "and is on there device 1"),
        ({"world_size": 1}, "rank 1 is one of 1, and the plan has 2"),
    ],
)
def test_a_rank_that_landed_elsewhere_fails_all_at_once(tmp_path: Path, lies: dict[str, object], words: str) -> None:
    result, _ = play(tmp_path, {"rank 0": [["hello"], ["hang_deaf"]], "rank 1": [["hello_as", lies], ["hang"]]})
    assert (result.outcome, result.failed_rank, result.error) == (Outcome.FAILED, 1, "RankMisplaced")
    assert words in (result.message or "")
    assert result.permanent


def with_rank_table(plan: Plan, ranks: tuple[int, int]) -> Plan:
    """The same plan with a table whose devices 0 and 1 have these ranks."""
    devices = tuple(TableDevice(device, f"10.0.0.{device + 1}", rank) for device, rank in enumerate(ranks))
    path = Path(plan.run_dir, "rank_table.json")
    path.write_text(to_text(RankTable((Server("127.0.0.1", devices, "127.0.0.1"),))))
    planned = replace(plan, rank_table=str(path))
    write_plan(planned, Path(plan.run_dir, PLAN_NAME))
    return planned


def allreduce(plan: Plan, patch: pytest.MonkeyPatch) -> tuple[GangResult, list[ReportLine]]:
    patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    gang = Gang(plan, HOST, program=RankProgram("tests.integration.allreduce_rank"))
    gang.start()
    assert sorted(gang.pids, key=str) == [0, 1, None]
    watch = GangWatch(gang, 120)
    lines: list[ReportLine] = []
    while watch.result is None:
        lines += watch.step(1.0)
    assert processes_with_mark(mark_of(plan)) == []
    return watch.result, lines


@pytest.mark.mindspore
def test_two_real_ranks_land_where_their_table_has_them_and_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = written_plan(tmp_path, 2)
    reverse = (replace(plan.ranks[0], device=1, local_rank=1), replace(plan.ranks[1], device=0, local_rank=0))

    result, lines = allreduce(with_rank_table(replace(plan, ranks=reverse), (1, 0)), monkeypatch)

    assert result.outcome is Outcome.SUCCEEDED, result
    hellos = sorted((line.report.rank, line.report.device) for line in lines if isinstance(line.report, Hello))
    assert hellos == [(0, 1), (1, 0)]
    sums = [line.report.values for line in lines if isinstance(line.report, Metric)]
    assert sorted(json.dumps(values) for values in sums) == ['{"sum": 3.0, "rank": 0.0}', '{"sum": 3.0, "rank": 1.0}']
    assert sum(isinstance(line.report, Done) for line in lines) == 2
    log = Path(plan.run_dir, "logs", "scheduler.log").read_text()
    assert "Won't reassign rank id" not in log


@pytest.mark.mindspore
def test_real_ranks_whose_table_is_not_the_plans_are_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = with_rank_table(written_plan(tmp_path, 2), (1, 0))

    result, _ = allreduce(plan, monkeypatch)

    assert (result.outcome, result.error) == (Outcome.FAILED, "RankMisplaced")
    assert "was to be on here device" in (result.message or "")


@pytest.mark.parametrize(("address", "told"), [("10.4.0.1", "10.4.0.1"), ("node1", None)])
def test_ranks_on_ascend_over_two_hosts_know_hccls_address_and_their_cores(
    tmp_path: Path, gangs: list[Gang], address: str, told: str | None
) -> None:
    plan = written_plan(tmp_path, 2)
    core = str(min(os.sched_getaffinity(0)))
    places = (replace(plan.ranks[0], host="elsewhere"), replace(plan.ranks[1], device=5, local_rank=0, cores=core))
    plan = replace(plan, ranks=places, device_target=ASCEND, threads=4)
    write_plan(plan, Path(plan.run_dir, PLAN_NAME))
    environ = scripted_environ(tmp_path, {"default": [["hello"], ["hang"]]})
    gang = Gang(plan, HOST, scheduler=("10.4.0.2", 1), address=address, program=PROGRAM, base_environ=environ)
    gangs.append(gang)
    gang.start()

    pid = gang.pids[1]
    eventually(lambda: "RANK_ID=1" in environ_of(pid), "the rank's program runs")

    found = dict(entry.partition("=")[::2] for entry in environ_of(pid))
    assert found.get("HCCL_IF_IP") == told
    assert (found["ERFNET_JOBS_RANK_CORES"], found["OMP_NUM_THREADS"]) == (core, "1")
    assert (found["HCCL_IF_BASE_PORT"], found["ASCEND_RT_VISIBLE_DEVICES"], found["DEVICE_ID"]) == ("61160", "5", "0")


def environ_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/environ").read_text().split("\0")
