"""Processes that are not quite gone: a killed one may still hold its device, and must not be overlooked."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from erfnet_jobs.ascend.environment import ATTEMPT_MARK
from erfnet_jobs.launch import processes
from erfnet_jobs.launch.processes import kill_marked, processes_with_mark
from tests.gang_steps import eventually

MARK = "here:/runs/7/1"
# Its main thread ends alone, as SIGKILL does where another thread waits in the kernel: exit(2), not exit_group(2).
WITHOUT_MAIN_THREAD = """
import ctypes, platform, threading
threading.Thread(target=threading.Event().wait).start()
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)
"""


@pytest.fixture
def headless() -> Iterator["subprocess.Popen[bytes]"]:
    """A process of an attempt, of which all threads but the main one live."""
    process = subprocess.Popen([sys.executable, "-c", WITHOUT_MAIN_THREAD], env={**os.environ, ATTEMPT_MARK: MARK})
    stat = Path(f"/proc/{process.pid}/stat")
    eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z", "the main thread has ended")
    yield process
    process.kill()
    process.wait()


def test_a_process_whose_main_thread_alone_has_ended_is_there(headless: "subprocess.Popen[bytes]") -> None:
    assert processes_with_mark(MARK) == [headless.pid]
    assert kill_marked(MARK) == []
    assert headless.wait(10) < 0


@pytest.mark.parametrize(
    ("folder", "flags", "memory", "found"),
    [
        ("/runs/7/1/scratch/rank_0", 4, 0, [42]),
        ("/runs/7/11", 4, 0, []),
        ("/", 4, 0, []),
        ("/runs/7/1", 0x00200000, 0, []),
        ("/runs/7/1", 4, 4096, []),
    ],
)
def test_a_process_that_the_kernel_is_ending_is_known_by_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, flags: int, memory: int, found: list[int]
) -> None:
    """As /proc shows one that has given back its memory, and whose driver holds up the rest."""
    thread = tmp_path / "42" / "task" / "42"
    thread.mkdir(parents=True)
    (thread / "cwd").symlink_to(folder)
    for place in (tmp_path / "42", thread):
        (place / "environ").touch()
        (place / "stat").write_text(f"42 (python) D 1 42 42 0 -1 {flags} {'0 ' * 10}1 0 5 {memory}\n")
    monkeypatch.setattr(processes, "PROC", tmp_path)

    assert processes_with_mark(MARK) == found
