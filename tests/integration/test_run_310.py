"""`erfnet-jobs run 310-infer` with scripted programs: what it prints and writes, its exit codes, and what is left."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from erfnet_jobs.errors import BadCheckpoint, BadData, Interrupted, MissingDependency, NoHostFits
from erfnet_jobs.launch.processes import has_mark, living
from erfnet_jobs.plan import read_plan
from tests.ascend_host import AscendHost
from tests.gang_steps import eventually
from tests.scripted_lite import Programs, install
from tests.small_data import make_dataset

ROOT = Path(__file__).parents[2]


class Shell:
    """A home, a dataset, a model, the scripted programs named in config.toml, and the command."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.programs = install(folder / "bin")
        (self.home / "config.toml").write_text(f'infer_310 = "{self.programs.infer}"\n')
        self.data = make_dataset(folder / "data", train=1, val=3)
        self.model = folder / "X.lite.mindir"
        self.model.write_bytes(b"a model")
        self.environ = {**os.environ, "ERFNET_JOBS_HOME": str(self.home), "ERFNET_JOBS_HOST_NAME": "here"}

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "erfnet_jobs", "run", "310-infer", "--model", str(self.model)]
        return subprocess.Popen(
            [*command, "--images", str(self.data), *arguments],
            cwd=ROOT, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, error = process.communicate(timeout=120)
        return process.returncode, out, error

    @property
    def run_dir(self) -> Path:
        (found,) = (self.home / "runs").glob("local-*/1")
        return found


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def programs(shell: Shell) -> Programs:
    return shell.programs


def test_figures_speed_and_files_are_told(shell: Shell, tmp_path: Path) -> None:
    code, out, error = shell.run("--labels", str(shell.data), "--device", "cpu", "--output", str(tmp_path / "out"))

    assert code == 0, error
    assert f"evaluation  {shell.model}  on val at 64x128, protocol half, 3 images" in out
    assert "mean IoU 0.9890" in out
    assert "speed       2.50 images/s" in out
    assert f"files       {tmp_path / 'out'}  (3 pictures)" in out
    assert "labels      " not in out
    lines = out.splitlines()
    assert lines[-1] == f"done: plan and logs are in {shell.run_dir}"
    assert lines.index(next(line for line in lines if "mean IoU" in line)) > lines.index(
        f"files       {tmp_path / 'out'}  (3 pictures)"
    )
    assert f"metrics     {tmp_path / 'out' / 'metric.txt'}" in out
    assert "310-infer on 1 rank in" in error
    assert "step 1/3  2.5 img/s  33%" in error


def test_json_is_one_document(shell: Shell) -> None:
    code, out, error = shell.run("--labels", str(shell.data), "--json", "--save", "none")
    document = json.loads(out)
    assert (code, document["kind"], document["state"]) == (0, "310-infer", "succeeded"), error
    (evaluation,) = document["evaluations"]
    assert (evaluation["engine"], evaluation["images_per_second"], evaluation["mean_loss"]) == ("lite-cpu", 2.5, None)
    assert "no 310 or 310P on this host: the CPU runs the model" in error


def test_the_first_idle_chip_is_taken(shell: Shell, tmp_path: Path) -> None:
    host = AscendHost(tmp_path, "310")
    host.add_process(0, pid=os.getpid())
    shell.environ |= {**host.environ, "ERFNET_JOBS_HOST_ADDRESS": "10.88.0.1"}
    code, out, error = shell.run()

    assert code == 0, error
    (place,) = read_plan(shell.run_dir / "plan.json").ranks
    assert place.device == 1
    _, call = shell.programs.calls
    assert call["arguments"][call["arguments"].index("--device") + 1] == "ascend:1"
    assert "ASCEND_RT_VISIBLE_DEVICES" not in call["environ"]
    assert f"files       {shell.run_dir / 'pictures'}" in out
    assert shell.run("--device", "ascend:9")[0] == NoHostFits.exit_code


def test_a_model_of_another_version_is_told_with_its_code(shell: Shell) -> None:
    shell.programs.script(error=[11, "X.mindir is MINDIR version 3; MindSpore Lite 2.0.0 reads up to 1"])
    code, _, error = shell.run("--device", "cpu")
    assert code == BadCheckpoint.exit_code
    assert error.splitlines()[-1] == "error: X.mindir is MINDIR version 3; MindSpore Lite 2.0.0 reads up to 1"


def test_skipped_images_are_told_with_their_code(shell: Shell) -> None:
    shell.programs.script(skip=["frankfurt_000001_000019_leftImg8bit.png"])
    code, _, error = shell.run("--device", "cpu")
    assert code == BadData.exit_code
    assert "2 of 3 pictures are done" in error


def test_figures_of_a_part_are_told_as_such(shell: Shell) -> None:
    code, out, error = shell.run("--labels", str(shell.data), "--device", "cpu", "--limit", "2")
    assert code == 0, error
    assert f"figures of 2 of 3 images: {shell.run_dir / 'pictures' / 'metric.txt'} alone has them" in out


def test_what_cannot_be_is_refused_before_anything_is_written(shell: Shell) -> None:
    assert shell.run("--device", "gpu")[0] == 2
    code, _, error = shell.run("--device", "cpu", "--precision", "fp16")
    assert (code, "fp16 is for Ascend" in error) == (2, True)
    checkpoint = shell.model.with_name("X.ckpt")
    shell.model.rename(checkpoint)
    code, _, error = shell.run("--model", str(checkpoint))
    assert (code, "a checkpoint of MindSpore: give it to --checkpoint" in error) == (2, True)
    checkpoint.rename(shell.model)
    shell.model.unlink()
    code, _, error = shell.run("--device", "cpu")
    assert (code, "does not exist" in error) == (BadCheckpoint.exit_code, True)
    assert not (shell.home / "runs").exists()


def test_without_the_program(shell: Shell) -> None:
    shell.programs.infer.unlink()
    code, _, error = shell.run("--device", "cpu")
    assert code == MissingDependency.exit_code
    assert "make infer310" in error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_process(shell: Shell, number: signal.Signals) -> None:
    shell.programs.script(hang=True, after=1)
    process = shell.start("--device", "cpu")

    def hangs() -> bool:
        assert process.poll() is None
        return any("progress" in path.read_text() for path in (shell.home / "runs").glob("*/1/reports/rank_0.jsonl"))

    eventually(hangs, "the program hangs")
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == Interrupted.exit_code
    assert f"1 of 3 pictures are done, in {shell.run_dir / 'pictures'}" in error
    mark = f"here:{shell.run_dir}"
    assert [found for found in living() if has_mark(found.pid, mark)] == []
    assert len(shell.programs.calls) == 2
