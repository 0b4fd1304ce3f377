"""Folders: home, runs and their storage, a dataset, and the folders that jobs may use."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from erfnet_jobs.allowed_paths import allowed_roots, check_allowed
from erfnet_jobs.cli.checks.answer import ERROR, OK, WARNING, Answer
from erfnet_jobs.settings import CONFIG_NAME, Settings

GIB = 1 << 30
# A training of the reference's recipe keeps about 12 checkpoints of 25 MB and its logs, and a MindRecord of Cityscapes
# takes 19 GB.
LOW_DISK = 20 * GIB
NO_DISK = 1 * GIB
OTHERS = 0o077


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _space(folder: Path, variable: str) -> Answer:
    there = _existing(folder)
    if not os.access(there, os.W_OK):
        return Answer(ERROR, f"{folder} cannot be written", f"set {variable} to a folder of yours")
    free = shutil.disk_usage(there).free
    text = f"{folder}, {free / GIB:.1f} GiB free"
    if free < NO_DISK:
        return Answer(ERROR, text, f"free some space, or set {variable} to a larger disk")
    if free < LOW_DISK:
        return Answer(WARNING, text, "enough for small runs; Cityscapes at full size needs about 20 GiB")
    return Answer(OK, text)


def check_home(settings: Settings) -> Iterator[Answer]:
    """It may be written, has space, and others may not look into it."""
    yield _space(settings.home, "ERFNET_JOBS_HOME")
    home, config = settings.home, settings.home / CONFIG_NAME
    if home.exists() and home.stat().st_mode & OTHERS:
        open_config = config.exists() and config.stat().st_mode & OTHERS
        what = f"logs, registry and {CONFIG_NAME}" if open_config else "logs and registry"
        yield Answer(WARNING, f"other users may look into {home} ({what})", f"chmod 700 {home}")


def check_runs(settings: Settings) -> Iterator[Answer]:
    """They may be written, have space; which storage that is, and which hosts of the registry share it."""
    from erfnet_jobs.launch.storage import known_storage_id

    yield _space(settings.runs, "ERFNET_JOBS_RUNS")
    storage = known_storage_id(settings.runs)
    if storage is None:
        yield Answer(OK, "the folder has no storage id yet: the worker writes one when it starts")
        return
    yield Answer(OK, f"storage {storage}{_sharing(settings, storage)}")


def _sharing(settings: Settings, storage: str) -> str:
    from erfnet_jobs.errors import ErfnetJobsError
    from erfnet_jobs.registry.engine import Registry
    from erfnet_jobs.registry.hosts import list_hosts

    try:
        with Registry(settings.resolved_database_url) as registry, registry.read() as session:
            others = [host for host in list_hosts(session) if host.name != settings.host_name]
    except ErfnetJobsError:  # the registry has a line of its own
        return ""
    if not others:
        return ""
    sharing = [host.name for host in others if host.storage_id == storage]
    if sharing:
        return f", shared with {', '.join(sharing)}"
    return (
        f", which none of the {len(others)} other hosts shares: jobs that resume stay on the host that has their files"
    )


def check_allowed_paths(settings: Settings) -> Iterator[Answer]:
    """The folders below which paths of jobs must lie are there."""
    if not settings.allowed_paths:
        yield Answer(
            OK, "jobs may name any path that the worker's user can read (ERFNET_JOBS_ALLOWED_PATHS is not set)"
        )
        return
    for folder in settings.allowed_paths:
        if not folder.is_dir():
            yield Answer(WARNING, f"{folder} is no folder here", "correct ERFNET_JOBS_ALLOWED_PATHS")
    yield Answer(OK, f"jobs may use {', '.join(allowed_roots(settings))}")


def check_data(data: Path, settings: Settings) -> Iterator[Answer]:
    """A dataset is there, laid out as Cityscapes, readable, and where jobs may read."""
    from erfnet_jobs.client.data_folders import data_fault, is_mindrecord
    from erfnet_jobs.train_spec import TrainSpec

    if not data.exists():
        yield Answer(ERROR, f"{data} is not there", "correct the path, or mount it on this host")
        return
    check_allowed([("--data", str(data))], allowed_roots(settings))
    if is_mindrecord(data):
        yield Answer(OK, f"{data}, a MindRecord")
        return
    if fault := data_fault(TrainSpec(str(data)), evaluate=True):
        yield Answer(ERROR, str(fault))
        return
    for split in ("train", "val"):
        yield _split(data, split)


def _split(data: Path, split: str) -> Answer:
    frames, labels = (sorted((data / kind / split).glob("*/*.*")) for kind in ("leftImg8bit", "gtFine"))
    if not frames or not labels:
        return Answer(
            ERROR, f"{data} has {len(frames)} frames and {len(labels)} label files in {split}", "see README: Data"
        )
    for first in (frames[0], labels[0]):
        if not os.access(first, os.R_OK):
            return Answer(ERROR, f"{first} cannot be read by this user", "correct its permissions")
    return Answer(OK, f"{data}: {len(frames)} frames in {split}; 'erfnet-jobs data check {data}' opens each")
