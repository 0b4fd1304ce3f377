"""pytest-xdist keeps a group in one process: a fixture that trains for a minute is made once, and gangs run in turn."""

import subprocess
import sys
from pathlib import Path

TESTS = """
import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("together")


@pytest.mark.parametrize("number", range(4))
def test_says_where_it_runs(number):
    Path(f"{number}.txt").write_text(os.environ["PYTEST_XDIST_WORKER"])
"""


def test_a_group_runs_in_one_process(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "test_group.py").write_text(TESTS)
    words = ["-n", "2", "--dist", "loadgroup", "-p", "no:hypothesispytest", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    places = [path.read_text() for path in tmp_path.glob("*.txt")]
    assert len(places) == 4
    assert len(set(places)) == 1, "pytest-xdist takes no notice of groups with this pytest"
