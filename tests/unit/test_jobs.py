"""Specs: what is refused, and their way through JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.errors import UsageError
from erfnet_jobs.jobs import Request
from erfnet_jobs.specs import (
    EvalSpec,
    ExportSpec,
    InferSpec,
    Spec,
    known_spec,
    spec_from_dict,
    spec_from_json,
    spec_to_dict,
    spec_to_json,
)
from erfnet_jobs.train_spec import TrainSpec
from tests.strategies import SPECS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(SPECS)
def test_a_spec_comes_back_from_json(spec: Spec) -> None:
    text = spec_to_json(spec)
    assert spec_from_json(text) == spec
    assert spec_to_json(spec_from_json(text)) == text
    assert json.loads(text)["kind"] == spec.kind


@given(SPECS, st.data())
def test_a_spec_with_any_other_value_is_read_or_refused(spec: Spec, data: st.DataObject) -> None:
    document = spec_to_dict(spec)
    name = data.draw(st.sampled_from(sorted(document)))
    document[name] = data.draw(JSON)
    try:
        again = spec_from_dict(document)
    except UsageError:
        return
    assert spec_from_dict(spec_to_dict(again)) == again


@given(JSON)
def test_no_json_is_read_as_what_it_is_not(document: Any) -> None:
    with pytest.raises(UsageError):
        spec_from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{", "nonsense", "[1, 2]", "null"])
def test_what_is_no_json_object(text: str) -> None:
    with pytest.raises(UsageError, match="job spec is"):
        spec_from_json(text)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"cards": 0}, "cards is 0"),
        ({"cards": -1}, "cards is -1"),
        ({"cards": 4097}, "cards is 4097"),
        ({"cards": 1.5}, "cards is 1.5"),
        ({"cards": True}, "cards is True"),
        ({"epochs": (1, 2)}, "four whole numbers"),
        ({"epochs": (1, 2, 3, 0)}, "four whole numbers"),
        ({"epochs": (1, 2, 3, 1.5)}, "four whole numbers"),
        ({"stages": ()}, "stages is"),
        ({"stages": (1, 3)}, "stages is"),
        ({"stages": (2, 1)}, "stages is"),
        ({"stages": {"": None}}, "stages is"),
        ({"stages": (True, 2)}, "stages is"),
        ({"stages": (4, 5), "checkpoint": "x"}, "stages is"),
        ({"stages": (3, 4)}, "name them with --checkpoint"),
        ({"checkpoint": "x"}, "leave --checkpoint out or give --stages 2-4"),
        ({"size": (500, 1024)}, "multiples of 8"),
        ({"size": (512,)}, "multiples of 8"),
        ({"size": (512.0, 1024)}, "multiples of 8"),
        ({"size": (8, 8)}, "multiples of 8"),
        ({"batch_size": 0}, "batch size is 0"),
        ({"lr": 0.0}, "lr is 0.0"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"seed": -1}, "seed is -1"),
        ({"keep": 0}, "keep is 0"),
        ({"data": ""}, "data is ''"),
    ],
)
def test_what_a_training_cannot_be(values: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        TrainSpec(**{"data": "/data", **values})


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: EvalSpec((), "/data"), "at least one checkpoint"),
        (lambda: EvalSpec(("1",), "/data", split="all"), "split is 'all'"),
        (lambda: EvalSpec(("1",), "/data", network="resnet"), "network is 'resnet'"),
        (lambda: EvalSpec(("1",), "/data", cards=0), "cards is 0"),
        (lambda: EvalSpec(("1",), "/data", protocol="quarter"), "give one of half, full"),
        (lambda: EvalSpec(("1",), "/data", worst=-1), "worst is -1"),
        (lambda: EvalSpec(("1",), "/data", save_predictions=""), "give a folder"),
        (lambda: ExportSpec("1", formats=()), "format is"),
        (lambda: ExportSpec("1", formats=("mindir", "air")), "format is 'mindir,air': give mindir, onnx"),
        (lambda: ExportSpec("1", formats=("onnx", "onnx")), "each format once"),
        (lambda: ExportSpec("1", head="softmax"), "head is 'softmax': give one of logits, argmax"),
        (lambda: ExportSpec("1", batch=0), "batch is 0"),
        (lambda: ExportSpec("1", batch=1024), "batch is 1024: at 512x1024 give at most 32"),
        (lambda: ExportSpec("1", batch=33), "batch is 33: at 512x1024 give at most 32"),
        (lambda: ExportSpec("1", size=(8192, 4096)), "size is '8192x4096': give one of at most 16,777,216 pixels"),
        (lambda: ExportSpec("1", batch=True), "batch is True"),
        (lambda: ExportSpec("1", cards=2), "runs on one device"),
        (lambda: InferSpec("1", "/images", limit=0), "limit is 0"),
        (lambda: InferSpec("1", "/images", split="all"), "split is 'all'"),
        (lambda: InferSpec("1", "/images", output=""), "output is '': give a folder"),
        (lambda: InferSpec("1", "/images", logits=""), "logits is '': give a folder"),
        (lambda: InferSpec("1", "/images", cards=2), "runs on one device"),
        (lambda: Request(ExportSpec("1"), max_attempts=0), "max attempts is 0"),
        (lambda: Request(ExportSpec("1"), priority=1001), "priority is 1001"),
        (lambda: Request(TrainSpec("/data", cards=2), devices=(1,)), "2 different device ids"),
        (lambda: Request(TrainSpec("/data", cards=2), devices=(1, 1)), "2 different device ids"),
        (lambda: spec_from_dict({"kind": "train"}), "it needs"),
        (lambda: spec_from_dict({"kind": "nap"}), "give one of train, eval"),
        (lambda: spec_from_dict({"kind": ["train"]}), "give one of train, eval"),
        (lambda: spec_from_dict({"kind": "train", "data": "/d", "colour": 1}), "has no colour"),
    ],
)
def test_what_other_jobs_cannot_be(make: Any, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        make()


def test_the_learning_rate_follows_the_cards_as_said() -> None:
    assert TrainSpec("/data").first_lr == 5e-4
    assert TrainSpec("/data", cards=4).first_lr == 1e-3  # the reference's on its four cards
    assert TrainSpec("/data", cards=2, lr=0.1).first_lr == 0.1
    assert TrainSpec("/data", cards=8, lr=1e-4, scale_lr="linear").first_lr == pytest.approx(8e-4)
    assert TrainSpec("/data", cards=4, lr=1e-4, scale_lr="sqrt").first_lr == pytest.approx(2e-4)
    assert TrainSpec("/data", cards=4, scale_lr="none").first_lr == 5e-4
    assert TrainSpec("/data", cards=4, batch_size=3).global_batch == 12


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"scale_lr": "cubic"}, "none, linear, sqrt"),
        ({"amp": "O9"}, "O0, O1, O2, O3, auto"),
        ({"augment": ("flip", "mirror")}, "flip, translate, crop, blur"),
        ({"augment": ("flip", "flip")}, "each once"),
        ({"lr": True}, "above 0"),
        ({"lr": "0.1"}, "above 0"),
        ({"lr": 0.5, "cards": 64, "scale_lr": "linear"}, "another --scale-lr"),
        ({"validate_every": -1}, "0 for never"),
        ({"stages": (3, 4)}, "--from-scratch"),
        ({"stages": (3, 4), "checkpoint": "1", "from_scratch": True}, "leave one of the two out"),
    ],
)
def test_choices_that_there_are_not(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        TrainSpec("/data", **values)


def test_any_stage_may_start_from_scratch() -> None:
    assert TrainSpec("/data", stages=(3, 4), from_scratch=True).checkpoint is None


def test_the_largest_export() -> None:
    assert ExportSpec("1", batch=32).batch == 32
    assert ExportSpec("1", batch=1, size=(4096, 4096)).batch == 1
    assert ExportSpec("1", batch=1024, size=(128, 128)).batch == 1024


def test_a_spec_that_this_program_does_not_know() -> None:
    assert known_spec(spec_to_json(TrainSpec("/data"))) == TrainSpec("/data")
    assert known_spec('{"kind": "train", "data": "/data", "of_tomorrow": 1}') is None
