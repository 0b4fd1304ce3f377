"""The revision of a checkout, as git itself tells it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from workers.revision import revision

GIT = shutil.which("git") or "git"


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    done = subprocess.run([GIT, *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q")
    git(folder, "commit", "-q", "--allow-empty", "-m", "First")
    return folder


def test_a_branch_a_packed_one_a_commit_and_a_second_work_tree(checkout: Path, tmp_path: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    assert revision(checkout) == head
    git(checkout, "worktree", "add", "-q", str(tmp_path / "second"))
    assert revision(tmp_path / "second") == head
    git(checkout, "pack-refs", "--all")
    assert revision(checkout) == revision(tmp_path / "second") == head
    git(checkout, "checkout", "-q", "--detach")
    assert revision(checkout) == head


def test_what_is_no_checkout(tmp_path: Path) -> None:
    assert revision(tmp_path) is None
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    assert revision(tmp_path) is None
