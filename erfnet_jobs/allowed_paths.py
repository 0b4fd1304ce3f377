"""Keeping the paths of jobs below the folders that a host allows. Stdlib only.

A worker reads and writes with its own rights whatever a submitted job names. Where ERFNET_JOBS_ALLOWED_PATHS is set,
every path of a job must lie below one of its folders, or below the home or the runs of the host, with all links
resolved: when it is submitted, when a host starts it, and again in the rank right before its work.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from erfnet_jobs.errors import BadData, UsageError
from erfnet_jobs.plan import Plan
from erfnet_jobs.settings import Settings
from erfnet_jobs.spec_checks import is_reference
from erfnet_jobs.specs import Spec

# Fields of specs that name something on disk, and the options by which they are given.
NAMES = {
    "data": "--data",
    "images": "--images",
    "labels": "--labels",
    "checkpoint": "--checkpoint",
    "model": "--model",
    "output": "--output",
    "logits": "--logits",
    "save_predictions": "--save-predictions",
}


def allowed_roots(settings: Settings) -> tuple[str, ...]:
    """The folders below which paths must lie; none: they may lie anywhere."""
    if not settings.allowed_paths:
        return ()
    return tuple(map(str, (*settings.allowed_paths, settings.home, settings.runs)))


def paths_of_spec(spec: Spec) -> Iterator[tuple[str, str]]:
    """(option, path) of all that a spec reads and writes; checkpoints named by id or job are none."""
    for name, option in NAMES.items():
        value = getattr(spec, name, None)
        if value is not None and not (name == "checkpoint" and is_reference(value)):
            yield option, value
    for checkpoint in getattr(spec, "checkpoints", ()):
        if not is_reference(checkpoint):
            yield "--checkpoint", checkpoint


def check_allowed(paths: Iterable[tuple[str, str]], roots: Sequence[str]) -> None:
    """Raise UsageError for the first (what, path) that leads out of all roots; without roots nothing is checked."""
    resolved = [os.path.realpath(root) for root in roots]
    for what, path in paths:
        if roots and not _is_below(os.path.realpath(path), resolved):
            raise _refusal(what, path, roots)


def check_plan(plan: Plan) -> None:
    """Raise UsageError where something that the plan names, or a link within its dataset, leads out of the roots."""
    named = [*paths_of_spec(plan.spec), *(("checkpoint", file.path) for file in plan.inputs)]
    named.append(("the run's folder", plan.run_dir))
    if plan.resume is not None:
        named.append(("checkpoint", plan.resume.path))
    check_allowed(named, plan.allowed)
    if plan.allowed:
        for what, path in named:
            if what in {NAMES["data"], NAMES["images"], NAMES["labels"]}:
                check_allowed(((f"a link in {what}", link) for link in _links(Path(path))), plan.allowed)


def _links(folder: Path) -> Iterator[str]:
    """The links below a folder, and below the folders that they lead to; each folder is looked into once."""
    seen: set[str] = set()
    ahead = [str(folder)]
    while ahead:
        real = os.path.realpath(ahead.pop())
        if real in seen or not Path(real).is_dir():
            continue
        seen.add(real)
        for entry in _entries(real):
            if entry.is_symlink():
                yield entry.path
            if entry.is_symlink() or entry.is_dir():
                ahead.append(entry.path)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise BadData(f"{folder} cannot be read ({error.strerror}): correct the path or its permissions") from error


def _is_below(real: str, roots: Iterable[str]) -> bool:
    return any(Path(real).is_relative_to(root) for root in roots)


def _refusal(what: str, path: str, roots: Sequence[str]) -> UsageError:
    real = os.path.realpath(path)
    leads = f" (which is {real})" if real != str(path) else ""
    return UsageError(
        f"{what} {path}{leads} lies below none of the folders that jobs may use here ({', '.join(roots)}): "
        "move or copy it there, or have its folder added to ERFNET_JOBS_ALLOWED_PATHS"
    )
