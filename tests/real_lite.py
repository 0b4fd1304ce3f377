"""The C++ programs that `make infer310` has built, for tests that run the real MindSpore Lite."""

import os
from pathlib import Path

import pytest

from erfnet_jobs.errors import MissingDependency
from erfnet_jobs.lite.programs import find_infer, given_program


def real_infer() -> Path:
    """The program; skips where it was not built, and fails there with CI set."""
    try:
        return find_infer(given_program())
    except MissingDependency as error:
        return pytest.fail(str(error)) if os.environ.get("CI") else pytest.skip(str(error))
