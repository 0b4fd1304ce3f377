import errno

import pytest

from erfnet_jobs.ascend.environment import RankEnvironment
from erfnet_jobs.erfnet import rank
from erfnet_jobs.errors import BadData, DiskFull
from erfnet_jobs.plan import Plan, RankPlace, write_plan
from erfnet_jobs.reports import Done, Failed, decode, read_lines
from erfnet_jobs.specs import EvalSpec
from erfnet_jobs.states import JobKind


@pytest.fixture
def plan(tmp_path):
    made = Plan(JobKind.EVAL, EvalSpec(("1",), "/data"), str(tmp_path), str(tmp_path), (RankPlace(0, "h", 0, 0),))
    write_plan(made, tmp_path / "plan.json")
    return made


def end_with(plan, monkeypatch, error=None):
    """What a rank's process gives and reports when its work ends so."""

    def work(_plan, environment, _writer):
        assert environment == RankEnvironment()
        if error:
            raise error

    monkeypatch.setattr(rank.os, "environ", {})
    code = rank.main([f"{plan.run_dir}/plan.json"], work)
    lines, _ = read_lines(plan.report_path(0), 0)
    return code, decode(lines[-1])


def test_work_that_is_done(plan, monkeypatch):
    assert end_with(plan, monkeypatch) == (0, Done())


def test_an_error_of_ours_keeps_its_code(plan, monkeypatch):
    code, failed = end_with(plan, monkeypatch, BadData("no labels"))

    assert (code, failed) == (BadData.exit_code, Failed("BadData", "no labels", BadData.exit_code, True))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_even_behind_another_error(plan, monkeypatch, number):
    error = RuntimeError("cannot save")
    error.__cause__ = OSError(number, "full", "/runs/1")

    code, failed = end_with(plan, monkeypatch, error)

    assert code == DiskFull.exit_code
    assert failed.permanent is False
    assert "/runs/1" in failed.message


def test_what_nobody_expected_is_no_secret(plan, monkeypatch, caplog):
    code, failed = end_with(plan, monkeypatch, KeyError("x"))

    assert code == 1
    assert (failed.error, failed.permanent) == ("KeyError", False)
    assert "KeyError" in caplog.text


def test_an_interrupt_ends_the_rank_without_a_traceback(plan, monkeypatch):
    code, failed = end_with(plan, monkeypatch, KeyboardInterrupt())

    assert code == 130
    assert failed.error == "Interrupted"


def test_wrong_arguments():
    assert rank.main([]) == 2


def test_a_collective_that_lost_another_rank_says_so(plan, monkeypatch):
    said = (
        "Launch kernel failed\n- Ascend Error Message:\nEI0006: Getting socket times out. Reason: rank 3\n- C++ stack"
    )
    code, failed = end_with(plan, monkeypatch, RuntimeError(said))
    assert (code, failed.error, failed.permanent) == (19, "PeersLost", False)
    assert failed.message.endswith("gone before: EI0006: Getting socket times out. Reason: rank 3")


def test_another_error_of_the_runtime_is_no_lost_rank(plan, monkeypatch):
    code, failed = end_with(plan, monkeypatch, RuntimeError("EI0004: the rank table is invalid"))
    assert (code, failed.error) == (1, "RuntimeError")
