"""Whole lines, each once, whatever blocks a growing log is seen in."""

from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.client.growing_log import MOST_HELD, GrowingLog, start_of_last

LINES = st.lists(st.text(st.sampled_from("aä€😀 \t"), max_size=12), max_size=20)
CUTS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=25)


def encoded(lines: list[str], ended: bool) -> bytes:
    return "\n".join(lines).encode() + (b"\n" if ended and lines else b"")


@given(LINES, st.booleans(), CUTS)
def test_without_gaps_every_line_comes_once_and_whole(
    lines: list[str], ended: bool, cuts: list[tuple[int, int]]
) -> None:
    whole = encoded(lines, ended)
    log = GrowingLog()
    told: list[str] = []
    size = 0
    for more, back in cuts:
        size, start = min(len(whole), size + more % 40), max(0, size - back % 60)
        news = log.take(start, whole[start:size])
        assert news.missing == 0
        told += news.lines
        assert told == lines[: len(told)]
    told += log.take(0, whole).lines + log.end()
    assert told == (lines if ended or not lines or lines[-1] else lines[:-1])


@given(LINES, CUTS, st.integers(1, 60))
def test_from_capped_tails_nothing_is_told_twice_nor_lost_that_a_tail_holds(
    lines: list[str], cuts: list[tuple[int, int]], cap: int
) -> None:
    numbered = [f"{number} {line}" for number, line in enumerate(lines)]
    whole = encoded(numbered, ended=True)
    begins = [len(encoded(numbered[:number], ended=True)) for number in range(len(lines) + 1)]
    log = GrowingLog()
    told: list[str] = []
    held: set[int] = set()
    missing = size = 0
    for more, _ in [*cuts, (10**6, 0)]:
        size = min(len(whole), size + more % 80 if more < 10**6 else len(whole))
        start = next(begin for begin in begins if begin >= size - cap or begin == begins[-1])
        start = min(start, size)
        held |= {number for number in range(len(lines)) if begins[number] >= start and begins[number + 1] <= size}
        news = log.take(start, whole[start:size])
        told += news.lines
        missing += news.missing
    told += log.end()
    whole_lines = [line for line in told if line in numbered]
    assert len(set(whole_lines)) == len(whole_lines)
    assert [numbered.index(line) for line in whole_lines] == sorted(map(numbered.index, whole_lines))
    assert {numbered[number] for number in held} <= set(told)
    assert sum(len(line.encode()) + 1 for line in told) + missing >= len(whole)


def test_a_part_of_a_line_is_held_and_is_told_where_its_end_was_missed() -> None:
    log = GrowingLog()
    assert log.take(0, b"one\ntw").lines == ["one"]
    assert log.take(0, b"one\ntwo\n").lines == ["two"]
    assert log.take(8, b"thr").lines == []
    news = log.take(20, b"five\n")
    assert (news.missing, news.lines) == (9, ["thr", "five"])


def test_a_character_at_a_border_stays_whole_also_in_a_line_without_end() -> None:
    text = "ä" * MOST_HELD
    whole = text.encode()
    log = GrowingLog()
    told = log.take(0, whole[: MOST_HELD + 1]).lines + log.take(MOST_HELD + 1, whole[MOST_HELD + 1 :]).lines + log.end()
    assert "".join(told) == text


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert GrowingLog().take(0, b"a\xffb\r\n").lines == ["a\N{REPLACEMENT CHARACTER}b"]


@given(st.lists(st.text(st.sampled_from("ab"), max_size=3), min_size=1, max_size=9), st.booleans(), st.integers(0, 12))
def test_the_last_lines_of_a_block(lines: list[str], ended: bool, count: int) -> None:
    block = "\n".join(lines).encode() + b"\n" * ended
    if not ended and not lines[-1]:
        lines = [*lines[:-1]] if block.endswith(b"\n") else lines
    last = lines[-count:] if count else []
    begin = start_of_last(block, count)
    assert block[begin:].decode().removesuffix("\n") == "\n".join(last)
