"""The lines of the C++ program as values, and lines that are none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.lite.messages import (
    Advanced,
    Ended,
    Measured,
    NoMessage,
    Phase,
    Saved,
    Skipped,
    Started,
    Stopped,
    parse_message,
)
from tests.scripted_lite import MATRIX

MODEL = {"path": "/m", "input": [1, 3, 64, 128], "input_type": "float32", "output": [1, 20, 64, 128], "new": 1}
START = {"event": "start", "version": "0.1.0", "lite": "2.0.0", "engine": "lite-cpu", "device": "cpu", "threads": 2}
START |= {"precision": "fp32", "images": 3, "labelled": 2, "model": MODEL}
METRIC = {"height": 64, "width": 128, "images": 3, "confusion": MATRIX, "mean_iou": 0.5, "iou_class": [None] * 19}
PHASES = {"read": {"mean": 1, "p50": 2.5, "p95": 3, "p99": 4, "threads": 2}}
END = {"event": "end", "images": 2, "skipped": 1, "seconds": 4, "images_per_second": 0.5, "peak_memory_bytes": 7}
END |= {"phases_ms": PHASES, "metric": METRIC}
KNOWN: list[tuple[dict[str, Any], Any]] = [
    (START, Started("0.1.0", "2.0.0", "lite-cpu", 3, (64, 128))),
    (
        {"event": "progress", "done": 1, "total": 3, "images_per_second": 2.5, "eta_seconds": None},
        Advanced(1, 3, 2.5, None),
    ),
    ({"event": "saved", "name": "a", "files": {"labels": "/a.png"}}, Saved("a", {"labels": "/a.png"})),
    ({"event": "skipped", "image": "/b.png", "reason": "cut"}, Skipped("/b.png", "cut")),
    (
        END,
        Ended(
            2, 1, 4.0, 0.5, 7, {"read": Phase(1.0, 2.5, 3.0, 4.0, 2)}, Measured(64, 128, 3, tuple(map(tuple, MATRIX)))
        ),
    ),
    ({**END, "metric": None}, Ended(2, 1, 4.0, 0.5, 7, {"read": Phase(1.0, 2.5, 3.0, 4.0, 2)}, None)),
    ({"event": "error", "exit_code": 11, "message": "no model"}, Stopped(11, "no model")),
]


@pytest.mark.parametrize(("document", "expected"), KNOWN)
def test_each_message(document: dict[str, Any], expected: object) -> None:
    assert parse_message(json.dumps(document)) == expected
    assert parse_message(json.dumps({**document, "later": {"added": 1}})) == expected


@pytest.mark.parametrize("document", [document for document, _ in KNOWN])
def test_none_of_their_fields_may_be_missing(document: dict[str, Any]) -> None:
    unread = {"device", "threads", "precision", "labelled"}
    for name in set(document) - unread:
        with pytest.raises(NoMessage):
            parse_message(json.dumps({key: value for key, value in document.items() if key != name}))


@pytest.mark.parametrize(
    "matrix",
    [MATRIX[:-1], [row[:-1] for row in MATRIX], [[-1] * 20] * 19, [[1.5] * 20] * 19, [[True] * 20] * 19, None],
)
def test_a_matrix_that_is_none(matrix: object) -> None:
    with pytest.raises(NoMessage):
        parse_message(json.dumps({**END, "metric": {**METRIC, "confusion": matrix}}))


@given(line=st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_other_line_is_none(line: str) -> None:
    with pytest.raises(NoMessage):
        parse_message(line)
