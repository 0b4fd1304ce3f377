"""MindSpore: importable by the interpreter of the ranks, of the version they need, and able to drive the chips."""

import json
import subprocess
import sys
from collections.abc import Iterator

from erfnet_jobs.cli.checks.answer import ERROR, OK, WARNING, Answer
from erfnet_jobs.settings import Settings

MINDSPORE_SECONDS = 120
# The version in pyproject.toml, which checkpoints and the cluster's manners are tied to.
MINDSPORE_VERSION = "2.10.0"
# As mindspore.set_device decides it: the plugin must load, with CANN's libraries. No device is opened.
PROGRAM = """
import json, sys
import mindspore
from mindspore._c_expression import MSContext
fault = None
if sys.argv[1:] == ["Ascend"] and not MSContext.get_instance().is_pkg_support_device("Ascend"):
    fault = MSContext.get_instance().load_plugin_error() or "this build of MindSpore has no Ascend plugin"
print(json.dumps({"version": mindspore.__version__, "fault": fault}))
"""
NO_PLUGIN = (
    "install CANN (8.2, 8.3, 8.5, 9.0 or 9.1), run 'source /usr/local/Ascend/ascend-toolkit/set_env.sh' (CANN 8.5 and "
    "later: /usr/local/Ascend/cann/set_env.sh) in this shell, try again, and start the worker from such a shell"
)


def check_mindspore(_settings: Settings, drives_ascend: bool = False) -> Iterator[Answer]:
    """In a process of its own: this one must not hold a device. `drives_ascend`: ranks are to run on Ascend chips."""
    command = [sys.executable, "-P", "-c", PROGRAM, *(["Ascend"] if drives_ascend else [])]
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
    yield from mindspore_answers(done.stdout, drives_ascend)


def mindspore_answers(output: str, drives_ascend: bool) -> Iterator[Answer]:
    """What PROGRAM printed, in its last line, says."""
    found = json.loads(output.strip().splitlines()[-1])
    version, fault = found["version"], found["fault"]
    if version != MINDSPORE_VERSION:
        yield Answer(WARNING, f"version {version}", f"this program is made for {MINDSPORE_VERSION}")
    if fault is not None:
        reason = (fault.strip().splitlines() or ["no reason told"])[0]
        yield Answer(ERROR, f"version {version} cannot drive this host's Ascend devices: {reason}", NO_PLUGIN)
    elif version == MINDSPORE_VERSION:
        yield Answer(OK, f"version {version}" + (", its Ascend plugin can be loaded" if drives_ascend else ""))
