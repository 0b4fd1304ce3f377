"""The worker of a home: becoming it in the foreground, starting it in the background, finding it, stopping it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

from erfnet_jobs.errors import AlreadyRunning
from erfnet_jobs.files import make_private_folder
from erfnet_jobs.launch.program import module_command
from erfnet_jobs.local.locks import held_lock
from erfnet_jobs.local.marks import server_environment
from erfnet_jobs.local.processes import Identity, identify, read_identity, start_daemon, stop, write_identity
from erfnet_jobs.local.systemd import without_systemd
from erfnet_jobs.settings import Settings

# In the command line of a worker, and of this program while it becomes one.
WORD = "worker"
STOP_SECONDS = 20.0


def log_path(settings: Settings) -> Path:
    """Where a worker in the background writes its log."""
    return settings.home / "logs" / "worker.log"


def instance_path(settings: Settings) -> Path:
    """Where the home's worker notes under which name it has registered."""
    return settings.home / "worker.instance"


def last_instance(settings: Settings) -> str | None:
    """Under which name the home's newest worker has registered; None where none has."""
    try:
        return instance_path(settings).read_text().strip()
    except (OSError, ValueError):
        return None


def _identity_path(settings: Settings) -> Path:
    return settings.home / "worker.pid"


def running_worker(settings: Settings) -> Identity | None:
    """The home's worker, in the background or in the foreground."""
    return read_identity(_identity_path(settings), WORD)


@contextmanager
def _registered(settings: Settings) -> Iterator[None]:
    with held_lock(settings.home / "worker.lock"):
        if running := running_worker(settings):
            raise AlreadyRunning(
                f"the worker of {settings.home} runs already (process {running.pid}): "
                "stop it first, with 'erfnet-jobs down' or Ctrl-C where it runs in the foreground"
            )
        me = identify(os.getpid(), "")
        assert me is not None  # noqa: S101 - this process runs
        write_identity(_identity_path(settings), me)
        yield


def become_worker(settings: Settings, devices: int | None, *, drain: bool = False) -> None:
    """Replace this process by the worker, which keeps its id; raises AlreadyRunning while the home has one.

    With `drain` it takes no new job, and ends when those that run here have ended.
    """
    make_private_folder(settings.home)
    options = [] if devices is None else ["--devices", str(devices)]
    command = module_command("workers", *options, *(["--drain"] if drain else []))
    with _registered(settings):
        # The lock's descriptor closes with the exec; the file then names this process, which lives on.
        os.execve(sys.executable, command, server_environment(settings))  # noqa: S606


def start_worker(settings: Settings, devices: int | None) -> "Popen[bytes]":
    """Start `erfnet-jobs worker` in the background, in a session of its own. It says itself who it is."""
    options = [] if devices is None else ["--devices", str(devices)]
    command = module_command("erfnet_jobs", "worker", *options)
    return start_daemon(command, log_path(settings), without_systemd(server_environment(settings)))


def stop_worker(settings: Settings) -> bool:
    """Stop it; False where none ran. Supervisors and their trainings go on."""
    running = running_worker(settings)
    if running is None:
        return False
    stop(running, STOP_SECONDS)
    return True
