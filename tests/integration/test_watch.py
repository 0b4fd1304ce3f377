"""`status --watch` on a registry in a telling state: the view at several sizes, lines for pipes, and its end."""

import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from fcntl import ioctl
from itertools import islice
from pathlib import Path

import pytest
from sqlalchemy import Engine

from erfnet_jobs.cli.watch.changes import Changes
from erfnet_jobs.cli.watch.look import Look, looks
from erfnet_jobs.cli.watch.view import view_lines
from erfnet_jobs.client import Client
from erfnet_jobs.registry.attempts import end_part
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.hosts import set_drained
from erfnet_jobs.registry.migrate import upgrade
from erfnet_jobs.settings import Settings, load_settings
from tests.cli_calls import Shell
from tests.documents import check_document
from tests.statements import recorded
from tests.telling_registry import DONE, add_host, fill, set_progress

LEAVES_SCREEN, SHOWS_CURSOR = b"\x1b[?1049l", b"\x1b[?25h"
SIZES = [(80, 24), (200, 50), (80, 10), (40, 12), (80, 4)]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = load_settings({"home": tmp_path}, {})
    upgrade(found.resolved_database_url)
    return found


@pytest.fixture
def registry(settings: Settings) -> Iterator[Registry]:
    with Registry(settings.resolved_database_url) as opened:
        fill(opened, Path("/runs"))
        yield opened


@pytest.fixture
def client(settings: Settings, registry: Registry) -> Iterator[Client]:
    with Client(settings) as opened:
        yield opened


def shown(client: Client, width: int, height: int, trouble: str | None = None) -> list[str]:
    return [line.plain.rstrip() for line in view_lines(client.overview(), width, height, 2.0, trouble)]


def test_a_cell_for_each_device_with_a_legend(client: Client) -> None:
    lines = shown(client, 80, 24)
    assert "HOSTS  3 job 3  . free  # cordoned  ! unhealthy  - host takes no jobs" in lines
    assert "edge-1  - - - - drained" in lines
    assert "npu-a   3 3 3 3 3 3 3 3" in lines
    assert "npu-b   4 4 4 4 5 5 6 ." in lines
    assert "npu-c   . . . . . . ! #" in lines
    assert lines[0].startswith("Jobs     4 running, 2 queued, 2 waiting  ")
    assert lines[1] == "Devices  15 busy, 7 free, 6 out of use; 28 devices on 4 hosts"


def test_a_fault_of_a_device_that_a_job_holds_stands_beside_the_job(client: Client) -> None:
    client.cordon("npu-a", [0], "smells of smoke")
    assert "npu-a   3#  3  3  3  3  3  3  3" in shown(client, 80, 24)


def test_why_jobs_wait_and_for_how_long(client: Client) -> None:
    text = "\n".join(shown(client, 200, 50))
    assert "1 of 8 free on npu-b; first free in about 40 min" in text
    assert "waits for job 3; that should end in about 40 min" in text
    assert "waits for job 4; that should end in about 9 h" in text
    assert "no space is left on /data" in text
    narrow = "\n".join(shown(client, 80, 24))
    assert "needs 8 free devices on one host: 1 of 8 fr…; first free in about 40 min" in narrow
    assert "… 3 more" in narrow


@pytest.mark.parametrize(
    "unknown", [{"phase": "build data 3 of 80"}, {"cancel_requested": True}, {"attempt": 2}, {"eta_seconds": None}]
)
def test_nothing_is_said_of_time_where_nobody_knows_it(
    client: Client, registry: Registry, unknown: dict[str, object]
) -> None:
    assert {job["id"]: job["wait_seconds"] for job in client.jobs()}[9] == 2400.0
    assert client.details(9)["wait_seconds"] == 2400.0
    with registry.write() as session:
        set_progress(session, 3, **unknown)
    assert {job["id"]: job["wait_seconds"] for job in client.jobs()}[9] != 2400.0


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_fits_the_screen(client: Client, width: int, height: int) -> None:
    for trouble in (None, "the registry sqlite:///x does not answer (no): is it up?"):
        lines = shown(client, width, height, trouble)
        assert len(lines) <= height
        assert max(map(len, lines)) <= width
        assert bool(trouble) == any("does not answer" in line for line in lines)


def test_many_hosts_are_readable_and_cost_no_more_questions(client: Client, registry: Registry) -> None:
    client.counts()
    with recorded(Engine) as few:
        client.overview()
    with registry.write() as session:
        for number in range(96):
            add_host(session, f"npu-{number:03}")
    with recorded(Engine) as many:
        client.overview()
    assert len(many) == len(few) <= 25
    lines = shown(client, 200, 50)
    assert not any("more hosts" in line for line in lines)
    assert sum(line.count(". . . . . . . .") for line in lines) == 96
    small = shown(client, 80, 24)
    assert any("more hosts" in line for line in small)
    assert any(line.startswith("RUNNING") for line in small)


