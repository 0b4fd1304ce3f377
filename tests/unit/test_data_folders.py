"""Datasets as who submits sees them."""

from dataclasses import replace
from pathlib import Path

import pytest

from erfnet_jobs.client.data_folders import data_fault, is_mindrecord
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.specs import EvalSpec, ExportSpec
from erfnet_jobs.states import JobKind
from erfnet_jobs.train_spec import TrainSpec
from tests.layout import empty_dataset


@pytest.mark.parametrize(
    ("files", "name", "expected"),
    [
        (["meta.json"], "", True),
        (["a.mindrecord", "a.mindrecord.db"], "", True),
        (["a.mindrecord", "a.mindrecord.db"], "a.mindrecord", True),
        (["a.mindrecord0", "a.mindrecord0.db"], "a.mindrecord", True),
        (["a.mindrecord0", "a.mindrecord0.db"], "a.mindrecord0", True),
        (["other", "a.mindrecord.db"], "other", False),
        ([], "", False),
        ([], "absent", False),
        ([], "x" * 300, False),
    ],
)
def test_what_is_a_mindrecord(tmp_path: Path, files: list[str], name: str, expected: bool) -> None:
    for file in files:
        (tmp_path / file).touch()

    assert is_mindrecord(tmp_path / name) is expected


def test_what_a_training_needs(tmp_path: Path) -> None:
    spec = TrainSpec(str(tmp_path))
    assert "leftImg8bit/train, gtFine/train, leftImg8bit/val, gtFine/val" in str(data_fault(spec, evaluate=True))

    empty_dataset(tmp_path, "train")
    assert data_fault(spec) is None
    assert "no leftImg8bit/val, gtFine/val" in str(data_fault(spec, evaluate=True))
    assert "--no-eval" in str(data_fault(spec, evaluate=True))
    assert "no leftImg8bit/val:" in str(data_fault(spec, then=[JobKind.INFER]))

    empty_dataset(tmp_path, "val")
    assert data_fault(spec, evaluate=True, then=[JobKind.INFER]) is None


def test_310_infer_after_a_training_measures_all_of_val(tmp_path: Path) -> None:
    empty_dataset(tmp_path, "train")
    spec, then = TrainSpec(str(tmp_path)), [JobKind.INFER_310]

    assert "no leftImg8bit/val, gtFine/val:" in str(data_fault(spec, then=then))
    assert "--no-eval" not in str(data_fault(spec, evaluate=True, then=then))


def test_what_310_infer_needs_of_a_dataset(tmp_path: Path) -> None:
    empty_dataset(tmp_path / "data", "val")
    data, flat = str(tmp_path / "data"), str(tmp_path)
    spec = Infer310Spec(images=data, labels=data, checkpoint="1")

    assert data_fault(spec) is None
    assert data_fault(replace(spec, images=flat, labels=flat, split="test")) is None
    assert f"{data} has no leftImg8bit/test" in str(data_fault(replace(spec, split="test")))
    assert f"{data} has no gtFine/test" in str(data_fault(replace(spec, images=flat, split="test")))
    assert "cannot be read" in str(data_fault(replace(spec, images=str(tmp_path / ("x" * 300)))))


def test_what_an_evaluation_needs(tmp_path: Path) -> None:
    empty_dataset(tmp_path, "val")
    assert data_fault(EvalSpec(("1",), str(tmp_path))) is None
    assert "no leftImg8bit/test, gtFine/test" in str(data_fault(EvalSpec(("1",), str(tmp_path), split="test")))
    assert "no leftImg8bit/val" in str(data_fault(EvalSpec(("1",), str(tmp_path / "absent"))))
    assert "cannot be read" in str(data_fault(EvalSpec(("1",), str(tmp_path / ("x" * 300)))))
    assert data_fault(ExportSpec("1")) is None
