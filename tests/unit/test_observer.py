"""What stands still is told by looks that follow one another closely, on this process' own clock."""

from hypothesis import given
from hypothesis import strategies as st

from workers.observer import Observer


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_value_that_stands_still_is_told_after_the_patience() -> None:
    clock = Clock()
    observer: Observer[str] = Observer(30, clock)

    told = []
    for _ in range(20):
        told.append(observer.look({"still": 1, "moving": clock.now}))
        clock.now += 2

    assert told[:16] == [set()] * 16
    assert told[16:] == [{"still"}] * 4


def test_a_gap_between_looks_proves_nothing() -> None:
    clock = Clock()
    observer: Observer[str] = Observer(30, clock)
    for _ in range(10):
        assert observer.look({"still": 1}) == set()
        clock.now += 2

    clock.now += 3600
    assert observer.look({"still": 1}) == set()
    clock.now += 2
    assert observer.look({"still": 1}) == set()


def test_what_went_and_came_back_starts_anew() -> None:
    clock = Clock()
    observer: Observer[str] = Observer(10, clock)
    observer.look({"a": 1})
    clock.now += 4
    observer.look({})
    for _ in range(2):
        clock.now += 4
        assert observer.look({"a": 1}) == set()


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=40))
def test_nothing_is_told_before_its_patience_has_been_watched(steps: list[tuple[float, bool]]) -> None:
    clock = Clock()
    observer: Observer[str] = Observer(10, clock)
    watched, value, last = 0.0, 0, clock.now
    observer.look({"key": value})
    for pause, moves in steps:
        clock.now += pause
        value += moves
        gap = clock.now - last
        last = clock.now
        watched = 0.0 if moves or gap > 5 else watched + gap
        told = observer.look({"key": value})
        assert told <= ({"key"} if watched > 10 - 1e-6 else set())
