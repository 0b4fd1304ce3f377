"""What a worker tells systemd, on a real socket: ready, alive as long as its rounds end, what it does, stopping."""

import signal
import socket
import sqlite3
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from erfnet_jobs.launch.program import module_command
from erfnet_jobs.local.systemd import VARIABLES
from erfnet_jobs.states import JobState
from tests.metrics_page import free_port, read_page
from tests.services import NewSite, Site

DEADLINE = 60.0
# A worker that makes rounds says so each second.
SILENCE = 3.0


class Notified:
    """The manager's end: messages with the process that sent each."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def next(self, seconds: float = DEADLINE) -> tuple[int, dict[str, str]]:
        """The sender's process id, and what it says; TimeoutError where nothing comes."""
        self._socket.settimeout(seconds)
        text, ancillary, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(12))
        pid = next(struct.unpack("iii", data)[0] for _, kind, data in ancillary if kind == socket.SCM_CREDENTIALS)
        return pid, dict(line.split("=", 1) for line in text.decode().splitlines())

    def until(self, what: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """The first message that is it."""
        while True:
            _, told = self.next()
            if what(told):
                return told

    def until_silent(self, seconds: float) -> None:
        """Read what comes until nothing does for so long."""
        for _ in range(100):
            try:
                self.next(seconds)
            except TimeoutError:
                return
        pytest.fail(f"something came again and again within {seconds:g} s")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def notified(request: pytest.FixtureRequest, site_folder: Path) -> Iterator[Notified]:
    with closing(Notified(f"{request.param}{site_folder}/notify")) as made:
        yield made


IN_A_FOLDER = pytest.mark.parametrize("notified", [""], indirect=True, ids=["in a folder"])
ABSTRACT = pytest.mark.parametrize("notified", ["@erfnet-jobs"], indirect=True, ids=["abstract"])


@contextmanager
def locked(database_url: str) -> Iterator[None]:
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield


def become_service(site: Site, notified: Notified) -> None:
    """As a unit's ExecStart does: the process that systemd starts, and watches, is the command's."""
    site.environ.update(NOTIFY_SOCKET=notified.address, WATCHDOG_USEC="180000000")
    # What systemd sets is the id of the process that it starts.
    shell = ["sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh"]
    command = [*shell, *module_command("erfnet_jobs", "worker", "--devices", "2")]
    with (site.home / "worker.log").open("ab") as log:
        site.worker = subprocess.Popen(command, env=site.environ, stdout=log, stderr=log, cwd="/")


@ABSTRACT
def test_a_service_is_ready_and_alive_also_while_its_registry_is_away_and_says_that_it_stops(
    new_site: NewSite, sqlite_url: str, notified: Notified
) -> None:
    site = new_site(f"{sqlite_url}?timeout=1")
    go = site.folder / "go"
    site.script({"default": [["hello"], ["wait_for", str(go)], ["done"]]})
    become_service(site, notified)
    assert site.worker is not None

    pid, told = notified.next()
    assert (pid, told["STATUS"]) == (site.worker.pid, "looking at the devices")
    assert int(told["EXTEND_TIMEOUT_USEC"]) > 5 * 62e6
    assert notified.next() == (pid, {"READY": "1"})
    assert notified.next() == (pid, {"WATCHDOG": "1", "STATUS": "2 of 2 devices fit; no job here"})
    job = site.train()
    told = notified.until(lambda told: "job here" not in told.get("STATUS", "job here"))
    assert told["STATUS"] == f"2 of 2 devices fit; jobs here: {job}"
    notified.until(lambda told: "WATCHDOG" in told)
    site.until(job, JobState.RUNNING)
    for child in (*site.supervisors(), *site.ranks()):
        environ = Path(f"/proc/{child}/environ").read_bytes().decode()
        assert not [name for name in VARIABLES if f"{name}=" in environ]
    with locked(sqlite_url):
        notified.until(lambda told: "the registry does not answer" in told.get("STATUS", ""))
        notified.until(lambda told: "WATCHDOG" in told)
        notified.until(lambda told: "WATCHDOG" in told)
    site.worker.send_signal(signal.SIGTERM)
    notified.until(lambda told: told.get("STOPPING") == "1")
    assert site.stop_worker() == 0
    go.touch()
    site.until(job, JobState.SUCCEEDED)


@IN_A_FOLDER
def test_a_round_that_hangs_is_not_alive(new_site: NewSite, sqlite_url: str, notified: Notified) -> None:
    site = new_site(f"{sqlite_url}?timeout=600", metrics_port=free_port())
    become_service(site, notified)
    notified.until(lambda told: "WATCHDOG" in told)
    with locked(sqlite_url):
        notified.until_silent(SILENCE)
        # The page waits for no round.
        assert "erfnet_jobs_worker_rounds_total" in read_page(site.settings)
    notified.until(lambda told: "WATCHDOG" in told)
