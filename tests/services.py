"""Real Redis and real workers for the tests, with scripted ranks; nothing of them outlives a test."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.broker import Broker, host_queue
from erfnet_jobs.errors import MissingDependency
from erfnet_jobs.jobs import Request
from erfnet_jobs.launch.processes import living
from erfnet_jobs.launch.program import RANK_MODULE, SCRIPTED, module_command, with_this_package
from erfnet_jobs.launch.scripted_rank import SCRIPT
from erfnet_jobs.local.redis_server import find_redis_server
from erfnet_jobs.registry.cancel import request_cancel
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.events import Actor
from erfnet_jobs.registry.jobs import get_job, submit_job
from erfnet_jobs.registry.tables import Attempt, Host, Job, Lease, Placement
from erfnet_jobs.settings import load_settings
from erfnet_jobs.states import TERMINAL, JobState
from erfnet_jobs.train_spec import TrainSpec
from tests.layout import empty_dataset

ACTOR = Actor("alice", "shell")
DEADLINE = 60.0
LEAVE_SECONDS = 15.0
Script = dict[str, list[list[Any]]]


def eventually(condition: Callable[[], object], what: str, deadline: float = DEADLINE) -> None:
    """Poll until the condition holds; fail after a generous deadline."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"never came true: {what}"
        time.sleep(0.03)


