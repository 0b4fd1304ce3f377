"""The C++ sources build without warnings and pass their own tests."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "ascend310_infer"


def test_builds_and_passes_its_tests(tmp_path: Path) -> None:
    missing = [tool for tool in ("cmake", "ctest", "c++") if shutil.which(tool) is None]
    if missing:
        reason = f"not installed: {', '.join(missing)} (Debian: cmake, g++)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    for command in (
        ["cmake", "-S", str(SOURCES), "-B", str(tmp_path)],
        ["cmake", "--build", str(tmp_path)],
        ["ctest", "--test-dir", str(tmp_path), "--output-on-failure", "--no-tests=error"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
