"""Packages that a test may lack where somebody tries things, and not where CI is set."""

import importlib
import os
from typing import Any

import pytest


def optional(name: str) -> Any:
    """The package; skips the test without it, and fails where CI is set."""
    if os.environ.get("CI"):
        return importlib.import_module(name)
    return pytest.importorskip(name, reason=f"{name} comes with the extra `onnx`")
