"""Commands on jobs that really run: follow, wait, cancel, and what a failure shows."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from erfnet_jobs.client import Client
from erfnet_jobs.launch.program import RANK_MODULE, SCRIPTED
from erfnet_jobs.launch.scripted_rank import SCRIPT
from erfnet_jobs.local.deadline import wait_until
from erfnet_jobs.local.down import Running, take_down
from erfnet_jobs.local.up import bring_up
from erfnet_jobs.settings import Settings, load_settings
from tests.layout import empty_dataset

VARIABLES = {"ERFNET_JOBS_BEAT_INTERVAL": "0.3", "ERFNET_JOBS_RETRY_DELAY": "0.2", RANK_MODULE: SCRIPTED}


def quiet(_text: str) -> None:
    """What is said is not what is tried here."""


class LiveShell:
    """Calls the command as a process of its own, for a home whose worker is up."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = dict(os.environ, ERFNET_JOBS_HOME=str(home))

    @property
    def settings(self) -> Settings:
        return load_settings({"home": self.home}, VARIABLES)

    def start(self, *arguments: object) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "erfnet_jobs", *map(str, arguments)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment
        )

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=90)
        return process.returncode, out, err


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveShell]:
    folder = tmp_path_factory.mktemp("live")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ERFNET_JOBS_")]:
            patch.delenv(name)
        for name, value in VARIABLES.items():
            patch.setenv(name, value)
        patch.setenv(SCRIPT, str(folder / "script.json"))
        found = LiveShell(folder / "home")
        empty_dataset(folder / "data")
        bring_up(found.settings, 2, quiet)
        yield found
        take_down(found.settings, Running.CANCEL, quiet)


def script(shell: LiveShell, *steps: list[object], **others: list[list[object]]) -> Path:
    """What the next job's ranks do; the dataset's folder."""
    folder = shell.home.parent
    named = {name.replace("_", " "): entry for name, entry in others.items()}
    (folder / "script.json").write_text(json.dumps({"default": [["hello"], *steps], **named}))
    return folder / "data"


def submit(shell: LiveShell, data: Path, *options: object) -> int:
    code, out, err = shell("submit", "train", "--data", data, "--no-eval", "--json", *options)
    assert code == 0, err
    return int(json.loads(out)["id"])


def test_follow_ends_with_the_job_and_wait_gives_its_exit_code(shell: LiveShell, tmp_path: Path) -> None:
    go = tmp_path / "go"
    job = submit(shell, script(shell, ["print", "first"], ["wait_for", str(go)], ["print", "last"], ["done"]))
    following = shell.start("logs", job, "--follow")
    waiting = shell.start("wait", job)
    assert following.stdout is not None
    while "first" not in following.stdout.readline():
        assert following.poll() is None
    go.touch()
    out, _ = following.communicate(timeout=60)
    assert "last" in out
    assert waiting.communicate(timeout=60)[0] == f"job {job} train succeeded\n"
    assert (following.returncode, waiting.returncode) == (0, 0)


def test_submit_can_wait_for_all_that_it_made(shell: LiveShell) -> None:
    model = ["artifact", "onnx", "ERFNet.onnx", 3e-8]
    data = script(shell, ["checkpoint", 4, 1, 1], ["evaluated", 0.4], model, ["progress", 1.0], ["done"])
    code, out, err = shell("submit", "train", "--data", data, "--then", "export", "--wait")
    assert code == 0, err
    assert out.count("succeeded") == 3
    assert shell("best", "--path")[1].endswith(".ckpt\n")
    (export,) = re.findall(r"job (\d+) export succeeded", out)
    (file,) = (line for line in shell("status", export)[1].splitlines() if "ERFNet.onnx" in line)
    assert file.endswith("  (differs by 3.0e-08 of the largest logit)")
    assert json.loads(shell("status", export, "--json")[1])["artifacts"][0]["difference"] == 3e-8

    code, out, err = shell("submit", "train", "--data", data, "--then", "export", "--wait", "--json")
    assert code == 0, err
    assert [job["state"] for job in json.loads(out)] == ["succeeded"] * 3


def test_a_failure_says_which_rank_why_and_what_next(shell: LiveShell) -> None:
    data = script(
        shell, ["hang"], rank_1=[["hello"], ["print", "bad label 77"], ["fail", "BadData", "label 77 in x.png"]]
    )
    job = submit(shell, data, "--cards", 2)
    assert shell("wait", job)[0] == 9
    code, out, _ = shell("status", job)
    assert code == 0
    for words in ("failed", "label 77 in x.png", "Rank 1 failed first", "| bad label 77", "Logs  ", "submit again"):
        assert words in out
    details = json.loads(shell("status", job, "--json")[1])
    assert details["attempts"][0]["failed_rank"] == 1
    assert details["attempt"] == 1


def test_cancel_ends_what_runs(shell: LiveShell) -> None:
    job = submit(shell, script(shell, ["hang"]), "--cards", 2)
    with Client(shell.settings) as client:
        assert wait_until(lambda: client.job(job)["state"] == "running", 60)
        assert shell("down")[0] == 2
        assert "is told to end" in shell("cancel", job)[1]
        assert shell("wait", job)[0] == 10
