"""The git revision of a checkout, read from its files: git need not be installed where jobs run."""

import re
from pathlib import Path

_REVISION = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def revision(folder: Path) -> str | None:
    """The commit that is checked out in `folder`; None where it is no checkout (gitrepository-layout(5))."""
    try:
        git = _git_folder(folder / ".git")
        head = (git / "HEAD").read_text().strip()
        found = _resolved(git, head.removeprefix("ref: ")) if head.startswith("ref: ") else head
    except (OSError, ValueError):
        return None
    return found if _REVISION.fullmatch(found) else None


def _git_folder(path: Path) -> Path:
    """The folder itself, or the one that a file in its place names: so it is in a second work tree."""
    return path if path.is_dir() else path.parent / path.read_text().strip().removeprefix("gitdir: ")


def _resolved(git: Path, name: str) -> str:
    """What a branch points to: in a file of its own, or in the list of packed ones."""
    shared = git / "commondir"
    common = git / shared.read_text().strip() if shared.exists() else git
    if (common / name).is_file():
        return (common / name).read_text().strip()
    lines = (line.split() for line in (common / "packed-refs").read_text().splitlines())
    return next((line[0] for line in lines if line[1:] == [name]), "")
