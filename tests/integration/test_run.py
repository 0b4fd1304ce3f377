"""`erfnet-jobs run` with scripted ranks: what it prints, its exit codes, and that nothing is left."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from erfnet_jobs.errors import NoHostFits
from erfnet_jobs.launch.processes import has_mark, living
from erfnet_jobs.launch.program import RANK_MODULE, SCRIPTED
from erfnet_jobs.launch.scripted_rank import SCRIPT
from erfnet_jobs.plan import ASCEND, CPU, read_plan
from tests.ascend_host import AscendHost
from tests.gang_steps import Script, eventually

ROOT = Path(__file__).parents[2]


class Shell:
    """A home, a dataset folder and a checkpoint file, and the command with scripted ranks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir()
        self.checkpoint = folder / "some.ckpt"
        self.checkpoint.write_text("weights")
        self.environ = {
            **os.environ,
            "ERFNET_JOBS_HOME": str(folder / "home"),
            "ERFNET_JOBS_HOST_NAME": "here",
            RANK_MODULE: SCRIPTED,
        }

    def script(self, script: Script) -> None:
        path = self.folder / "script.json"
        path.write_text(json.dumps(script))
        self.environ[SCRIPT] = str(path)

    def start(self, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*prefix, sys.executable, "-m", "erfnet_jobs", "run", *arguments],
            cwd=ROOT,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, error = process.communicate(timeout=60)
        return process.returncode, out, error

    def run_dir(self) -> Path:
        (found,) = (self.folder / "home" / "runs").glob("local-*/1")
        return found

    def processes(self) -> list[int]:
        """The processes of this test's runs."""
        marks = [f"here:{found}" for found in (self.folder / "home" / "runs").glob("local-*/1")]
        return [process.pid for process in living() for mark in marks if has_mark(process.pid, mark)]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_devices_in_any_order_are_used_in_theirs(shell: Shell) -> None:
    code, _, error = shell.run("train", "--data", str(shell.data), "--devices", "1,0", "--epochs", "1,1,1,1")
    assert code == 0, error
    plan = read_plan(shell.run_dir() / "plan.json")
    assert [(place.rank, place.device, place.local_rank) for place in plan.ranks] == [(0, 0, 0), (1, 1, 1)]
    assert (plan.device_target, plan.rank_table) == (CPU, None)


def test_on_an_ascend_host_ranks_get_its_idle_devices_and_a_rank_table(shell: Shell) -> None:
    host = AscendHost(shell.folder, "910B", cards=4)
    host.set_health(0, "Alarm", "80C98002")
    host.add_process(1, pid=os.getpid())
    shell.environ |= {**host.environ, "ERFNET_JOBS_HOST_ADDRESS": "10.88.0.1"}

    code, _, error = shell.run("train", "--data", str(shell.data), "--cards", "2", "--epochs", "1,1,1,1")

    assert code == 0, error
    assert "a rank table of 1 server" in error
    plan = read_plan(shell.run_dir() / "plan.json")
    assert (plan.device_target, [place.device for place in plan.ranks]) == (ASCEND, [2, 3])
    assert plan.ranks[0].cores == "24-47"
    (server,) = json.loads(Path(plan.rank_table or "").read_bytes())["server_list"]
    assert [device["device_id"] for device in server["device"]] == ["2", "3"]
    assert (server["server_id"], server["pod_ip"]) == ("10.88.0.1", "127.0.0.1")
    code, _, error = shell.run("train", "--data", str(shell.data), "--cards", "3")
    assert code == NoHostFits.exit_code
    assert "2 of them in health and idle" in error


def test_train_says_what_it_wrote_and_where(shell: Shell) -> None:
    code, out, error = shell.run("train", "--data", str(shell.data), "--cards", "1", "--epochs", "1,1,1,1")
    assert (code, len(out.splitlines())) == (0, 5), error
    assert out.splitlines()[-1] == f"done: everything is in {shell.run_dir()}"
    assert str(shell.run_dir() / "checkpoints/ERFNet_stage4-1_1.ckpt") in out
    assert "stage 4" in error
    assert "100%" in error


def test_json_is_one_document(shell: Shell) -> None:
    code, out, _ = shell.run("train", "--data", str(shell.data), "--epochs", "1,1,1,1", "--json")
    document: dict[str, Any] = json.loads(out)
    assert code == 0
    assert (document["id"], document["kind"], document["state"], document["cards"]) == (None, "train", "succeeded", 1)
    assert (document["attempt"], document["progress"], document["reason"]) == (1, 1.0, None)
    assert len(document["checkpoints"]) == 4


