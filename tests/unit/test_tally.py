"""What is counted of the rounds of a worker."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from workers.histogram import Histogram
from workers.tally import Tally

BOUNDS = (0.5, 1.0, 10.0)


@given(st.lists(st.floats(0, 100)))
def test_each_value_is_in_all_ranges_that_hold_it(values: Sequence[float]) -> None:
    histogram = Histogram(BOUNDS)
    for value in values:
        histogram.add(value)
    expected = [(str(bound), sum(value <= bound for value in values)) for bound in BOUNDS]
    assert histogram.buckets() == [*expected, ("+Inf", len(values))]
    assert histogram.sum == sum(values)


def test_rounds_and_passes_are_counted() -> None:
    clock = [0.0]
    tally = Tally(lambda: clock[0])
    began = tally.now()
    clock[0] = 3.0
    tally.pass_ended(began, placed=2)
    tally.round_ended(well=True)
    clock[0] = 5.0
    tally.round_ended(well=False)

    counts = tally.counts()

    assert (counts.rounds, counts.failed, counts.succeeded_ago) == (2, 1, 2.0)
    assert (counts.placed, counts.pass_seconds, dict(counts.passes)["2.5"], dict(counts.passes)["5.0"]) == (2, 3, 0, 1)
