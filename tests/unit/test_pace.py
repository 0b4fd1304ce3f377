"""How often each of many workers does what all do."""

from hypothesis import given
from hypothesis import strategies as st

from workers.pace import MOST_SECONDS_BETWEEN_PASSES, Pace, seconds_between_looks, seconds_between_passes

BEAT, LEASE = 2.0, 30.0


@given(st.floats(0.1, 100), st.floats(0, 1, exclude_max=True))
def test_a_turn_comes_between_half_the_time_and_all_of_it(seconds: float, chance: float) -> None:
    now = 5.0
    pace = Pace(lambda: now, lambda: chance)
    assert pace.is_due
    pace.again_within(seconds)
    now = 5.0 + seconds * 0.49
    assert not pace.is_due
    now = 5.0 + seconds
    assert pace.is_due


@given(st.integers(1, 100_000))
def test_many_workers_look_seldom_but_often_enough(workers: int) -> None:
    looks = seconds_between_looks(workers, BEAT, LEASE)
    # Two beats until it is suspect, a look that sees it, the time-out, and the beat that finds it out.
    assert 2 * BEAT + looks + LEASE + BEAT <= 45
    # An observer whose looks are further apart than that starts anew.
    assert BEAT <= looks <= LEASE / 2
    assert seconds_between_looks(workers, BEAT, 4 * BEAT) <= 2 * BEAT
    assert 1 <= seconds_between_passes(workers) <= MOST_SECONDS_BETWEEN_PASSES
