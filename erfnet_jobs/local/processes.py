"""Processes of ours by id: known by their start time and command line, so that no other one is ever signalled."""

import json
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from erfnet_jobs.files import make_private_folder, open_private, write_atomically

# SIGKILL acts at once, unless the kernel waits for a device or a file server.
KILL_SECONDS = 10.0


@dataclass(frozen=True)
class Identity:
    """A process, told from a later one with the same id by `start`, its start in clock ticks since boot (proc(5))."""

    pid: int
    start: int


def _stat(pid: int) -> list[str]:
    """The fields of proc(5)'s `stat` from the state on; none where there is no process, or only its zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    fields = stat[stat.rindex(")") + 2 :].split()
    return [] if fields[0] in "ZX" else fields


def start_of(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None where there is none."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def parent_of(pid: int) -> int | None:
    """The process that started it, or took it over; None where there is none."""
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def command_of(pid: int) -> str:
    """The command line with spaces between its words; empty where there is no such process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def identify(pid: int, word: str) -> Identity | None:
    """The process if it runs, is this user's and has `word` in its command line."""
    start = start_of(pid)
    if start is None or word not in command_of(pid):
        return None
    try:
        return Identity(pid, start) if Path(f"/proc/{pid}").stat().st_uid == os.getuid() else None
    except FileNotFoundError:
        return None


def write_identity(path: Path, identity: Identity) -> None:
    """Keep it in a file, for another process to find."""
    write_atomically(path, json.dumps(asdict(identity)).encode())


def read_identity(path: Path, word: str) -> Identity | None:
    """The process that a file tells of, if it still runs, is the same one and has `word` in its command line."""
    try:
        kept = Identity(**json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return kept if identify(kept.pid, word) == kept else None


def start_daemon(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start a program in a session of its own, its output appended to `log`; raises OSError."""
    make_private_folder(log.parent)
    with open_private(log) as output:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environment),
            cwd="/",
            start_new_session=True,
        )


def stop(identity: Identity, patience: float) -> bool:
    """SIGTERM, and SIGKILL after `patience` seconds; returns once the process has ended. True if it obeyed SIGTERM."""
    if stop_within(identity, signal.SIGTERM, patience):
        return True
    stop_within(identity, signal.SIGKILL, KILL_SECONDS)
    return False


def stop_within(identity: Identity, number: signal.Signals, patience: float) -> bool:
    """Send one signal; whether the process has ended within `patience` seconds (at once where it is gone already).

    A process file descriptor holds on to the process, so the signal cannot reach a later one with the same id.
    """
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return True
    try:
        if start_of(identity.pid) != identity.start:
            return True
        signal.pidfd_send_signal(descriptor, number)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(patience * 1000))
    except ProcessLookupError:
        return True
    finally:
        os.close(descriptor)


def last_lines(path: Path, count: int, since: int = 0) -> str:
    """The last lines of a text file, from byte `since` on; empty where it is not there."""
    try:
        with path.open("rb") as file:
            file.seek(max(since, path.stat().st_size - 300 * count))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-count:])
