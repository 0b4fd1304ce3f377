from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erfnet_jobs.launch.tail import tail

lines = st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30), max_size=30)


@given(lines, st.integers(0, 40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_last_lines_of_a_short_log(tmp_path: Path, lines: list[str], count: int) -> None:
    path = tmp_path / "log"
    path.write_text("".join(line + "\n" for line in lines))
    assert tail(path, count) == (lines[-count:] if count else [])


def test_a_line_cut_by_the_limit_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first line\nsecond\nthird\n")
    assert tail(path, 10, max_bytes=15) == ["second", "third"]


def test_one_endless_line_shows_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 1000)
    assert tail(path, 10, max_bytes=10) == ["x" * 10]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"caf\xe9\n")
    assert tail(path, 1) == ["caf\N{REPLACEMENT CHARACTER}"]


def test_no_log_has_no_lines(tmp_path: Path) -> None:
    assert tail(tmp_path / "none", 5) == []
