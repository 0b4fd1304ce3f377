"""What is told to systemd, when, and what is not passed on."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from erfnet_jobs.local.systemd import Systemd, without_systemd


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def environment(folder: Path, pid: int | None = None) -> dict[str, str]:
    told = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "180000000", "PATH": "/bin"}
    return told if pid is None else {**told, "WATCHDOG_PID": str(pid)}


def heard(manager: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(manager.recv(4096).decode())
        except BlockingIOError:
            return found


def test_it_is_told_once_a_second_and_its_status_where_it_has_changed(tmp_path: Path, manager: socket.socket) -> None:
    clock = [0.0]
    systemd = Systemd(environment(tmp_path, os.getpid()), lambda: clock[0])
    for at, status in ((0.0, "a"), (0.5, "a"), (0.6, "b"), (1.1, "b")):
        clock[0] = at
        systemd.alive(status)
    assert heard(manager) == ["WATCHDOG=1\nSTATUS=a", "STATUS=b", "WATCHDOG=1"]


def test_the_watchdog_of_another_process_is_not_fed(tmp_path: Path, manager: socket.socket) -> None:
    systemd = Systemd(environment(tmp_path, os.getppid()))
    systemd.alive("works")
    systemd.ready()
    assert heard(manager) == ["STATUS=works", "READY=1"]


def test_what_it_starts_is_not_the_service(tmp_path: Path) -> None:
    environ = environment(tmp_path, 1)
    assert without_systemd(environ) == {"PATH": "/bin"}
    Systemd(environ)
    assert environ == {"PATH": "/bin"}


@pytest.mark.parametrize("address", ["", "vsock:2:9999"])
def test_without_a_socket_nobody_is_told(address: str, caplog: pytest.LogCaptureFixture) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": address})
    systemd.ready()
    systemd.alive("works")
    assert not caplog.text


def test_a_manager_that_is_gone_holds_nobody_and_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    systemd = Systemd(environment(tmp_path))
    systemd.ready()
    systemd.stopping()
    assert caplog.text.count("systemd cannot be told how this worker is") == 1
