"""`submit train --rank-table`: checked before anything is written."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from erfnet_jobs.ascend.rank_table import RankTable, Server, TableDevice, to_text
from erfnet_jobs.errors import BadData, UsageError
from erfnet_jobs.registry.jobs import get_job
from tests.cli_calls import Called, Shell, redis_of
from tests.layout import empty_dataset


@pytest.fixture
def shell(site_folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    made = Shell(site_folder / "home", capsys)
    with redis_of(made.settings):
        made.add_host(devices=3)
        empty_dataset(site_folder / "data")
        yield made


def written(shell: Shell, *places: tuple[int, int], server: str = "127.0.0.1") -> Path:
    """A table of (slot, rank) on one server."""
    path = shell.home / "table.json"
    devices = tuple(TableDevice(slot, f"10.5.0.{slot + 1}", rank) for slot, rank in places)
    path.write_text(to_text(RankTable((Server(server, devices),))))
    return path


def submit(shell: Shell, table: Path, *more: str) -> Called:
    return shell("submit", "train", "--data", shell.home.parent / "data", "--rank-table", table, *more)


def test_the_job_gets_the_devices_of_the_table(shell: Shell) -> None:
    table = written(shell, (2, 0), (0, 1))
    planned = submit(shell, table, "--dry-run")
    assert "train on 2 cards, devices 0,2 of h1" in planned.out
    assert shell.count_jobs() == 0

    called = submit(shell, table, "--then", "export", "--json")

    assert called.code == 0, called.err
    training, *others = called.json
    assert training["cards"] == 2
    with shell.registry() as registry, registry.read() as session:
        assert json.loads(get_job(session, training["id"]).pinned or "") == [["h1", [0, 2]]]
        assert get_job(session, training["id"]).rank_table == table.read_text()
        # What follows it may run anywhere.
        assert [(get_job(session, job["id"]).pinned, get_job(session, job["id"]).rank_table) for job in others] == [
            (None, None)
        ] * len(others)


@pytest.mark.parametrize(
    ("places", "server", "more", "error", "words"),
    [
        (((0, 0), (7, 1)), "127.0.0.1", (), BadData, "device_id 7"),
        (((0, 0), (1, 1)), "127.0.0.9", (), BadData, "no registered host has the address"),
        (((0, 0), (1, 2)), "127.0.0.1", (), BadData, "there is no 1"),
        (((0, 0), (1, 1)), "127.0.0.1", ("--cards", "3"), UsageError, "leave --cards out"),
        (((0, 0), (1, 1)), "127.0.0.1", ("--devices", "0"), UsageError, "leave --devices and --host out"),
        (((0, 0), (1, 1)), "127.0.0.1", ("--devices", "0,1"), UsageError, "leave --devices and --host out"),
        (((0, 0), (1, 1)), "127.0.0.1", ("--host", "h1"), UsageError, "leave --devices and --host out"),
    ],
)
def test_a_table_that_cannot_be_meant_writes_nothing(
    shell: Shell,
    places: tuple[tuple[int, int], ...],
    server: str,
    more: tuple[str, ...],
    error: type[BadData | UsageError],
    words: str,
) -> None:
    called = submit(shell, written(shell, *places, server=server), *more)
    assert called.code == error.exit_code, called.err
    assert words in called.err
    assert shell.count_jobs() == 0


@pytest.mark.parametrize("content", [b"", b"\xff", b"{}", b'{"version": "1.2"}', b"[" * 9000])
def test_a_file_that_is_no_table_writes_nothing(shell: Shell, content: bytes) -> None:
    path = shell.home / "table.json"
    path.write_bytes(content)
    called = submit(shell, path)
    assert called.code == BadData.exit_code
    assert f"rank table {path} has faults" in called.err
    assert submit(shell, shell.home / "none.json").code == BadData.exit_code
    assert shell.count_jobs() == 0
