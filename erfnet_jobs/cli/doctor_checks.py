"""The questions `doctor` asks of this machine, its Redis and its registry; each answers in a line."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from erfnet_jobs.errors import ErfnetJobsError, RegistryNotMigrated
from erfnet_jobs.settings import Settings

GIB = 1 << 30
# A training of the reference's recipe keeps about 12 checkpoints of 25 MB and its logs, and a MindRecord of Cityscapes
# takes 11 GB.
LOW_DISK = 20 * GIB
NO_DISK = 1 * GIB
MINDSPORE_SECONDS = 120
# The version in pyproject.toml, which checkpoints and the cluster's manners are tied to.
MINDSPORE_VERSION = "2.10.0"


@dataclass(frozen=True)
class Answer:
    """'ok', 'warning' or 'error', what was found, and what to do about it."""

    state: str
    text: str
    remedy: str | None = None


def ask(name: str, question: Callable[[Settings], Answer], settings: Settings) -> dict[str, Any]:
    """The answer as a document; one of our errors is an answer too."""
    try:
        answer = question(settings)
    except (ErfnetJobsError, OSError) as error:
        answer = Answer("error", str(error))
    return {"name": name, **asdict(answer)}


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _check_folder(folder: Path, variable: str) -> Answer:
    there = _existing(folder)
    if not os.access(there, os.W_OK):
        return Answer("error", f"{folder} cannot be written", f"set {variable} to a folder of yours")
    free = shutil.disk_usage(there).free
    text = f"{folder}, {free / GIB:.1f} GiB free"
    if free < NO_DISK:
        return Answer("error", text, f"free some space, or set {variable} to a larger disk")
    if free < LOW_DISK:
        return Answer("warning", text, "enough for small runs; Cityscapes at full size needs about 20 GiB")
    return Answer("ok", text)


def check_home(settings: Settings) -> Answer:
    """Home folder: may be written, and has space for data."""
    return _check_folder(settings.home, "ERFNET_JOBS_HOME")


def check_runs(settings: Settings) -> Answer:
    """The runs' folder: may be written, and has space."""
    return _check_folder(settings.runs, "ERFNET_JOBS_RUNS")


def check_broker(settings: Settings) -> Answer:
    """Redis answers; where it is embedded, whether there is a program to start."""
    from erfnet_jobs.broker import Broker
    from erfnet_jobs.broker_url import shown_url
    from erfnet_jobs.local import redis_server

    if not settings.embedded_broker:
        broker = Broker(settings.resolved_broker_url)
        broker.ping()
        broker.close()
        return Answer("ok", f"answers at {shown_url(settings.resolved_broker_url)}")
    if redis_server.answers(settings):
        return Answer("ok", f"answers at {settings.redis_socket}")
    program = redis_server.find_redis_server()
    return Answer("warning", f"is not up; 'up' starts {program}", "run 'erfnet-jobs up'")


def check_registry(settings: Settings) -> Answer:
    """The registry answers and has this program's version."""
    from erfnet_jobs.registry.engine import HEAD, Registry

    with Registry(settings.resolved_database_url) as registry:
        try:
            with registry.read():
                return Answer("ok", f"{registry.shown_url}, version {HEAD}")
        except RegistryNotMigrated as error:
            if settings.database_url is None and not (settings.home / "registry.sqlite").exists():
                return Answer("warning", "there is none yet", "run 'erfnet-jobs up', which makes it")
            return Answer("error", str(error))


def check_worker(settings: Settings) -> Answer:
    """The worker of this home runs."""
    from erfnet_jobs.local.worker_process import log_path, running_worker

    running = running_worker(settings)
    if running is None:
        return Answer("warning", "is not up on this machine: jobs wait", "run 'erfnet-jobs up' or 'erfnet-jobs worker'")
    return Answer("ok", f"process {running.pid}, log {log_path(settings)}")


def check_devices(settings: Settings) -> Answer:
    """What this host can run jobs on."""
    from erfnet_jobs.ascend.discover import host_devices

    found = host_devices(settings)
    devices = found.devices
    kinds = ", ".join(dict.fromkeys(device.name for device in devices))
    ill = [f"{device.id} ({device.health})" for device in devices if device.health != "ok"]
    if found.troubles:
        return Answer("warning", f"{len(devices)} x {kinds}", "; ".join(found.troubles))
    if ill:
        return Answer("warning", f"{len(devices)} x {kinds}; not in health: {', '.join(ill)}", "see npu-smi info")
    return Answer("ok", f"{len(devices)} x {kinds}")


def check_mindspore(_settings: Settings) -> Answer:
    """MindSpore can be imported by the interpreter that ranks run with, and has the version they need."""
    command = [sys.executable, "-c", "import mindspore; print(mindspore.__version__)"]
    remedy = (
        f"pip install 'erfnet-jobs[worker]' (MindSpore {MINDSPORE_VERSION}); a machine that only submits needs none"
    )
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MINDSPORE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Answer("error", f"did not import within {MINDSPORE_SECONDS} s", remedy)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Answer("error", f"cannot be imported: {last}", remedy)
    version = done.stdout.strip().splitlines()[-1]
    if version != MINDSPORE_VERSION:
        return Answer("warning", f"version {version}", f"this program is made for {MINDSPORE_VERSION}")
    return Answer("ok", f"version {version}")
