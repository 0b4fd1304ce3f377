"""The lines that ranks write: there and back, whole lines only, and what is no report."""

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erfnet_jobs.reports import (
    REPORT_TYPES,
    VERSION,
    Done,
    Evaluated,
    Failed,
    Hello,
    MalformedReport,
    Metric,
    Phase,
    Report,
    ReportWriter,
    decode,
    encode,
    read_lines,
)
from tests.strategies import FINITE, WORDS

st.register_type_strategy(float, FINITE)
HELLO = st.builds(Hello, host=WORDS, versions=st.dictionaries(WORDS, WORDS, max_size=3))
METRIC = st.builds(Metric, values=st.dictionaries(WORDS, FINITE, max_size=3))
EVALUATED = st.builds(Evaluated, iou_class=st.lists(st.none() | FINITE, min_size=19, max_size=19).map(tuple))
SPECIAL = {"hello": HELLO, "metric": METRIC, "evaluated": EVALUATED}
REPORTS: st.SearchStrategy[Report] = st.one_of(
    *(SPECIAL.get(kind, st.from_type(report)) for kind, report in REPORT_TYPES.items())
)


@given(REPORTS)
def test_a_report_comes_back_from_its_line(report: Report) -> None:
    line = encode(report, 1.5)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == report


@given(st.binary(max_size=40))
def test_any_bytes_are_no_report(line: bytes) -> None:
    with pytest.raises(MalformedReport):
        decode(line)


@given(REPORTS, st.data())
def test_a_line_that_is_cut_is_no_report(report: Report, data: st.DataObject) -> None:
    line = encode(report, 0)
    with pytest.raises(MalformedReport):
        decode(line[: data.draw(st.integers(0, len(line) - 2))])


@pytest.mark.parametrize(
    "change", [{"v": VERSION + 1}, {"kind": "song"}, {"kind": []}, {"colour": 1}, {"kind": "failed"}]
)
def test_a_line_that_says_something_else(change: dict[str, Any]) -> None:
    line = json.loads(encode(Phase("compile"), 0))
    with pytest.raises(MalformedReport):
        decode(json.dumps({**line, **change}).encode())


@pytest.mark.parametrize("line", [{"v": VERSION + 1, "kind": "song"}, {"v": VERSION + 1}, {"v": "2.0", "kind": "done"}])
def test_a_newer_line_is_told_and_not_guessed(line: dict[str, Any]) -> None:
    with pytest.raises(MalformedReport, match=rf"^version {line['v']}, this reader knows {VERSION}: "):
        decode(json.dumps(line).encode())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_never_stand_in_a_report(value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        encode(Metric(1, 1, 1, {"loss": value}), 0)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reports=st.lists(REPORTS, max_size=6), data=st.data())
def test_a_reader_that_comes_at_any_moment_sees_whole_lines_once(
    reports: list[Report], data: st.DataObject, tmp_path: Path
) -> None:
    path = tmp_path / "rank_0.jsonl"
    content = b"".join(encode(report, 0) for report in reports)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=4)))
    seen: list[Report] = []
    offset = 0
    for cut in [*cuts, len(content)]:
        path.write_bytes(content[:cut])
        limit = data.draw(st.integers(1, 400))
        while True:
            lines, following = read_lines(path, offset, limit)
            seen += [decode(line) for line in lines]
            assert following >= offset
            if following == offset:
                break
            offset = following
    assert seen == reports


def test_a_line_longer_than_the_reader_s_block(tmp_path: Path) -> None:
    path = tmp_path / "rank_0.jsonl"
    report = Failed("RanksFailed", "x" * 5000, 16, permanent=False)
    path.write_bytes(encode(report, 0) + encode(Done(), 0))
    lines, offset = read_lines(path, 0, limit=100)
    assert decode(lines[0]) == report
    assert read_lines(path, offset)[0] or len(lines) == 2


def test_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    assert read_lines(tmp_path / "none.jsonl", 0) == ([], 0)


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "rank_0.jsonl"
    writer = ReportWriter(path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: writer.write(Phase(f"{n}" * 500, n, 200)), range(200)))
    writer.close()
    lines, offset = read_lines(path, 0)
    assert sorted(report.done or 0 for report in map(decode, lines) if isinstance(report, Phase)) == list(range(200))
    assert offset == path.stat().st_size


def test_a_second_writer_appends(tmp_path: Path) -> None:
    path = tmp_path / "rank_0.jsonl"
    for _ in range(2):
        writer = ReportWriter(path)
        writer.write(Done())
        writer.close()
    assert len(read_lines(path, 0)[0]) == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a device that is always full")  # noqa: PTH110
def test_a_full_disk_is_told() -> None:
    writer = ReportWriter(Path("/dev/full"))
    with pytest.raises(OSError, match="No space left"):
        writer.write(Done())


@pytest.mark.parametrize("part", [1, 20])
def test_a_report_that_was_cut_does_not_spoil_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    path = tmp_path / "rank_0.jsonl"
    writer = ReportWriter(path)
    write = os.write
    room = [part]

    def nearly_full(fd: int, content: bytes) -> int:
        """As the kernel does it: what fits is written, and the next write fails."""
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, content[: room.pop()])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", nearly_full)
        with pytest.raises(OSError, match="No space left") as caught:
            writer.write(Phase("compile"))
    assert caught.value.errno == errno.ENOSPC
    writer.write(Done())

    cut, whole = read_lines(path, 0)[0]
    assert len(cut) == part
    assert decode(whole) == Done()


def test_a_report_that_is_written_in_pieces_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rank_0.jsonl"
    writer, write = ReportWriter(path), os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, content: write(fd, content[:7]))
        writer.write(Phase("compile"))
        writer.write(Done())

    assert [decode(line) for line in read_lines(path, 0)[0]] == [Phase("compile"), Done()]
