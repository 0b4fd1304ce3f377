"""Paths as the submitting machine sees them."""

from pathlib import Path

import pytest

from erfnet_jobs.client.submission import fault_of, with_absolute_paths
from erfnet_jobs.errors import BadCheckpoint, BadData
from erfnet_jobs.infer_310_spec import Infer310Spec
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


def test_submit_and_run_name_what_310_infer_reads_and_writes_by_one_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pics").mkdir()
    for name in ("A.ckpt", "A.mindir"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    here = str(tmp_path)
    for weights in ({"checkpoint": "A.ckpt"}, {"model": "A.mindir"}):
        spec = Infer310Spec(images="pics", labels="pics/../pics", output="out", **weights)
        whole = {name: f"{here}/{path}" for name, path in weights.items()}
        expected = Infer310Spec(images=f"{here}/pics", labels=f"{here}/pics", output=f"{here}/out", **whole)
        assert with_absolute_paths(spec) == with_checked_paths(spec) == expected
    assert with_absolute_paths(Infer310Spec(images="/p", checkpoint="4:best")).checkpoint == "4:best"
