"""Pruning checkpoints of this machine: what would go, and doing it.

The registry says first that a checkpoint has left the disk; then its attempt's manifest forgets it, and its file goes.
So whoever names it in between is told that it is gone, and a call that is killed leaves files that the next one finds:
those whose rows say that they have left the disk.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from erfnet_jobs.client.api import Client
from erfnet_jobs.client.document import Document
from erfnet_jobs.client.model_documents import checkpoint_document
from erfnet_jobs.client.run_files import RunFiles
from erfnet_jobs.erfnet.manifest import Manifest, read_manifest
from erfnet_jobs.errors import BadCheckpoint
from erfnet_jobs.files import sync_folder
from erfnet_jobs.registry.needs import NamedWeights, named_weights
from erfnet_jobs.registry.prune import Going, JobPrune, Keep, mark_pruned, prune_plans, trained
from erfnet_jobs.registry.tables import Checkpoint

# What becomes of a checkpoint: its file goes; it has gone already, and the registry is told; it is left as it is.
GOES, GONE, LEFT = "goes", "gone", "left"


@dataclass(frozen=True)
class _Leftover:
    """Files in an attempt's folder whose checkpoints have left the disk, as the registry says."""

    folder: Path
    files: tuple[str, ...]
    size: int


def prune(client: Client, keep: Keep, job: int | None = None, *, really: bool) -> Document:
    """What goes by the rule `keep`, and, if `really`, its doing; raises NotFound.

    `really` only reaches what lies on this machine; the document names the rest.
    """
    with client.registry.read() as session:
        files = RunFiles(session, client.settings, alone=client.registry.sqlite)
        plans = prune_plans(session, keep, job)
        jobs = [_job(plan, files) for plan in plans]
        rows = [_row(one, files) for plan in plans if files.holds(plan.job) for one in plan.going]
        leftovers = _all_leftovers(session, plans, files)
    faults: list[str] = []
    if really:
        _mark(client, keep, rows)
        with client.registry.read() as session:
            found = _all_leftovers(session, plans, files)
        faults = [fault for leftover in found if (fault := _remove(leftover))]
    return {
        "keep": str(keep),
        "done": really,
        "jobs": jobs,
        "checkpoints": rows,
        "leftovers": [
            {"folder": str(leftover.folder), "files": list(leftover.files), "size": leftover.size}
            for leftover in leftovers
        ],
        "size": sum(row["size"] for row in rows if row["verdict"] == GOES) + sum(one.size for one in leftovers),
        "faults": faults,
    }


def _job(plan: JobPrune, files: RunFiles) -> Document:
    here = files.holds(plan.job)
    return {
        "job": plan.job.id,
        "name": plan.job.name,
        "kept": [row.id for row in plan.kept],
        "needed": [{"checkpoint": number, "why": why} for number, why in plan.needed.items()],
        "left_alone": plan.alone,
        "here": here,
        "hosts": list(files.hosts_of(plan.job)),
        "elsewhere": 0 if here else len(plan.going),
    }


def _row(one: Going, files: RunFiles) -> Document:
    verdict, why = _verdict(one.checkpoint, files)
    return {
        **checkpoint_document(one.checkpoint),
        "mean_iou": one.mean_iou,
        "evaluations": one.evaluations,
        "exports": one.exports,
        "verdict": verdict,
        "why": why,
    }


def _verdict(row: Checkpoint, files: RunFiles) -> tuple[str, str | None]:
    try:
        found = files.find(row)
        if found.fault is not None:
            return LEFT, found.fault
        if not found.there:
            return (GONE, "is not there any more") if files.runs.is_dir() else (LEFT, f"{files.runs} is not there")
        if not os.access(found.path.parent, os.W_OK | os.X_OK):
            return LEFT, "lies in a folder that this user may not write"
    except OSError as error:
        return LEFT, f"cannot be looked at ({error.strerror})"
    return GOES, None


def _mark(client: Client, keep: Keep, rows: Iterable[Document]) -> None:
    """Mark what goes, but for what a job has been given since; the rows tell."""
    wanted: dict[int, list[int]] = {}
    for row in rows:
        if row["verdict"] != LEFT:
            wanted.setdefault(row["job"], []).append(row["checkpoint"])
    if not wanted:
        return
    with client.registry.write() as session:
        marked = {row.id for row in mark_pruned(session, keep, wanted, client.actor)}
    for row in rows:
        if row["verdict"] != LEFT and row["checkpoint"] not in marked:
            row["verdict"], row["why"] = LEFT, "is needed by a job that came since, or has been pruned by another call"


def _all_leftovers(session: Session, plans: Iterable[JobPrune], files: RunFiles) -> list[_Leftover]:
    named = named_weights(session)
    ended = [plan.job.id for plan in plans if plan.alone is None and files.holds(plan.job)]
    return [leftover for job in ended for leftover in _leftovers(session, job, files, named)]


def _leftovers(session: Session, job: int, files: RunFiles, named: NamedWeights) -> list[_Leftover]:
    """By attempt, the files that the registry says have gone, and later attempts' copies of such."""
    removed = trained(session, job, removed=True)
    there = trained(session, job, removed=False)
    hashes = {row.sha256 for row in removed} - {row.sha256 for row in there}
    found = []
    for folder in sorted(files.runs.joinpath(str(job)).glob("*/checkpoints")):
        if not files.is_own_folder(folder):
            continue
        names = {Path(row.path).name for row in removed if Path(row.path).parent == folder}
        names |= _copies(folder, hashes)
        names -= {Path(row.path).name for row in there if Path(row.path).parent == folder}
        left = [name for name in sorted(names) if not named.why_path(str(folder / name)) and _is_file(folder / name)]
        if left:
            found.append(_Leftover(folder, tuple(left), sum((folder / name).lstat().st_size for name in left)))
    return found


def _copies(folder: Path, hashes: set[str]) -> set[str]:
    """What an attempt adopted from one before it; a damaged manifest tells of nothing."""
    try:
        entries, _ = read_manifest(folder)
    except (BadCheckpoint, OSError):
        return set()
    return {entry.file for entry in entries if entry.adopted and entry.sha256 in hashes}


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _remove(leftover: _Leftover) -> str | None:
    """Why files could not be removed; None where they are gone."""
    try:
        Manifest(leftover.folder).forget(leftover.files)
        sync_folder(leftover.folder)
    except OSError as error:
        return f"{leftover.folder}: {error.strerror}: {len(leftover.files)} files are marked as removed and still there"
    except BadCheckpoint as error:
        return f"{error}; its files are marked as removed and still there"
    return None
