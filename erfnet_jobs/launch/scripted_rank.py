"""A rank without MindSpore: `python -m erfnet_jobs.launch.scripted_rank PLAN_JSON`. Stdlib only.

It reports, writes checkpoints, hangs, fails and dies as a script says, so that all around it can be tried for real. The
script is a JSON file named by ERFNET_JOBS_SCRIPT:

    {"default": [STEP, ...], "rank 1": [STEP, ...], "attempt 2": [...], "rank 1 attempt 2": [...]}

The most exact entry counts. A step is a list: its name and its arguments.

    ["hello"]  ["hello_as", {"rank": 1}]      says what is true; or that but for these fields
    ["phase", "compile"]  ["progress", 0.5]  ["metric", STAGE, EPOCH, STEP, {"loss": 1.0}]
    ["checkpoint", STAGE, EPOCH, STEP]        writes a file and reports it with its true hash
    ["evaluated", 0.4]                        one for each checkpoint in the plan's inputs; mean IoU
    ["artifact", "mindir", "ERFNet.mindir", 1e-7]   writes a file and reports it, with a difference or without
    ["print", "text"]  ["raw", "not a report"]  ["touch", "/path"]  ["wait_for", "/path"]  ["busy", SECONDS]
    ["hang"]  ["hang_deaf"]  ["hang_locked"]  sleep for ever; deaf to SIGTERM; in C with the interpreter locked
    ["stray"]  ["child"]                      start a process in a session of its own; in this process group
    ["exit", 3]  ["signal", "SIGKILL"]  ["fail", "BadData", "message"]  ["done"]
    ["fail_later", "BadData", "message", "/said", "/path"]   report it, touch /said, wait for /path, exit

Without a script it says hello, does what its kind of job leaves behind in a few steps, and is done. What it was given
to resume from stands in its log and in the versions of its hello.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from erfnet_jobs import errors
from erfnet_jobs.ascend.environment import RankEnvironment, from_environ
from erfnet_jobs.ascend.lifeline import hold_lifeline
from erfnet_jobs.choices import ENCODER, ERFNET, HALF
from erfnet_jobs.files import sha256_of, write_atomically
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.plan import Plan, read_plan
from erfnet_jobs.reports import (
    ArtifactWritten,
    CheckpointWritten,
    Done,
    Evaluated,
    Failed,
    Hello,
    Metric,
    Phase,
    Progress,
    ReportWriter,
)
from erfnet_jobs.specs import EvalSpec, InferSpec
from erfnet_jobs.states import JobKind
from erfnet_jobs.train_spec import TrainSpec

SCRIPT = "ERFNET_JOBS_SCRIPT"
SLEEPER = ("import time", "time.sleep(3600)")
POLL_INTERVAL = 0.02


class ScriptedRank:
    """One rank and the steps it knows; a step is the method of its name with `_step_` before it."""

    def __init__(self, plan: Plan, environment: RankEnvironment) -> None:
        self.plan = plan
        self.rank = environment.rank
        self.environment = environment
        self.reports = ReportWriter(plan.report_path(environment.rank))

    def play(self, steps: list[list[Any]]) -> None:
        """Do the steps one after another; raises UsageError for one that it does not know."""
        for name, *arguments in steps:
            step: Callable[..., None] | None = getattr(self, f"_step_{name}", None)
            if step is None:
                raise errors.UsageError(f"a script has the step {name!r}: see this module's text for those there are")
            step(*arguments)

    def _step_hello(self, **lies: Any) -> None:
        resume = self.plan.resume.path if self.plan.resume else ""
        self._step_print(f"rank {self.rank} of {self.environment.world_size}, resume: {resume or 'no'}")
        host = self.environment.host or socket.gethostname()
        device = self.plan.device_at(host, self.environment.local_rank)
        versions = {"scripted": "1", "resume": resume}
        hello = Hello(self.rank, self.environment.world_size, host, device, os.getpid(), versions)
        self.reports.write(replace(hello, **lies))

    def _step_hello_as(self, lies: dict[str, Any]) -> None:
        self._step_hello(**lies)

    def _step_phase(self, name: str, done: int | None = None, total: int | None = None) -> None:
        self.reports.write(Phase(name, done, total))

    def _step_progress(self, fraction: float, stage: int | None = None, epoch: int | None = None) -> None:
        spec = self.plan.spec
        epochs = spec.epochs[stage - 1] if isinstance(spec, TrainSpec) and stage else None
        step = max(1, round(100 * fraction))
        self.reports.write(Progress(fraction, step, 100, stage, epoch, epochs, loss=1.0 - fraction / 2))

    def _step_metric(self, stage: int, epoch: int, step: int, values: dict[str, float]) -> None:
        self.reports.write(Metric(stage, epoch, step, values))

    def _step_checkpoint(self, stage: int, epoch: int, step: int) -> None:
        network = ENCODER if stage <= 2 else ERFNET
        prefix = "Encoder" if network == ENCODER else "ERFNet"
        relative = f"checkpoints/{prefix}_stage{stage}-{epoch}_{step}.ckpt"
        digest, size = self._write(relative, f"scripted {network} {stage} {epoch} {step}\n")
        self.reports.write(CheckpointWritten(network, stage, epoch, step, relative, digest, size))

    def _step_evaluated(self, mean_iou: float, **changes: Any) -> None:
        spec = self.plan.spec
        for checkpoint in self.plan.inputs:
            values: dict[str, Any] = {
                "checkpoint_path": checkpoint.path,
                "network": checkpoint.network or ERFNET,
                "dataset_hash": "scripted",
                "split": spec.split if isinstance(spec, EvalSpec | InferSpec | Infer310Spec) else "val",
                "protocol": spec.recorded_protocol if isinstance(spec, EvalSpec) else HALF,
                "height": spec.size[0],
                "width": spec.size[1],
                "engine": "scripted",
                "images": 4,
                "mean_iou": mean_iou,
                "mean_iou_19": mean_iou / 2,
                "pixel_accuracy": (1 + mean_iou) / 2,
                "mean_loss": 1 - mean_iou,
                "iou_class": (mean_iou, None) * 9 + (mean_iou,),
                "checkpoint_id": checkpoint.id,
            }
            self.reports.write(Evaluated(**{**values, **changes}))

    def _step_artifact(self, form: str, name: str, difference: float | None = None) -> None:
        digest, size = self._write(name, f"scripted {form}\n")
        checkpoint = self.plan.inputs[0].id if self.plan.inputs else None
        self.reports.write(ArtifactWritten(form, name, digest, size, checkpoint, difference))

    def _step_print(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def _step_raw(self, text: str) -> None:
        with self.plan.report_path(self.rank).open("ab") as file:
            file.write(text.encode() + b"\n")

    def _step_touch(self, path: str) -> None:
        Path(path).touch()

    def _step_wait_for(self, path: str) -> None:
        while not Path(path).exists():
            time.sleep(POLL_INTERVAL)

    def _step_busy(self, seconds: float) -> None:
        time.sleep(seconds)

    def _step_hang(self) -> None:
        while True:
            time.sleep(3600)

    def _step_hang_deaf(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._step_hang()

    def _step_hang_locked(self) -> None:
        # PyDLL keeps the interpreter's lock while it calls, as MindSpore does while it compiles.
        ctypes.PyDLL(None).sleep(3600)

    def _step_stray(self) -> None:
        subprocess.Popen([sys.executable, "-c", "\n".join(SLEEPER)], start_new_session=True)

    def _step_child(self) -> None:
        subprocess.Popen([sys.executable, "-c", "\n".join(SLEEPER)])

    def _step_exit(self, code: int) -> None:
        sys.exit(code)

    def _step_signal(self, name: str) -> None:
        os.kill(os.getpid(), signal.Signals[name])

    def _step_fail(self, error: str, message: str) -> None:
        raise getattr(errors, error)(message)

    def _step_fail_later(self, error: str, message: str, said: str, path: str) -> None:
        failure = getattr(errors, error)
        self.reports.write(Failed(error, message, failure.exit_code, failure.permanent))
        self._step_touch(said)
        self._step_wait_for(path)
        sys.exit(failure.exit_code)

    def _step_done(self) -> None:
        self.reports.write(Done())

    def _write(self, relative: str, content: str) -> tuple[str, int]:
        path = Path(self.plan.run_dir, relative)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.encode())
        return sha256_of(path), path.stat().st_size


STEPS_BY_KIND: dict[JobKind, list[list[Any]]] = {
    JobKind.EVAL: [["progress", 0.5], ["evaluated", 0.5], ["progress", 1.0]],
    JobKind.EXPORT: [["artifact", "mindir", "ERFNet.mindir", 2.5e-7], ["progress", 1.0]],
    JobKind.INFER: [["artifact", "overlay", "pictures/scripted.png"], ["progress", 1.0]],
    JobKind.INFER_310: [["progress", 0.5], ["evaluated", 0.5], ["progress", 1.0]],
}


def default_steps(plan: Plan, rank: int) -> list[list[Any]]:
    """What a rank does without a script."""
    if rank != 0:
        return [["hello"], ["done"]]
    work = _train_steps(plan, plan.spec) if isinstance(plan.spec, TrainSpec) else STEPS_BY_KIND[plan.kind]
    return [["hello"], ["phase", "compile"], *work, ["done"]]


def _train_steps(plan: Plan, spec: TrainSpec) -> list[list[Any]]:
    epochs = [(stage, epoch) for stage in spec.stages for epoch in range(1, spec.epochs[stage - 1] + 1)]
    if plan.resume:
        epochs = [pair for pair in epochs if pair > (plan.resume.stage or 0, plan.resume.epoch or 0)]
    steps: list[list[Any]] = []
    for number, (stage, epoch) in enumerate(epochs, 1):
        steps.append(["metric", stage, epoch, epoch, {"loss": 1 / number}])
        steps.append(["progress", number / len(epochs), stage, epoch])
        steps.append(["checkpoint", stage, epoch, epoch])
    return steps


def steps_of(plan: Plan, rank: int, script: Path | None) -> list[list[Any]]:
    """The steps of one rank in this attempt: the script's most exact entry, else the default ones."""
    entries = json.loads(script.read_bytes()) if script else {}
    for key in (f"rank {rank} attempt {plan.attempt}", f"rank {rank}", f"attempt {plan.attempt}", "default"):
        if key in entries:
            return list(entries[key])
    return default_steps(plan, rank)


def main() -> None:
    """Play this rank's script."""
    hold_lifeline()
    plan = read_plan(Path(sys.argv[1]))
    script = os.environ.get(SCRIPT)
    rank = ScriptedRank(plan, from_environ(os.environ))
    try:
        rank.play(steps_of(plan, rank.rank, Path(script) if script else None))
    except errors.ErfnetJobsError as error:
        rank.reports.write(Failed(type(error).__name__, str(error), error.exit_code, error.permanent))
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
