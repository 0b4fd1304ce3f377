"""Where points of curves lie, and what of them is drawn."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.cli.curves_text import thinned, ticks
from erfnet_jobs.registry.curves import Span, placed
from erfnet_jobs.registry.metrics import Value

SPANS = (Span(3, 0, 2), Span(4, 2, 5))
POINTS = st.lists(st.tuples(st.floats(0, 1e6), st.floats(allow_nan=True, allow_infinity=True, width=32)), max_size=300)


def value(stage: int, epoch: int, step: int) -> Value:
    return Value("loss", 1, stage, epoch, step, 0.5)


def test_an_epoch_is_as_long_in_a_run_of_few_steps_as_in_one_of_many() -> None:
    for steps in (1, 4, 1000):
        ends = [
            value(stage, epoch, epoch * steps) for stage, epochs in ((3, 2), (4, 3)) for epoch in range(1, epochs + 1)
        ]
        assert [point.x for point in placed(ends, SPANS, steps)] == [1, 2, 3, 4, 5]
        assert [point.x for point in placed(ends, SPANS, None)] == [1, 2, 3, 4, 5]


def test_steps_lie_within_their_epoch() -> None:
    assert [point.x for point in placed([value(4, 2, 5), value(4, 2, 6)], SPANS, 4)] == [3.25, 3.5]


@given(
    st.lists(st.tuples(st.sampled_from([3, 4]), st.integers(1, 3), st.integers(1, 5000)), max_size=50),
    st.integers(1, 50),
)
def test_whatever_was_reported_no_point_leaves_its_epoch(reported: list[tuple[int, int, int]], steps: int) -> None:
    points = placed([value(*one) for one in reported], SPANS, steps)
    starts = {3: 0, 4: 2}
    assert all(starts[one.stage] + one.epoch - 1 <= one.x <= starts[one.stage] + one.epoch for one in points)
    assert all(before.x <= after.x for before, after in pairwise(points))


@given(POINTS, st.integers(1, 80))
def test_thinning_keeps_few_points_within_what_there_was(points: list[tuple[float, float]], most: int) -> None:
    ordered = sorted(points, key=lambda point: point[0])
    real = [(x, y) for x, y in ordered if math.isfinite(y)]
    kept = thinned(ordered, most)
    assert len(kept) <= most
    if len(real) <= most:
        assert kept == real
    for name in (0, 1):
        lowest, highest = (pick([one[name] for one in real], default=0.0) for pick in (min, max))
        slack = 1e-9 * max(1.0, abs(lowest), abs(highest))
        assert all(lowest - slack <= one[name] <= highest + slack for one in kept)
    assert all(before[0] <= after[0] for before, after in pairwise(kept))


@pytest.mark.parametrize(
    ("last", "most", "marks"),
    [(1, 10, [0, 1]), (9, 10, list(range(10))), (300, 10, list(range(0, 301, 50))), (25, 10, [0, 5, 10, 15, 20, 25])],
)
def test_ticks_are_as_people_count(last: int, most: int, marks: list[int]) -> None:
    assert ticks(last, most) == marks


@given(st.integers(1, 10**6), st.integers(5, 40))
def test_there_are_some_ticks_and_never_too_many(last: int, most: int) -> None:
    found = ticks(last, most)
    assert found[0] == 0
    assert 2 <= len(found) <= most
    assert found[-1] <= last
