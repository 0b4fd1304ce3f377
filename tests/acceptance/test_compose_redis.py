"""The Redis of compose.yaml, started by its own command: it wants the password, and shows it to nobody."""

import os
import signal
import subprocess
from pathlib import Path

import redis

from erfnet_jobs.local.redis_server import find_redis_server
from tests.deployed import compose
from tests.services import eventually

PASSWORD = "from-the-environment"


def test_redis_wants_the_password_and_keeps_messages_on_disk(site_folder: Path) -> None:
    shell, option, script = compose()["services"]["redis"]["command"]
    # Compose replaces $$ by $. It listens where no other Redis does.
    socket = site_folder / "redis.sock"
    here = script.replace("$$", "$").replace("--appendonly yes", f"--appendonly yes --port 0 --unixsocket {socket}")
    path = f"{Path(find_redis_server()).parent}:{os.environ['PATH']}"
    environ = {"PATH": path, "REDIS_PASSWORD": PASSWORD}
    process = subprocess.Popen([shell, option, here], cwd=site_folder, env=environ, stdout=subprocess.DEVNULL)
    try:
        eventually(socket.exists, "Redis listens")
        assert _answer(socket, None) == "Authentication required."
        assert _answer(socket, PASSWORD) is True
        # It has taken the shell's place, so signals reach it, and no list of processes has the password.
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert b"redis-server" in command
        assert PASSWORD.encode() not in command
        assert list(site_folder.rglob("*.aof"))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert process.returncode == 0


def _answer(socket: Path, password: str | None) -> object:
    client = redis.Redis(unix_socket_path=str(socket), password=password, protocol=2)
    try:
        return client.ping()
    except redis.AuthenticationError as error:
        return str(error)
    finally:
        client.close()
