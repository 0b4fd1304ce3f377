"""A program of MindSpore Lite as a child of this process: its output line by line, its end, and what that means.

It stays in this process' group, so that what ends the group ends it; and where this process alone gets SIGTERM, it is
ended first. Stdlib only.
"""

import logging
import os
import select
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from erfnet_jobs.errors import ErfnetJobsError, MissingDependency, RanksFailed, from_exit_code
from erfnet_jobs.lite.programs import LITE_HOME, REMEDY

# How many of its last lines an error tells.
LAST_LINES = 6
LINE_LENGTH = 300
# How long it may take to end by itself when it is told to; whoever ends a rank waits half a second.
GRACE = 0.3
BLOCK = 1 << 16
# What the dynamic linker ends a program with whose libraries it does not find.
NOT_LOADED = 127

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ending:
    """How a program ended: its exit code, or minus the signal, and the last lines of its standard error."""

    name: str
    code: int
    last: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """Its last lines, for an error."""
        return f"its last lines: {'; '.join(self.last)}" if self.last else "it said nothing"

    def error(self, what: str) -> ErfnetJobsError:
        """What a code other than 0 means; `what` is what could not be done."""
        if self.code < 0:
            return RanksFailed(f"{what}: {self.name} was ended by {_signal_name(-self.code)}; {self.told}")
        if self.code == NOT_LOADED:
            lost = (
                f"{self.name} does not start, as where MindSpore Lite's folder has moved since it was built: say "
                f"'make infer310' again, or set {LITE_HOME} to where it is now"
            )
            return MissingDependency(f"{what}: {lost}; {self.told}")
        return from_exit_code(self.code)(f"{what}: {self.name} ended with exit code {self.code}; {self.told}")


def run_child(
    command: Sequence[str], environ: Mapping[str, str], take: Callable[[str], None], timeout: float | None = None
) -> Ending:
    """Run `command` to its end: each line of its standard output goes to `take`, its standard error to the log.

    It has ended when this returns or raises. Raises MissingDependency where it cannot be started, ErfnetJobsError after
    `timeout` seconds, and what `take` raises.
    """
    name = Path(command[0]).name
    last: deque[str] = deque(maxlen=LAST_LINES)

    def note(line: str) -> None:
        log.info("%s: %s", name, line)
        last.append(line[:LINE_LENGTH])

    deadline = None if timeout is None else time.monotonic() + timeout
    with _started(command, environ) as process, _ended_with_us(process):
        ended = _read(process, (_Lines(process.stdout, take), _Lines(process.stderr, note)), deadline)
    if not ended:
        raise ErfnetJobsError(f"{name} had not ended after {timeout:g} s and was stopped: {'; '.join(last)}")
    return Ending(name, process.returncode, tuple(last))


def _read(process: "subprocess.Popen[bytes]", outputs: Sequence["_Lines"], deadline: float | None) -> bool:
    """Take its lines until it has ended; False where that is not before `deadline`.

    Children of its own may hold its pipes for longer, and are not waited for.
    """
    pidfd = os.pidfd_open(process.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(pidfd, selectors.EVENT_READ)
            for output in outputs:
                selector.register(output.stream, selectors.EVENT_READ, output)
            ended = False
            while not ended:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                ready = [key for key, _ in selector.select(left)]
                ended = any(key.data is None for key in ready)
                for key in ready:
                    if key.data is not None and not key.data.read():
                        selector.unregister(key.fileobj)
    finally:
        os.close(pidfd)
    for output in outputs:
        output.finish()
    return True


class _Lines:
    """Takes the lines of a pipe as they come; empty ones are left out."""

    def __init__(self, stream: IO[bytes] | None, take: Callable[[str], None]) -> None:
        assert stream is not None  # noqa: S101 - it was asked for
        self.stream, self._take, self._rest = stream, take, b""
        os.set_blocking(stream.fileno(), False)

    def read(self) -> bool:
        """What is there; False at the end of the pipe."""
        try:
            block = os.read(self.stream.fileno(), BLOCK)
        except BlockingIOError:
            return True
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            self._tell(line)
        return bool(block)

    def finish(self) -> None:
        """All that is there, and a last line that has no end."""
        while select.select([self.stream], [], [], 0)[0] and self.read():
            pass
        self._tell(self._rest)

    def _tell(self, line: bytes) -> None:
        if text := line.decode(errors="replace").strip():
            self._take(text)


@contextmanager
def _started(command: Sequence[str], environ: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    log.info("starting %s", " ".join(command))
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(environ)
        )
    except OSError as error:
        raise MissingDependency(f"{command[0]} cannot be run ({error.strerror}): {REMEDY}") from error
    try:
        yield process
    finally:
        _end(process)
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it if it has not ended: it may tidy up, but not for long."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _ended_with_us(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Let SIGTERM end it before this process, which then ends by it as it would have."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module calls it so
        _end(process)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"{name} (out of memory? see 'dmesg')" if number == signal.SIGKILL else name
