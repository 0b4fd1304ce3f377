"""Builds of ascend310_infer by its presets, shared by all tests, and its modules asked through erfnet_probe."""

import fcntl
import os
import re
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "ascend310_infer"
BUILDS = ROOT / "build" / "ascend310_infer"
# Of the tests that need one build: of two processes of pytest-xdist, the second would only wait for the first.
BUILD_GROUP = "cxx_build"
_ANSWER = struct.Struct("<II")
_IMAGE = struct.Struct("<III")


def built(preset: str, *options: str) -> Path:
    """The folder of a build by further options of CMake, made or brought up to date, where no package is missing."""
    skip_without_packages()
    BUILDS.mkdir(parents=True, exist_ok=True)
    with (BUILDS / f"{preset}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run("cmake", "--preset", preset, *options)
        run("cmake", "--build", "--preset", preset, "--parallel", "2")
    return BUILDS / preset


def lite_home() -> Path:
    """The MindSpore Lite that `make infer310` built with; skips where it was not run, and fails there with CI set."""
    cache = BUILDS / "infer310" / "CMakeCache.txt"
    if not cache.is_file():
        reason = "make infer310 has not run here: no MindSpore Lite to build with"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return Path(re.findall(r"^LITE_HOME:PATH=(.*)$", cache.read_text(), re.MULTILINE)[0])


def skip_without_packages() -> None:
    """Skip where packages of C++ are missing, and fail with CI set."""
    asked = subprocess.run([SOURCES / "missing_packages"], capture_output=True, text=True, check=True)
    if lacking := asked.stdout.strip():
        reason = f"not installed, packages of C++: {lacking}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


def run(*command: str) -> None:
    """Run a command in the sources' folder; what it printed is shown where it fails."""
    done = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


@dataclass(frozen=True)
class Refused:
    """A fault: its exit code and message."""

    code: int
    message: str


class Probe:
    """One erfnet_probe that answers many questions."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def close(self) -> None:
        """End it; it must have lived until now."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait() == 0

    def ask(self, *words: object) -> bytes | Refused:
        """The answer to one command."""
        assert self.process.stdin is not None
        self.process.stdin.write("\t".join(map(str, words)).encode() + b"\n")
        self.process.stdin.flush()
        code, size = _ANSWER.unpack(self._read(_ANSWER.size))
        answer = self._read(size)
        return Refused(code, answer.decode()) if code else answer

    def pixels(self, *words: object) -> NDArray[np.uint8] | Refused:
        """The answer to one command as an array: height x width, x channels where there are several."""
        answer = self.ask(*words)
        if isinstance(answer, Refused):
            return answer
        height, width, channels = _IMAGE.unpack_from(answer)
        values = np.frombuffer(answer, np.uint8, offset=_IMAGE.size)
        return values.reshape((height, width) if channels == 1 else (height, width, channels))

    def pictures(
        self, split: str, labels: Path | None, *images: Path
    ) -> Sequence[tuple[str, Path, Path | None]] | Refused:
        """Name, image and label of each picture found."""
        answer = self.ask("pictures", split, labels or "-", *images)
        if isinstance(answer, Refused):
            return answer
        lines = [line.split("\t") for line in answer.decode().splitlines()]
        return [(name, Path(image), None if label == "-" else Path(label)) for name, image, label in lines]

    def _read(self, size: int) -> bytes:
        assert self.process.stdout is not None
        content = self.process.stdout.read(size)
        assert len(content) == size, f"erfnet_probe ended with {self.process.wait()}"
        return content


def probe(preset: str) -> Iterator[Probe]:
    """A probe of a build, for a fixture."""
    asked = Probe(built(preset) / "tests" / "erfnet_probe")
    yield asked
    asked.close()
