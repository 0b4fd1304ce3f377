"""Calling npu-smi and hccn_tool: one call at a time on the host, never for longer than allowed. Stdlib only.

npu-smi must not be called by two at once. The lock is flock(2) on the tool's own file: every user who may run it can
open it, each worker, command and container with the same tool meets there, and nothing is left when a holder dies.
"""

import fcntl
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from erfnet_jobs.ascend.tool_failures import exit_text, is_unsupported, known_failure
from erfnet_jobs.settings import Settings

NPU_SMI = "npu-smi"
HCCN_TOOL = "hccn_tool"
# Where the driver's installer puts them, when they are not on PATH.
PLACES = tuple(map(Path, ("/usr/local/Ascend/driver/tools", "/usr/local/sbin", "/usr/local/bin")))
OUTPUT_LIMIT = 4 * 2**20
LOCK_POLL = 0.02
KILL_SECONDS = 2.0


class ToolFailed(Exception):
    """A call gave nothing to read: `call` is what was asked, `reason` what is wrong and what to do, for people.

    `hung`: it took too long, and the next call would too. `unsupported`: the tool or the device has no such question.
    """

    def __init__(self, call: str, reason: str, hung: bool = False, unsupported: bool = False) -> None:
        super().__init__(f"{call}: {reason}")
        self.call = call
        self.reason = reason
        self.hung = hung
        self.unsupported = unsupported


@dataclass(frozen=True)
class Tool:
    """A tool of the host that is there and may be run; `timeout` is in seconds."""

    name: str
    path: Path
    timeout: float

    def __call__(self, *arguments: str) -> str:
        """What it prints on stdout. Raises ToolFailed, also where it ends well but says that it failed."""
        said = " ".join([self.name, *arguments])
        with _turn(self.path, said, self.timeout):
            code, output, errors = _run([str(self.path), *arguments], said, self.timeout)
        text = f"{output}\n{errors}"
        # What a call that ends well writes on stderr is noise.
        if failure := known_failure(text if code else output):
            raise ToolFailed(said, failure)
        if code != 0:
            raise ToolFailed(said, exit_text(code, text), unsupported=is_unsupported(text))
        return output


def find_tool(name: str, given: str | None, timeout: float, places: Sequence[Path] = PLACES) -> Tool:
    """The tool named by the settings, else found on PATH or where the driver puts it. Raises ToolFailed."""
    variable = f"ERFNET_JOBS_{name.replace('-', '_').upper()}"
    found = shutil.which(given or name)
    if found is None and not given:
        found = next((str(path) for path in _in(places, name)), None)
    if found is None and given:
        raise ToolFailed(name, f"{given} is no program that this user may run; correct {variable}")
    if found is None:
        raise ToolFailed(
            name,
            f"not found on PATH or in {', '.join(map(str, places))}; "
            f"install the Ascend driver, or say with {variable} where it is",
        )
    return Tool(name, Path(found).absolute(), timeout)


def _in(places: Sequence[Path], name: str) -> Iterator[Path]:
    return (place / name for place in places if os.access(place / name, os.X_OK))


def npu_smi(settings: Settings) -> Tool:
    """npu-smi of this host. Raises ToolFailed."""
    return find_tool(NPU_SMI, settings.npu_smi, settings.tool_timeout)


def hccn_tool(settings: Settings) -> Tool:
    """hccn_tool of this host. Raises ToolFailed."""
    return find_tool(HCCN_TOOL, settings.hccn_tool, settings.tool_timeout)


@contextmanager
def _turn(path: Path, said: str, timeout: float) -> Iterator[None]:
    """Hold the tool's lock. A tool that may be run but not read cannot be locked, and is run without."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        yield
        return
    except OSError as error:
        raise ToolFailed(said, f"{path} cannot be opened ({error.strerror})") from error
    try:
        _lock(descriptor, said, timeout)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, said: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise ToolFailed(
                    said, f"another process has been using it for {timeout:g} s; see which with 'ps aux'", hung=True
                ) from None
            time.sleep(LOCK_POLL)
        except OSError:  # a file system without flock, or one that wants write access for it
            return
        else:
            return


def _run(command: Sequence[str], said: str, timeout: float) -> tuple[int, str, str]:
    """Exit code and both outputs. They go to files, so that a child of a killed tool cannot keep a pipe open."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env={**os.environ, "LC_ALL": "C"},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise ToolFailed(said, f"{command[0]} cannot be run ({error.strerror}); look at the file") from error
        _bound_output(process.pid)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise ToolFailed(
                said,
                f"no answer within {timeout:g} s, and stopped; a device or its driver may hang: "
                "run it by hand, see 'dmesg', and restart the host if it stays",
                hung=True,
            ) from None
        return code, _text(output.fileno()), _text(errors.fileno())


def _bound_output(pid: int) -> None:
    """Let the kernel end a tool that writes without end."""
    try:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (OUTPUT_LIMIT, OUTPUT_LIMIT))
    except (ProcessLookupError, PermissionError):  # it has ended, or it runs as another user (set-user-ID)
        return


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End the tool and what it started. One that waits for a device in the kernel may stay; it is left to itself."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(KILL_SECONDS)
    except (ProcessLookupError, PermissionError, subprocess.TimeoutExpired):
        return


def _text(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, OUTPUT_LIMIT).decode(errors="replace")
