"""Paths as the submitting machine sees them."""

from pathlib import Path

import pytest

from erfnet_jobs.client.submission import fault_of
from erfnet_jobs.errors import BadCheckpoint, BadData


@pytest.mark.parametrize(("checkpoint", "kind"), [(False, BadData), (True, BadCheckpoint)])
def test_a_path_that_cannot_be_looked_at(tmp_path: Path, checkpoint: bool, kind: type[Exception]) -> None:
    fault = fault_of("--data", tmp_path / ("x" * 300), checkpoint)

    assert isinstance(fault, kind)
    assert "cannot be read (File name too long)" in str(fault)