def test_lines_tell_what_changed_and_nothing_twice(client: Client, registry: Registry) -> None:
    changes = Changes()

    def new() -> list[str]:
        return [change.text for change in changes.of(Look(client.overview(changes.going())))]

    first = new()
    assert "host edge-1 drained: - - - -" in first
    assert any(line.startswith("job 3 train running, stage 3 epoch 41/65") for line in first)
    assert any("first free in about 40 min" in line for line in first)
    assert not any("job 1 " in line or "job 2 " in line for line in first), "what had ended before is no news"
    assert new() == []

    with registry.write() as session:
        set_progress(session, 3, step=31, loss=0.4)
    assert new() == []
    with registry.write() as session:
        set_progress(session, 3, epoch=42)
        set_drained(session, "npu-c", True)
    job = "job 3 train running, stage 3 epoch 42/65 step 31/61, 71%, loss 0.400, 96.4 images/s, ETA 39m10s"
    assert new() == ["host npu-c drained: - - - - - - ! #", job]
    with registry.write() as session:
        end_part(session, 6, 1, "npu-b", DONE, 10)
    assert new() == ["job 6 eval succeeded"]


def test_every_change_of_a_document_is_a_line_of_json(client: Client, registry: Registry) -> None:
    changes = Changes(exact=True)
    first = [change.document for change in changes.of(Look(client.overview()))]
    assert [*first[0]] == ["host"]
    assert [one["job"]["id"] for one in first if "job" in one] == [3, 4, 5, 6, 9, 10, 7, 8, 2, 1]
    assert changes.of(Look(client.overview())) == []
    with registry.write() as session:
        set_progress(session, 3, step=31)
    (change,) = changes.of(Look(client.overview()))
    assert json.loads(json.dumps(change.document))["job"]["step"] == 31


def test_a_registry_that_is_away_is_told_and_the_view_goes_on(client: Client, settings: Settings) -> None:
    file = settings.home / "registry.sqlite"
    hidden = file.with_suffix(".away")
    steps = iter([(file.rename, hidden), (hidden.rename, file)])

    def wait(_seconds: float) -> None:
        client.registry.close()
        if file.is_dir():
            file.rmdir()
        rename, target = next(steps)
        rename(target)
        file.exists() or file.mkdir()

    before, away, after = islice(looks(client, 2.0, tuple, wait), 3)
    assert (before.trouble, after.trouble) == (None, None)
    assert away.trouble is not None
    assert away.overview == before.overview
    changes = Changes()
    told = [[change.text for change in changes.of(look)] for look in (before, away, away, after)]
    assert told[1][0].startswith("the registry does not answer; trying again: ")
    assert told[2:] == [[], ["the registry answers again"]]


def start(settings: Settings, terminal: int, **variables: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "erfnet_jobs", "--home", str(settings.home), "status", "-w", "--interval", "0.2"]
    environment = {**os.environ, "TERM": "xterm", **variables}
    return subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE, env=environment)


def read_until(terminal: int, words: bytes) -> bytes:
    seen = b""
    while words not in seen:
        seen += os.read(terminal, 65536)
    return seen


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_its_end_leaves_the_terminal_clean(settings: Settings, number: signal.Signals) -> None:
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = start(settings, theirs, NO_COLOR="1")
    os.close(theirs)
    drawn = read_until(ours, b"RUNNING")
    process.send_signal(number)
    end = read_until(ours, LEAVES_SCREEN)
    assert process.wait(30) == 130
    assert SHOWS_CURSOR in end
    assert b"\x1b[3" not in drawn, "no colours"
    os.close(ours)


@pytest.mark.usefixtures("registry")
def test_without_cursor_control_there_are_plain_lines(settings: Settings) -> None:
    ours, theirs = pty.openpty()
    process = start(settings, theirs, TERM="dumb")
    os.close(theirs)
    drawn = read_until(ours, b"job 8 export waiting")
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert b"\x1b" not in drawn
    os.close(ours)


@pytest.mark.usefixtures("registry")
def test_the_stream_is_as_its_schema_says(settings: Settings) -> None:
    command = [sys.executable, "-m", "erfnet_jobs", "--home", str(settings.home), "status", "--watch", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        documents = [json.loads(line) for line in islice(process.stdout, 14)]
        process.send_signal(signal.SIGINT)
    assert process.returncode == 130
    assert [next(key for key in document if key != "at") for document in documents] == ["host"] * 4 + ["job"] * 10
    for document in documents:
        check_document("status", document)


@pytest.mark.parametrize("trouble", ["it is away", None])
def test_how_the_registry_is_told_of_is_as_its_schema_says(client: Client, trouble: str | None) -> None:
    changes, overview = Changes(exact=True), client.overview()
    changes.of(Look(overview))
    if trouble is None:
        changes.of(Look(overview, "it is away"))
    (change,) = changes.of(Look(overview, trouble))
    check_document("status", {"at": overview["at"], **change.document})


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [(["--interval", 1], "is for --watch"), (["3", "-w"], "erfnet-jobs wait 3"), (["-w", "--all"], "leave --all")],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[object], remedy: str
) -> None:
    called = Shell(tmp_path, capsys)("status", *arguments)
    assert called.code == 2
    assert remedy in " ".join(called.err.split())
