"""Which program a rank runs: the real one, or a scripted one in tests. Stdlib only."""

import os
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import erfnet_jobs

RANK_MODULE = "ERFNET_JOBS_RANK_MODULE"
SCRIPTED = "erfnet_jobs.launch.scripted_rank"


@dataclass(frozen=True)
class RankProgram:
    """The module of a rank, and that of MindSpore's scheduler (None: the ranks need none)."""

    module: str = "erfnet_jobs.erfnet.rank"
    scheduler_module: str | None = "erfnet_jobs.erfnet.scheduler"


def rank_program(environ: Mapping[str, str] = os.environ, default: RankProgram | None = None) -> RankProgram:
    """The program that ERFNET_JOBS_RANK_MODULE chooses, else `default`, by default that of jobs."""
    module = environ.get(RANK_MODULE)
    if not module:
        return default or RankProgram()
    return RankProgram(module, None if module == SCRIPTED else RankProgram.scheduler_module)


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module with this interpreter, without the current folder on its path."""
    return [sys.executable, "-P", "-m", module, *arguments]


def with_this_package(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` in which another interpreter finds the very package that runs here, installed or not."""
    root = str(Path(erfnet_jobs.__file__).parents[1])
    if root in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        return dict(environ)
    inherited = environ.get("PYTHONPATH")
    return {**environ, "PYTHONPATH": f"{root}{os.pathsep}{inherited}" if inherited else root}
