"""The demo with scripted ranks: the whole way, a second time, and ended by signals at several moments."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from erfnet_jobs.launch.program import RANK_MODULE, SCRIPTED
from erfnet_jobs.launch.scripted_rank import SCRIPT
from tests.layout import empty_dataset

# A few scenes only: what is drawn is not what is tried here.
PROGRAM = """
from erfnet_jobs.cli import demo_recipe as recipe, main
recipe.TRAIN_SCENES, recipe.VAL_SCENES, recipe.EPOCHS = 4, 2, (1, 1, 1, 1)
main()
"""
PATIENCE = 60.0
HANG = {"default": [["hello"], ["progress", 0.2], ["hang"]]}
DEAF = {"default": [["hello"], ["progress", 0.2], ["hang_deaf"]]}


def processes_of(home: Path) -> dict[int, str]:
    """All living processes that have to do with a home, by id, with the beginning of their command line."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        try:
            words = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue  # it has ended meanwhile
        if bytes(home) in words:
            found[int(folder.name)] = words[:200].replace(b"\0", b" ").decode(errors="replace")
    return found


class DemoRun:
    """A demo in a session of its own, as in a terminal."""

    def __init__(self, home: Path, *options: object, script: object = None) -> None:
        self.home = home
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ERFNET_JOBS_")}
        environment |= {RANK_MODULE: SCRIPTED, "ERFNET_JOBS_BEAT_INTERVAL": "0.3", "ERFNET_JOBS_RETRY_DELAY": "0.2"}
        # The user's own servers, which the demo must never touch.
        environment |= {"ERFNET_JOBS_BROKER_URL": "redis://127.0.0.1:1/0"}
        if script is not None:
            path = home.with_name("script.json")
            path.write_text(json.dumps(script))
            environment[SCRIPT] = str(path)
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "--home", str(home), "demo", *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            start_new_session=True,
        )
        self.lines: list[str] = []

    def read_until(self, words: str) -> None:
        """Read what it prints until a line has these words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if words in line:
                return
        pytest.fail(f"{words!r} was never printed:\n{''.join(self.lines)}")

    def signal(self, number: signal.Signals) -> None:
        """As a terminal does: to the whole foreground group."""
        os.killpg(self.process.pid, number)

    def end(self) -> int:
        """Read the rest; the exit code."""
        assert self.process.stdout is not None
        self.lines += self.process.stdout
        return self.process.wait(PATIENCE)

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def nothing_is_left(self) -> None:
        deadline = time.monotonic() + 5  # the kernel may still be ending what was killed
        while (left := processes_of(self.home)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left, self.text


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    for pid in processes_of(tmp_path / "home"):  # only after a failure is anything left
        os.kill(pid, signal.SIGKILL)


def test_the_whole_way_and_a_second_time(home: Path) -> None:
    for time_ in (1, 2):
        run = DemoRun(home)
        assert run.end() == 0, run.text
        for step in range(1, 8):
            assert f"[{step}/7]" in run.text
        assert "It learned: mean IoU 0.500" in run.text
        assert str(home / "demo" / "runs" / str(4 * time_)) in run.text
        assert ("found from the last time" in run.text) == (time_ == 2)
        run.nothing_is_left()


def test_a_network_that_learned_nothing_is_an_error(home: Path) -> None:
    script = {"default": [["hello"], ["progress", 0.5], ["checkpoint", 4, 1, 1], ["evaluated", 0.01], ["done"]]}
    run = DemoRun(home, script=script)
    assert run.end() == 9, run.text
    assert "learned too little" in run.text
    assert [path.stat().st_mode & 0o777 for path in (home, home / "demo")] == [0o700, 0o700]
    run.nothing_is_left()


def test_a_job_that_fails_is_shown_and_an_error(home: Path, tmp_path: Path) -> None:
    script = {"default": [["hello"], ["print", "what the rank said"], ["fail", "BadData", "the labels are wrong"]]}
    run = DemoRun(home, "--data", empty_dataset(tmp_path / "data"), script=script)
    assert run.end() == 9, run.text
    assert "the labels are wrong" in run.text
    assert "what the rank said" in run.text
    run.nothing_is_left()


@pytest.mark.parametrize("moment", ["ERFNet from data", "[1/7]", "[2/7]", "[3/7]", "job 1 train running"])
def test_ctrl_c_leaves_nothing_running(home: Path, tmp_path: Path, moment: str) -> None:
    run = DemoRun(home, "--data", empty_dataset(tmp_path / "data"), script=HANG)
    run.read_until(moment)
    run.signal(signal.SIGINT)
    assert run.end() == 130, run.text
    assert "Traceback" not in run.text
    run.nothing_is_left()


def test_a_second_ctrl_c_kills(home: Path, tmp_path: Path) -> None:
    run = DemoRun(home, "--data", empty_dataset(tmp_path / "data"), script=DEAF)
    run.read_until("job 1 train running")
    run.signal(signal.SIGINT)
    run.read_until("Interrupted")
    run.signal(signal.SIGINT)
    assert run.end() == 130, run.text
    run.nothing_is_left()


def test_after_sigkill_the_next_run_ends_what_is_left_and_works(home: Path, tmp_path: Path) -> None:
    killed = DemoRun(home, "--data", empty_dataset(tmp_path / "data"), script=HANG)
    killed.read_until("job 1 train running")
    killed.signal(signal.SIGKILL)
    killed.end()
    assert processes_of(home)
    run = DemoRun(home)
    assert run.end() == 0, run.text
    assert "Ending what an earlier demo left" in run.text
    run.nothing_is_left()