class RedisServer:
    """A Redis on a Unix socket in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"redis+socket://{self.socket}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it empty, and wait until it listens."""
        options = ["--port", "0", "--unixsocket", str(self.socket), "--save", "", "--dir", str(self._folder)]
        self._process = subprocess.Popen([find_redis_server(), *options], stdout=subprocess.DEVNULL)
        eventually(self._answers, "Redis answers")

    def _answers(self) -> bool:
        import redis

        try:
            return bool(redis.Redis(unix_socket_path=str(self.socket)).ping())
        except redis.RedisError:
            return False

    def client(self) -> Any:
        """A plain connection."""
        import redis

        return redis.Redis(unix_socket_path=str(self.socket))

    def until_read(self, host: str) -> None:
        """Put a message for a host, and wait until its worker has taken it."""
        with closing(Broker(self.url)) as broker:
            broker.wake_start(1, 1, host)
        with closing(self.client()) as client:
            eventually(lambda: not client.llen(host_queue(host)), f"the worker of {host} reads its queue")

    def kill(self) -> None:
        """SIGKILL, also when it is stopped."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.socket.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def _redis_server() -> Iterator[RedisServer]:
    try:
        find_redis_server()
    except MissingDependency as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    with tempfile.TemporaryDirectory(prefix="ej-redis-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        yield server
        server.kill()


@pytest.fixture
def redis_server(_redis_server: RedisServer) -> RedisServer:
    """One Redis for the session, empty at the beginning of each test."""
    _redis_server.client().flushall()
    return _redis_server


@pytest.fixture
def own_redis(_redis_server: RedisServer) -> Iterator[RedisServer]:
    """A Redis that a test may kill; not started."""
    with tempfile.TemporaryDirectory(prefix="ej-redis-") as folder:
        server = RedisServer(Path(folder))
        yield server
        server.kill()


class Site:
    """A host: its home, its worker, and the registry that it shares. Devices are CPU slots, ranks are scripted."""

    def __init__(
        self, folder: Path, database_url: str, broker_url: str, host: str = "here", **settings: object
    ) -> None:
        self.folder = folder
        self.home = folder / host
        self.home.mkdir()
        self.script_path = folder / "script.json"
        self.data = folder / "data"
        empty_dataset(self.data)
        if not self.script_path.exists():
            self.script({})
        values = {
            "home": self.home,
            "runs": folder / "runs",
            "host_name": host,
            "host_address": "127.0.0.1",
            "database_url": database_url,
            "broker_url": broker_url,
            "beat_interval": 0.3,
            "lease_timeout": 8,
            "start_timeout": 60,
            "retry_delay": 0.1,
            **settings,
        }
        own = {f"ERFNET_JOBS_{name.upper()}": str(value) for name, value in values.items()}
        self.environ = {**with_this_package(os.environ), **own, RANK_MODULE: SCRIPTED, SCRIPT: str(self.script_path)}
        self.settings = load_settings(environ=self.environ)
        self.registry = Registry(database_url)
        self.worker: subprocess.Popen[bytes] | None = None

    def script(self, script: Script) -> None:
        """What ranks do from now on."""
        self.script_path.write_text(json.dumps(script))

    @property
    def log(self) -> str:
        return (self.home / "worker.log").read_text()

    def spawn_worker(self, devices: int | None = 2, wrapper: tuple[str, ...] = ()) -> "subprocess.Popen[bytes]":
        """Start a worker's process, by a command that execs it, and do not wait for anything; None: what is found."""
        slots = [] if devices is None else ["--devices", str(devices)]
        with (self.home / "worker.log").open("ab") as log:
            return subprocess.Popen(
                [*wrapper, *module_command("workers", *slots)],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
            )

    def start_worker(self, devices: int | None = 2, wrapper: tuple[str, ...] = ()) -> None:
        """Start the worker, and wait until it has registered its host."""
        before = self._instance()
        self.worker = worker = self.spawn_worker(devices, wrapper)
        eventually(lambda: worker.poll() is not None or self._instance() != before, "the worker registers its host")
        assert worker.poll() is None, self.log

    def _instance(self) -> str | None:
        with self.registry.read() as session:
            host = session.get(Host, self.settings.host_name)
            return host.instance if host else None

    def stop_worker(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit code."""
        assert self.worker is not None
        self.worker.send_signal(number)
        code = self.worker.wait(DEADLINE)
        self.worker = None
        return code

    def train(self, cards: int = 1, **request: Any) -> int:
        """Submit a training without waking anybody; its id."""
        spec = TrainSpec(str(self.data), cards=cards, epochs=(1, 1, 1, 1))
        return self.submit(Request(spec, **request))

    def submit(self, request: Request) -> int:
        with self.registry.write() as session:
            return submit_job(session, request, ACTOR).id

    def cancel(self, job: int) -> None:
        with self.registry.write() as session:
            request_cancel(session, job, ACTOR)

    def job(self, job: int) -> Job:
        with self.registry.read() as session:
            found = get_job(session, job)
            session.expunge(found)
            return found

    def attempts(self, job: int) -> list[Attempt]:
        with self.registry.read() as session:
            rows = list(session.scalars(select(Attempt).where(Attempt.job_id == job).order_by(Attempt.number)))
            session.expunge_all()
            return rows

    def ask(self, question: Callable[[Session], Any]) -> Any:
        """The answer of a question to the registry."""
        with self.registry.read() as session:
            return question(session)

    def until(self, job: int, *states: JobState) -> Job:
        """Wait until the job is in one of the states; a job that ended otherwise fails at once."""

        def reached() -> bool:
            found = self.job(job)
            assert found.state in states or found.state not in TERMINAL, f"job {job} is {found.state}: {found.reason}"
            return found.state in states

        eventually(reached, f"job {job} is {' or '.join(states)}")
        return self.job(job)

    def supervisors(self) -> list[int]:
        """The living supervisors of this host."""
        return [pid for pid in self.processes() if b"workers.supervisor" in _read(pid, "cmdline")]

    def ranks(self) -> list[int]:
        """The living ranks of this host."""
        module = self.environ[RANK_MODULE].encode()
        return [pid for pid in self.processes() if module in _read(pid, "cmdline").split(b"\0")]

    def rank(self, number: int) -> int:
        """The process of one rank of a gang on this host."""
        mark = f"RANK_ID={number}".encode()
        (found,) = [pid for pid in self.ranks() if mark in _read(pid, "environ").split(b"\0")]
        return found

    def processes(self) -> list[int]:
        """All living processes that were started with this home."""
        mark = f"ERFNET_JOBS_HOME={self.home}".encode()
        return [process.pid for process in living() if mark in _read(process.pid, "environ").split(b"\0")]

    def idle(self) -> bool:
        """Whether no device is held, no lease stands, and no process but the worker is left."""
        with self.registry.read() as session:
            held = session.scalars(select(Placement).where(Placement.state != "ended")).all()
            leases = session.scalars(select(Lease)).all()
        own = {self.worker.pid} if self.worker else set()
        return not held and not leases and set(self.processes()) <= own

    def end(self) -> list[int]:
        """Stop the worker; end and give what else is left."""
        if self.worker is not None:
            self.stop_worker()
        # A supervisor that has ended its part may still be telling the workers.
        end = time.monotonic() + LEAVE_SECONDS
        while (left := self.processes()) and time.monotonic() < end:
            time.sleep(0.03)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        self.registry.close()
        return left


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


@pytest.fixture
def site_folder() -> Iterator[Path]:
    """A folder with a short name, for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="ej-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


NewSite = Callable[..., Site]


@pytest.fixture
def new_site(site_folder: Path, redis_server: RedisServer) -> Iterator[NewSite]:
    """Makes hosts; at the end none of their processes may be left."""
    sites: list[Site] = []

    def make(database_url: str, host: str = "here", broker_url: str | None = None, **settings: object) -> Site:
        site = Site(site_folder, database_url, broker_url or redis_server.url, host, **settings)
        sites.append(site)
        return site

    yield make
    left = {site.settings.host_name: pids for site in sites if (pids := site.end())}
    assert not left, f"processes were left: {left}"


@pytest.fixture
def site(new_site: NewSite, sqlite_url: str) -> Site:
    """A host of its own with a SQLite registry, whose worker runs and has two devices."""
    made = new_site(sqlite_url)
    made.start_worker()
    return made
