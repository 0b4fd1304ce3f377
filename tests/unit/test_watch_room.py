"""Sharing the lines of a screen."""

from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.cli.watch.room import LEAST, cut, share

WANTED = st.lists(st.integers(0, 40), max_size=5)


@given(WANTED, st.integers(-3, 100))
def test_nobody_gets_more_than_wanted_and_no_line_is_left_while_somebody_wants_it(wanted: list[int], room: int) -> None:
    given_ = share(wanted, room)
    assert len(given_) == len(wanted)
    assert all(0 <= lines <= most for lines, most in zip(given_, wanted, strict=True))
    assert sum(given_) == min(max(0, room), sum(wanted))


def test_the_first_parts_get_what_they_need_before_the_last_ones_get_anything() -> None:
    assert share([9, 9, 9], LEAST * 2) == [LEAST, LEAST, 0]
    assert share([9, 2, 9], 12) == [5, 2, 5]


ENTRIES = st.lists(st.lists(st.just("line"), min_size=1, max_size=2), max_size=12)


@given(ENTRIES, st.integers(0, 20), st.integers(0, 5))
def test_what_is_cut_is_counted(entries: list[list[str]], room: int, hidden: int) -> None:
    lines = cut(entries, room, hidden)
    assert len(lines) <= room
    if lines and lines[-1].startswith("…"):
        shown = lines[:-1]
        assert shown == [line for entry in entries for line in entry][: len(shown)]
        whole = next(count for count in range(len(entries) + 1) if sum(map(len, entries[:count])) == len(shown))
        assert lines[-1] == f"… {len(entries) - whole + hidden} more"
    elif room:
        assert not hidden
        assert lines == [line for entry in entries for line in entry]
