"""Calling a host's tools: one at a time, within their time, and never by a shell."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from erfnet_jobs.ascend.tools import Tool, ToolFailed, find_tool
from tests.ascend_host import ROOT, AscendHost

SECONDS = 20.0
NewTool = Callable[..., Tool]


@pytest.fixture
def new_tool(tmp_path: Path) -> NewTool:
    def make(script: str, timeout: float = SECONDS) -> Tool:
        path = tmp_path / "npu-smi"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return Tool("npu-smi", path, timeout)

    return make


def test_calls_of_several_processes_never_overlap(tmp_path: Path) -> None:
    host = AscendHost(tmp_path, cards=1)
    with host.changed() as state:
        state["seconds"] = 0.05
    code = (
        "from erfnet_jobs.ascend.tools import Tool; from pathlib import Path; import sys\n"
        "tool = Tool('npu-smi', Path(sys.argv[1]), 20.0)\n"
        "for _ in range(3): tool('info')"
    )
    command = [sys.executable, "-c", code, str(host.npu_smi)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [subprocess.Popen(command, env=environ) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert len(host.calls()) == 9
    assert host.overlaps() == []


def test_waiting_for_the_tool_has_an_end(new_tool: NewTool) -> None:
    tool = new_tool("echo told", timeout=0.2)
    with tool.path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ToolFailed, match="another process") as failure:
            tool("info")
        assert failure.value.hung
    assert replace(tool, timeout=SECONDS)("info") == "told\n"


def test_arguments_meet_no_shell(new_tool: NewTool) -> None:
    assert new_tool('printf "%s\\n" "$@"')("info", "$(id)", "a b; c") == "info\n$(id)\na b; c\n"


def test_the_locale_is_plain(new_tool: NewTool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert new_tool('echo "$LC_ALL"')() == "C\n"


def test_noise_on_stderr_is_not_output(new_tool: NewTool) -> None:
    assert new_tool("echo told; echo 'Permission denied' >&2")() == "told\n"


def test_output_without_end_is_ended(new_tool: NewTool) -> None:
    with pytest.raises(ToolFailed, match=r"SIGXFSZ|exit code"):
        new_tool("exec yes")()


def test_output_that_is_no_text_is_read(new_tool: NewTool) -> None:
    assert "\ufffd" in new_tool("printf '\\377\\376'")()


def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    path = tmp_path / "npu-smi"
    path.write_bytes(b"\0\0\0")
    path.chmod(0o755)
    with pytest.raises(ToolFailed, match="cannot be run"):
        Tool("npu-smi", path, SECONDS)("info")


def test_where_tools_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    with pytest.raises(ToolFailed, match="ERFNET_JOBS_HCCN_TOOL"):
        find_tool("hccn_tool", None, SECONDS, (tmp_path,))
    placed = tmp_path / "hccn_tool"
    placed.write_text("#!/bin/sh\n")
    with pytest.raises(ToolFailed):
        find_tool("hccn_tool", None, SECONDS, (tmp_path,))
    placed.chmod(0o755)
    assert find_tool("hccn_tool", None, SECONDS, (tmp_path,)).path == placed
    assert find_tool("hccn_tool", str(placed), SECONDS, ()).path == placed
    monkeypatch.chdir(tmp_path)
    assert find_tool("hccn_tool", "./hccn_tool", SECONDS, ()).path == placed
    with pytest.raises(ToolFailed, match="no program"):
        find_tool("hccn_tool", str(tmp_path / "other"), SECONDS, (tmp_path,))
