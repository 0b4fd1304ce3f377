"""Restoring the registry as far as this machine knows more than a backup: its worker, and its run folders."""

from pathlib import Path

from erfnet_jobs.client import Client
from erfnet_jobs.client.document import Document
from erfnet_jobs.client.transfers import restore
from erfnet_jobs.errors import AlreadyRunning
from erfnet_jobs.local.worker_process import running_worker
from erfnet_jobs.registry.rows import Told


def restore_here(client: Client, file: Path, told: Told) -> Document:
    """Bring a backup into the registry of the settings, which must be empty; raises as `client.transfers.restore`.

    Jobs that were submitted after the backup have left run folders here: no new job gets the number of one of them.
    Raises AlreadyRunning where this home's worker runs, which may hold the registry that is gone.
    """
    if running := running_worker(client.settings):
        raise AlreadyRunning(
            f"the worker of {client.settings.home} runs (process {running.pid}), with the registry as it was before: "
            "stop it with 'erfnet-jobs down --leave' or, with all of its jobs, 'erfnet-jobs down --cancel'"
        )
    return restore(client, file, told, _highest_run(client.settings.runs))


def _highest_run(runs: Path) -> int:
    if not runs.is_dir():
        return 0
    return max((int(folder.name) for folder in runs.iterdir() if folder.name.isdecimal()), default=0)
