"""`logs`: from files and from the registry's ends, once and as they grow, over attempts."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from erfnet_jobs.cli.log_lines import follow_logs
from erfnet_jobs.client import Client
from erfnet_jobs.errors import NotFound, RegistryUnreachable
from erfnet_jobs.jobs import Part
from erfnet_jobs.registry.attempts import assign, claim, end_part, report_running
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.tables import LogTail
from tests.cli_calls import Shell
from tests.registry_steps import SCHEDULER, WELL, failed, submit_gang
from workers.rank_files import TAIL_BYTES, log_end

Step = Callable[[], object]


class Ranks:
    """A gang of two on one host, whose logs grow and whose supervisor tells the registry of it."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self.registry, self.folder = registry, folder
        self.attempt = 0
        with registry.write() as session:
            self.job = submit_gang(session)

    def start(self) -> None:
        self.attempt += 1
        with self.registry.write() as session:
            assert assign(session, self.job, self.attempt - 1, [Part("h1", (0, 1), 0)], str(self.folder))
            assert claim(session, self.job, self.attempt, "h1", SCHEDULER)
            report_running(session, self.job, self.attempt, "h1")

    def path(self, rank: int) -> Path:
        return self.folder / f"{self.attempt}-{rank}.log"

    def write(self, rank: int, text: bytes, told: bool = True) -> None:
        with self.path(rank).open("ab") as file:
            file.write(text)
        if told:
            self.tell(rank)

    def tell(self, rank: int) -> None:
        end = log_end(self.path(rank))
        with self.registry.write() as session:
            row = LogTail(job_id=self.job, attempt=self.attempt, rank=rank, host_name="h1", path=str(self.path(rank)))
            row.text, row.log_bytes, row.report_bytes = end.text, end.size, 0
            session.merge(row)

    def end(self, well: bool = True) -> None:
        with self.registry.write() as session:
            assert end_part(session, self.job, self.attempt, "h1", WELL if well else failed(), 0)

    def hide(self) -> None:
        """As for a client on another machine."""
        for path in self.folder.glob("*.log"):
            path.rename(path.with_suffix(".elsewhere"))


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    made = Shell(tmp_path / "home", capsys)
    made.home.mkdir()
    made.add_host()
    return made


@pytest.fixture
def ranks(shell: Shell, tmp_path: Path) -> Iterator[Ranks]:
    with shell.registry() as registry:
        yield Ranks(registry, tmp_path)


def follow(shell: Shell, ranks: Ranks, *steps: Step, **options: int | None) -> tuple[list[str], str]:
    """What following prints while these steps are taken, one after each look; the last one must end the job."""
    left = iter(steps)
    asked = {"rank": None, "attempt": None, "tail": None, **options}
    with Client(shell.settings) as client:
        follow_logs(client, ranks.job, **asked, wait=lambda _seconds: next(left)())
    assert next(left, None) is None, "it ended before its time"
    captured = shell.capsys.readouterr()
    return captured.out.splitlines(), captured.err


@pytest.mark.parametrize("elsewhere", [False, True])
def test_ranks_are_merged_line_by_line_over_attempts(shell: Shell, ranks: Ranks, elsewhere: bool) -> None:
    def write(rank: int, text: bytes) -> None:
        if elsewhere:
            path = ranks.path(rank)
            hidden = path.with_suffix(".elsewhere")
            if hidden.exists():
                hidden.rename(path)
        ranks.write(rank, text)
        if elsewhere:
            ranks.hide()

    euro = "3 €\n".encode()
    out, err = follow(
        shell,
        ranks,
        ranks.start,
        lambda: write(0, b"a\nb"),
        lambda: write(1, b"x\n"),
        lambda: write(0, b"b\n" + euro[:3]),
        lambda: write(0, euro[3:] + b"no end"),
        lambda: (ranks.end(well=False), None)[1],
        ranks.start,
        lambda: write(1, b"again\n"),
        ranks.end,
    )
    assert out == [
        "rank 0 | a",
        "rank 1 | x",
        "rank 0 | bb",
        "rank 0 | 3 €",
        "rank 0 | no end",
        "--- attempt 2 (after: failed: rank 0 failed) ---",
        "rank 1 | again",
    ]
    assert f"job {ranks.job} is queued: in the queue" in err
    assert "failure 1 of at most" in err
    assert err.endswith(f"job {ranks.job} train succeeded\n")


