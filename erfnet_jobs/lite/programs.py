"""Where the C++ programs and the vendor's converter are on this host, and what their processes need. Stdlib only."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from erfnet_jobs.errors import MissingDependency
from erfnet_jobs.secret_variables import SECRETS

INFER = "erfnet_infer"
CONVERT = "erfnet_convert"
VENDOR_CONVERT = "converter_lite"
SETTING = "ERFNET_JOBS_INFER_310"
LITE_HOME = "LITE_HOME"
# Within LITE_HOME, in the vendor's tarball: docs/lite, converter_tool and runtime_cpp, of mindspore-ai/docs.
VENDOR_PLACE = Path("tools/converter/converter", VENDOR_CONVERT)
LIBRARIES = ("runtime/lib", "tools/converter/lib")
# MindSpore and ranks number devices by what this lets them see; the C++ program is told the logical id.
VISIBLE_DEVICES = "ASCEND_RT_VISIBLE_DEVICES"
# Ranks are started with few messages of MindSpore; the reasons of Lite are among those left out by it.
LOG_LEVEL = "GLOG_v"
TALKATIVE = frozenset({"0", "1"})  # all, and information; by default it is warnings
REMEDY = f"build it on this host with 'make infer310'; {SETTING} says where it is if not beside this Python or on PATH"


def given_program(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The setting `infer_310`, as those who start ranks hand it on."""
    text = environ.get(SETTING)
    return Path(text) if text else None


def find_infer(given: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The program `erfnet_infer`: the one that the setting names, else beside this Python, else on PATH.

    Raises MissingDependency with the way to get it.
    """
    if given is not None:
        if not _runs(given):
            raise MissingDependency(
                f"{given} ({SETTING}) is no program that this user may run: correct it, or {REMEDY}"
            )
        return given.absolute()
    beside = Path(sys.executable).with_name(INFER)
    if _runs(beside):
        return beside
    if found := shutil.which(INFER, path=environ.get("PATH")):
        return Path(found).absolute()
    raise MissingDependency(f"{INFER}, the C++ program for MindSpore Lite, is not on this host: {REMEDY}")


def is_wanted(given: Path | None, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody wants the programs here: the setting or LITE_HOME says so, or one of them is there."""
    asked = given is not None or bool(environ.get(LITE_HOME))
    there = any(
        Path(sys.executable).with_name(name).exists() or shutil.which(name, path=environ.get("PATH"))
        for name in (INFER, CONVERT)
    )
    return asked or there


def find_convert(infer: Path) -> Path | None:
    """Our own converter, which is built beside `erfnet_infer`; None where it was not."""
    beside = infer.resolve().with_name(CONVERT)
    return beside if _runs(beside) else None


def find_vendor_convert(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The vendor's `converter_lite`: in LITE_HOME, else on PATH; None where it is not on this host."""
    home = environ.get(LITE_HOME)
    inside = Path(home, VENDOR_PLACE) if home else None
    if inside is not None and _runs(inside):
        return inside
    found = shutil.which(VENDOR_CONVERT, path=environ.get("PATH"))
    return Path(found).absolute() if found else None


def lite_environ(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`base` for a process with MindSpore Lite in it: its libraries are found, and all devices of the host are seen.

    It holds nothing that opens registry and queues. Where `base` has MindSpore say less than by default, the process
    does not: Lite's warnings are the reasons of its errors.
    """
    environ = {name: value for name, value in base.items() if name not in SECRETS | {VISIBLE_DEVICES}}
    if environ.get(LOG_LEVEL) not in TALKATIVE:
        environ.pop(LOG_LEVEL, None)
    home = base.get(LITE_HOME)
    folders = [str(Path(home, place)) for place in LIBRARIES if Path(home, place).is_dir()] if home else []
    known = base.get("LD_LIBRARY_PATH", "")
    if folders:
        environ["LD_LIBRARY_PATH"] = os.pathsep.join([*folders, *([known] if known else [])])
    return environ


def _runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