def test_eval_export_and_infer(shell: Shell) -> None:
    checkpoint = ("--checkpoint", str(shell.checkpoint))
    code, out, error = shell.run("eval", *checkpoint, "--data", str(shell.data))
    assert code == 0, error
    assert "mean IoU 0.5000" in out
    assert "traffic light" in out
    code, out, error = shell.run("export", *checkpoint)
    assert code == 0, error
    assert "ERFNet.mindir" in out
    assert "(differs by 2.5e-07 of the largest logit)" in out
    code, out, error = shell.run("infer", *checkpoint, "--images", str(shell.data))
    assert code == 0, error
    assert "overlay" in out


def test_a_failure_shows_who_and_why(shell: Shell) -> None:
    shell.script({"default": [["print", "last words"], ["fail", "LossNotFinite", "the loss is NaN at step 3"]]})
    code, out, error = shell.run("train", "--data", str(shell.data))
    assert (code, out) == (14, "")
    assert "rank 0 failed first" in error
    assert "  | last words" in error
    assert str(shell.run_dir() / "logs/rank_0.log") in error
    assert error.splitlines()[-1] == "error: the loss is NaN at step 3"
    assert "Traceback" not in error


def test_a_failure_as_json(shell: Shell) -> None:
    shell.script({"default": [["signal", "SIGKILL"]]})
    code, out, _ = shell.run("train", "--data", str(shell.data), "--json")
    document = json.loads(out)
    assert code == 16
    assert (document["state"], document["failed_rank"], document["signal"]) == ("failed", 0, 9)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_of_it(shell: Shell, number: signal.Signals) -> None:
    ready = shell.folder / "ready"
    shell.script({"default": [["stray"], ["child"], ["touch", str(ready)], ["hang"]]})
    process = shell.start("train", "--data", str(shell.data))
    eventually(ready.exists, "the rank is busy")
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert number.name in error
    assert "Traceback" not in error
    assert shell.processes() == []


def test_nohup_outlives_its_terminal(shell: Shell) -> None:
    ready, go = shell.folder / "ready", shell.folder / "go"
    shell.script({"default": [["touch", str(ready)], ["wait_for", str(go)], ["done"]]})
    process = shell.start("train", "--data", str(shell.data), prefix=("nohup",))
    eventually(ready.exists, "the rank is busy")
    process.send_signal(signal.SIGHUP)
    go.touch()
    _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error


def test_a_killed_run_leaves_no_rank(shell: Shell) -> None:
    ready = shell.folder / "ready"
    shell.script({"default": [["child"], ["touch", str(ready)], ["hang_locked"]]})
    process = shell.start("train", "--data", str(shell.data))
    eventually(ready.exists, "the rank is busy")
    process.kill()
    process.communicate(timeout=60)
    eventually(lambda: shell.processes() == [], "the rank and its child are gone")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["train", "--data", "/no/such/folder"], 3, "/no/such/folder"),
        (["eval", "--data", "DATA", "--checkpoint", "/no.ckpt"], 11, "/no.ckpt"),
        (["export", "--checkpoint", "DATA"], 11, "is a folder"),
        (["export", "--best", "mean_iou"], 2, "No such option '--best'"),
        (["export", "--checkpoint", "/no.ckpt"], 11, "checkpoint '/no.ckpt' does not exist: check the path"),
        (["infer", "--images", "DATA"], 2, "give --checkpoint: it says which weights to use"),
        (["infer", "--checkpoint", "3:best", "--images", "DATA"], 11, "submit"),
        (["train", "--data", "DATA", "--cards", "1000"], 8, "1000 cards"),
        (["train", "--data", "DATA", "--devices", "900"], 8, "no device 900"),
        (["train", "--data", "DATA", "--cards", "2", "--devices", "0"], 2, "as many as cards"),
        (["train", "--data", "DATA", "--cards", "0"], 2, "cards is 0"),
        (["train", "--data", "DATA", "--epochs", "1,2"], 2, "epochs"),
    ],
)
def test_mistakes_are_told_before_anything_starts(shell: Shell, arguments: list[str], code: int, said: str) -> None:
    given = [str(shell.data) if argument == "DATA" else argument for argument in arguments]
    found, out, error = shell.run(*given)
    assert (found, out) == (code, ""), error
    assert said in error
    assert "Traceback" not in error
    assert not (shell.folder / "home" / "runs").exists()


def test_a_runs_folder_that_cannot_be_written(shell: Shell) -> None:
    shell.environ["ERFNET_JOBS_RUNS"] = str(shell.checkpoint)
    code, _, error = shell.run("export", "--checkpoint", str(shell.checkpoint))
    assert code == 2
    assert "ERFNET_JOBS_RUNS" in error


def test_devices_as_json(shell: Shell) -> None:
    command = [sys.executable, "-m", "erfnet_jobs", "devices", "--json"]
    document = json.loads(subprocess.check_output(command, cwd=ROOT, env=shell.environ))
    assert document["host"] == "here"
    assert document["devices"][0]["kind"] == "cpu"
