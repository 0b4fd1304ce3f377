"""The versions of the driver and of CANN, from the files that their installers leave. Stdlib only.

The driver's is /usr/local/Ascend/driver/version.info (`Version=24.1.rc1`). CANN's is ascend_toolkit_install.info below
the toolkit, `ascend-toolkit/latest/<arch>-linux` (CANN 6 to 8.3) or `cann/<arch>-linux` (from 8.5), or the file of the
packages that only run models, nnae and nnrt.
"""

import os
import platform
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from erfnet_jobs.ascend.lines import Line, Parsed, numbered

ASCEND_ROOT = Path("/usr/local/Ascend")
DRIVER_INFO = Path("driver/version.info")
CANN_PACKAGES = ("toolkit", "nnae", "nnrt")
VERSION = re.compile(r"version\s*=\s*(?P<version>[0-9A-Za-z][0-9A-Za-z._+-]{0,63})", re.IGNORECASE)
PACKAGE_VERSION = re.compile(r"package_version\s*=\s*(?P<version>[0-9A-Za-z][0-9A-Za-z._+-]{0,63})", re.IGNORECASE)
OTHER = re.compile(r"[A-Za-z_][A-Za-z0-9_ -]*=.*|#.*|\[.*\]")


def parse_version(text: str) -> Parsed[str | None]:
    """The version in a file of `key=value` lines; None where it is not told, or told in two ways."""
    found: dict[str, set[str]] = {"version": set(), "package": set()}
    unread: list[Line] = []
    for line in numbered(text):
        if match := VERSION.fullmatch(line.text):
            found["version"].add(match["version"])
        elif match := PACKAGE_VERSION.fullmatch(line.text):
            found["package"].add(match["version"])
        elif not OTHER.fullmatch(line.text):
            unread.append(line)
    chosen = found["version"] or found["package"]
    return Parsed(next(iter(chosen)) if len(chosen) == 1 else None, tuple(unread))


def driver_version(root: Path = ASCEND_ROOT) -> str | None:
    """The installed driver's version; None where there is no such file or none in it."""
    return _version_in(root / DRIVER_INFO)


def cann_version(root: Path = ASCEND_ROOT, environ: Mapping[str, str] = os.environ) -> str | None:
    """CANN's version: of the toolkit that the environment names, else of the one installed; None without any."""
    return next((version for path in _cann_files(root, environ) if (version := _version_in(path))), None)


def _cann_files(root: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    named = [environ[name] for name in ("ASCEND_TOOLKIT_HOME", "ASCEND_HOME_PATH") if environ.get(name)]
    own = Path(environ.get("HOME", "/")) / "Ascend"
    folders = [Path(text) for text in named]
    for place in (root, own):
        folders += [place / "ascend-toolkit/latest", place / "cann", place / "nnae/latest", place / "nnrt/latest"]
    for folder in folders:
        for package in CANN_PACKAGES:
            name = f"ascend_{package}_install.info"
            yield from (folder / f"{platform.machine()}-linux" / name, folder / name)


def _version_in(path: Path) -> str | None:
    try:
        return parse_version(path.read_text(errors="replace")).value
    except OSError:  # not there, or not ours to read: the version is not known
        return None