def test_a_tail_that_has_lost_its_beginning_says_so_once_and_where_the_whole_is(shell: Shell, ranks: Ranks) -> None:
    ranks.start()
    lines = b"".join(b"line %06d\n" % number for number in range(4000))
    ranks.write(0, lines)
    first = ranks.path(0)
    size = len(lines)

    def grow(more: bytes) -> None:
        first.with_suffix(".elsewhere").rename(first)
        ranks.write(0, more)
        ranks.hide()

    ranks.hide()
    big = b"".join(b"more %06d\n" % number for number in range(4000))
    out, _ = follow(shell, ranks, lambda: grow(b"one more\n"), lambda: grow(big), ranks.end)
    kept = -(-(size - TAIL_BYTES) // 12) * 12
    assert out[0] == f"rank 0 | [the first {kept} bytes are on h1 only, in {first}]"
    told = [line.removeprefix("rank 0 | ") for line in out]
    assert told[1] == f"line {kept // 12:06}"
    assert told.count("one more") == 1
    (gap,) = [line for line in told if line.endswith("bytes left out]")]
    assert told[-1] == "more 003999"
    assert told[told.index(gap) - 1] == "one more"
    assert len(set(told)) == len(told)


def test_the_last_lines_to_begin_with(shell: Shell, ranks: Ranks) -> None:
    ranks.start()
    ranks.write(0, b"".join(b"%d\n" % number for number in range(100)))
    ranks.write(1, b"only\n")
    assert shell("logs", ranks.job, "--tail", 2, "--rank", 0).out == "98\n99\n"
    out, _ = follow(shell, ranks, lambda: ranks.write(0, b"100\n"), ranks.end, tail=2)
    assert out == ["rank 0 | 98", "rank 0 | 99", "rank 1 | only", "rank 0 | 100"]
    ranks.hide()
    assert shell("logs", ranks.job, "--tail", 2, "--rank", 0).out == "99\n100\n"
    assert shell("logs", ranks.job, "--tail", 0, "--rank", 0).out == ""


def test_one_rank_and_one_attempt(shell: Shell, ranks: Ranks) -> None:
    ranks.start()
    ranks.write(0, b"first\n")
    ranks.write(1, b"other\n")
    ranks.end(well=False)
    ranks.start()
    ranks.write(0, b"second\n")
    assert follow(shell, ranks, rank=0, attempt=1)[0] == ["first"]
    assert shell("logs", ranks.job, "--attempt", 1, "--rank", 1).out == "other\n"
    printed = shell("logs", ranks.job, "--attempt", 1).out.splitlines()
    assert [line for line in printed if not line.startswith("==>")] == ["first", "other"]
    assert shell("logs", ranks.job, "--attempt", 3, "--follow").code == NotFound.exit_code


def test_another_file_of_the_same_name_is_not_taken_for_the_log(shell: Shell, ranks: Ranks) -> None:
    ranks.start()
    ranks.write(0, b"mine\n")
    ranks.path(0).write_bytes(b"another job's\n")
    assert shell("logs", ranks.job).out == "mine\n"


def test_a_file_that_goes_is_read_on_in_the_registry(shell: Shell, ranks: Ranks) -> None:
    ranks.start()
    ranks.write(0, b"a\n")

    def grow_and_go() -> None:
        ranks.write(0, b"b\nno end")
        ranks.hide()

    assert follow(shell, ranks, grow_and_go, ranks.end)[0] == ["rank 0 | a", "rank 0 | b", "rank 0 | no end"]


def test_bytes_that_are_no_text_do_not_move_what_follows(shell: Shell, ranks: Ranks) -> None:
    ranks.start()
    ranks.write(0, b"a \xff\0\n")
    ranks.hide()

    def grow() -> None:
        ranks.path(0).with_suffix(".elsewhere").rename(ranks.path(0))
        ranks.write(0, b"b\n")
        ranks.hide()

    assert follow(shell, ranks, grow, ranks.end)[0] == ["rank 0 | a ??", "rank 0 | b"]


def test_a_registry_that_is_away_for_a_while_ends_nothing(
    shell: Shell, ranks: Ranks, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks.start()
    ranks.write(0, b"before\n")
    asked = Client.job

    def away() -> None:
        def job(_client: Client, _job: int) -> dict[str, object]:
            raise RegistryUnreachable("the registry does not answer")

        monkeypatch.setattr(Client, "job", job)
        ranks.write(0, b"meanwhile\n")

    out, err = follow(
        shell, ranks, away, lambda: None, lambda: (monkeypatch.setattr(Client, "job", asked), ranks.end())[1]
    )
    assert out == ["rank 0 | before", "rank 0 | meanwhile"]
    assert err.count("waiting for it") == 1


def test_one_document_is_not_followed(shell: Shell, ranks: Ranks) -> None:
    called = shell("logs", ranks.job, "--json", "--follow")
    assert called.code == 2
    assert "leave out --follow" in called.err
