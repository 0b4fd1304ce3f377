"""MindSpore: importable by the interpreter that ranks run with, and of the version they need."""

import subprocess
import sys
from collections.abc import Iterator

from erfnet_jobs.cli.checks.answer import ERROR, OK, WARNING, Answer
from erfnet_jobs.settings import Settings

MINDSPORE_SECONDS = 120
# The version in pyproject.toml, which checkpoints and the cluster's manners are tied to.
MINDSPORE_VERSION = "2.10.0"


def check_mindspore(_settings: Settings) -> Iterator[Answer]:
    """In a process of its own: this one must not hold a device."""
    command = [sys.executable, "-P", "-c", "import mindspore; print(mindspore.__version__)"]
    remedy = (
        f"pip install 'erfnet-jobs[worker]' (MindSpore {MINDSPORE_VERSION}); a machine that only submits needs none"
    )
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MINDSPORE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        yield Answer(ERROR, f"did not import within {MINDSPORE_SECONDS} s", remedy)
        return
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        yield Answer(ERROR, f"cannot be imported: {last}", remedy)
        return
    version = done.stdout.strip().splitlines()[-1]
    if version != MINDSPORE_VERSION:
        yield Answer(WARNING, f"version {version}", f"this program is made for {MINDSPORE_VERSION}")
        return
    yield Answer(OK, f"version {version}")
