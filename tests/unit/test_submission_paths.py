"""Paths as the submitting machine sees them."""

from pathlib import Path

import pytest

from erfnet_jobs.client.submission import fault_of, with_absolute_paths
from erfnet_jobs.errors import BadCheckpoint, BadData
from erfnet_jobs.launch.foreground import with_checked_paths
from erfnet_jobs.specs import ExportSpec


@pytest.mark.parametrize(("checkpoint", "kind"), [(False, BadData), (True, BadCheckpoint)])
def test_a_path_that_cannot_be_looked_at(tmp_path: Path, checkpoint: bool, kind: type[Exception]) -> None:
    fault = fault_of("--data", tmp_path / ("x" * 300), checkpoint)

    assert isinstance(fault, kind)
    assert "cannot be read (File name too long)" in str(fault)


def test_submit_and_run_name_a_checkpoint_by_one_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pics").mkdir()
    (tmp_path / "A.ckpt").touch()
    monkeypatch.chdir(tmp_path)
    for spec in (ExportSpec("pics/../A.ckpt"), ExportSpec("A.ckpt")):
        assert with_absolute_paths(spec) == with_checked_paths(spec) == ExportSpec(str(tmp_path / "A.ckpt"))
