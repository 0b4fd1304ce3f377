"""The READMEs' shell blocks that can run here, as they stand there, one after another in one new home."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.readme import README, RUN, blocks_of

# One home, and one process of pytest-xdist: what the first block trains is there for those after it.
pytestmark = [pytest.mark.mindspore, pytest.mark.xdist_group("readme"), pytest.mark.timeout(900)]
BLOCKS = {f"line {block.line}": block.text for block in blocks_of(README) if block.is_shell and block.mark == RUN}
# Chance, which does not look at the picture, is right on far fewer pixels.
LEARNED = 0.3


class Reader:
    """Somebody who has cloned the repository, with the environment in .venv, and types what the README says."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / ".venv").symlink_to(sys.prefix)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("ERFNET_JOBS_")}
        self.environment["HOME"] = str(home)
        self.environment["PATH"] = f"{home / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def types(self, text: str) -> str:
        """What that prints; fails where a command of it does."""
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", text],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"exit code {done.returncode} of\n{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    # Not pytest's folder: the path of a Unix socket below the home has at most 107 bytes.
    home = Path(tempfile.mkdtemp(prefix="erfnet-readme-"))
    reader = Reader(home)
    yield reader
    reader.types("erfnet-jobs down --cancel")
    shutil.rmtree(home)


@pytest.mark.parametrize("text", BLOCKS.values(), ids=BLOCKS)
def test_block_runs_as_it_stands(reader: Reader, text: str) -> None:
    reader.types(text)


def test_the_first_steps_have_taught_the_network_something(reader: Reader) -> None:
    best = json.loads(reader.types("erfnet-jobs best --metric mean_iou --json"))
    assert best["pixel_accuracy"] > LEARNED
    assert (reader.home / ".erfnet-jobs" / "runs" / "3" / "1" / "ERFNet.mindir").is_file()
