"""Ranks whose supervisor is killed end, whatever they are busy with."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from erfnet_jobs.ascend.environment import LIFELINE_FD
from erfnet_jobs.launch.children import Child, DeathWatch, new_lifeline, start_child
from erfnet_jobs.launch.processes import living, processes_with_mark
from tests.gang_steps import Script, eventually, mark_of, scripted_environ, written_plan

ROOT = Path(__file__).parents[2]
SLEEP = [sys.executable, "-c", "import time; time.sleep(3600)"]


def start_supervisor(folder: Path, script: Script, ranks: int) -> tuple[subprocess.Popen[bytes], str]:
    plan = written_plan(folder, ranks)
    command = [sys.executable, "-m", "tests.integration.supervisor_program", plan.run_dir]
    supervisor = subprocess.Popen(command, cwd=ROOT, env=scripted_environ(folder, script))
    return supervisor, mark_of(plan)


def test_a_killed_supervisor_takes_all_with_it(tmp_path: Path) -> None:
    ready = [tmp_path / f"ready{rank}" for rank in range(4)]
    script: Script = {
        "rank 0": [["child"], ["touch", str(ready[0])], ["hang"]],
        "rank 1": [["touch", str(ready[1])], ["hang_deaf"]],
        "rank 2": [["touch", str(ready[2])], ["hang_locked"]],
        "rank 3": [["touch", str(ready[3])], ["signal", "SIGSTOP"]],
    }
    supervisor, mark = start_supervisor(tmp_path, script, 4)
    try:
        eventually(lambda: all(path.exists() for path in ready), "all ranks are busy")
        eventually(lambda: len(processes_with_mark(mark)) == 5, "four ranks and a child live")
    finally:
        supervisor.kill()
        supervisor.wait()
    eventually(lambda: not processes_with_mark(mark), "all ranks are gone")


def test_a_supervisor_that_ends_by_itself_too(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    supervisor, mark = start_supervisor(tmp_path, {"default": [["touch", str(ready)], ["hang"]]}, 1)
    eventually(ready.exists, "the rank is busy")
    supervisor.terminate()
    supervisor.wait()
    eventually(lambda: not processes_with_mark(mark), "all ranks are gone")


def test_a_supervisor_that_died_before_its_rank_began(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(write_end)
    code = "from erfnet_jobs.ascend.lifeline import hold_lifeline; hold_lifeline(); print('alive')"
    environ = {**os.environ, LIFELINE_FD: str(read_end)}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environ,
        pass_fds=[read_end],
        start_new_session=True,
        capture_output=True,
        check=False,
    )
    os.close(read_end)
    assert ended.returncode == -9
    assert ended.stdout == b""


def test_by_hand_there_is_no_lifeline(tmp_path: Path) -> None:
    code = "from erfnet_jobs.ascend.lifeline import hold_lifeline; hold_lifeline(); print('alive')"
    environ = {name: value for name, value in os.environ.items() if name != LIFELINE_FD}
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=environ) == b"alive\n"


def pipes_of(pid: int) -> set[str]:
    links = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # a file that the starting process has closed since it was listed
            links.add(str(entry.readlink()))
    return {link for link in links if link.startswith("pipe:")}


def start_sleepers(folder: Path, count: int) -> list[Child]:
    return [
        start_child(rank, SLEEP, os.environ, folder / f"{rank}.log", folder, new_lifeline()) for rank in range(count)
    ]


def test_no_rank_holds_anothers_lifeline(tmp_path: Path) -> None:
    children = start_sleepers(tmp_path, 3)
    own = [str(Path(f"/proc/self/fd/{child.lifeline}").readlink()) for child in children]
    held = [pipes_of(child.process.pid) for child in children]
    for child in children:
        child.release_killed()
    assert [found & set(own) for found in held] == [{link} for link in own]


def test_a_cut_lifeline_ends_its_own_rank_only(tmp_path: Path) -> None:
    watch = DeathWatch()
    watch.start()
    children = start_sleepers(tmp_path, 3)
    for child in children:
        watch.add(child)
    os.dup2(children[0].lifeline, children[1].lifeline, inheritable=False)  # closes the second one's
    assert watch.wait(0, 30)
    watch.close()
    alive = {process.pid for process in living()}
    still = [child.process.pid in alive for child in children]
    for child in children:
        child.release_killed()
    assert [(death.rank, death.signal) for death in watch.deaths()] == [(1, 9)]
    assert still == [True, False, True]
