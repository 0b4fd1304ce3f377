"""A real systemd as process 1 of namespaces of its own, over an overlay of this machine. See tests/systemd_boot.

It needs root, namespaces, overlayfs and a cgroup v2, which a container for CI may lack: then tests skip, also with CI
set, and `deploy/check` and tests/unit/test_deploy_files.py are what holds the units.
"""

import os
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services import eventually

BOOT = Path(__file__).with_name("systemd_boot")
SYSTEMD = Path("/lib/systemd/systemd")


def _cgroups() -> Path | None:
    """Where the cgroup v2 hierarchy is mounted."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return next((Path(words[1]) for words in mounts if words[2] == "cgroup2"), None)


class Sandbox:
    """What runs in there, and the folder that both sides see."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self.shared = folder / "shared"
        self.log = folder / "log"
        self._process = process

    @property
    def pid(self) -> int | None:
        """Process 1 in there, by its number out here."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        found = children.read_text().split() if children.exists() else []
        return int(found[0]) if found else None

    def run(self, *command: str, check: bool = True, user: str | None = None, **environ: str) -> str:
        """Run a command in there; what it prints."""
        names = ("mount", "pid", "uts", "ipc", "cgroup")
        enter = ["nsenter", f"--target={self.pid}", *(f"--{name}" for name in names), "--root", "--wd"]
        become = ["runuser", "-u", user, "--"] if user else []
        base = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        done = subprocess.run(
            [*enter, *become, *command], env={**base, **environ}, capture_output=True, text=True, check=False, cwd="/"
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return (done.stdout + ("" if check else done.stderr)).strip()

    def systemctl(self, *words: str, check: bool = True) -> str:
        try:
            return self.run("systemctl", "--no-pager", *words, check=check)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.journal()}") from None

    def journal(self) -> str:
        """What services have said."""
        return self.run("journalctl", "--no-pager", "--output=cat", "--lines=60")

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.systemctl("show", "--value", f"--property={name}", unit)

    def is_booted(self) -> bool:
        assert self._process.poll() is None, self.log.read_text()
        return self.pid is not None and self.systemctl("is-system-running", check=False) in ("running", "degraded")


def _lacking() -> str | None:
    if not SYSTEMD.exists():
        return "systemd is not installed"
    if os.geteuid() != 0:
        return "not root"
    if _cgroups() is None:
        return "no cgroup v2 is mounted"
    namespaces = ("--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork")
    tried = subprocess.run(
        ["/usr/bin/unshare", *namespaces, "mount", "-t", "tmpfs", "none", "/run"],
        capture_output=True,
        text=True,
        check=False,
    )
    return tried.stderr.strip() or None


@contextmanager
def systemd_sandbox(readable: tuple[Path, ...]) -> Iterator[Sandbox]:
    """A booted systemd with none of this machine's services; all in it can read the folders that are named."""
    if reason := _lacking():
        pytest.skip(f"no systemd can be tried here: {reason}")
    cgroups = _cgroups()
    assert cgroups is not None
    group = cgroups / f"erfnet-jobs-test-{uuid.uuid4().hex}"
    group.mkdir()
    with tempfile.TemporaryDirectory(prefix="ej-systemd-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("shared", "layers", "root"):
            (folder / part).mkdir()
        command = [str(BOOT), str(folder), str(group), *map(str, readable)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        sandbox = Sandbox(folder, process)
        try:
            eventually(sandbox.is_booted, "systemd is up")
            yield sandbox
        finally:
            process.kill()
            process.wait()
            _remove(group)


def _remove(group: Path) -> None:
    """Remove a cgroup and those below, once their processes have ended."""

    def is_gone() -> bool:
        for path in [*sorted(group.rglob("*/"), reverse=True), group]:
            try:
                path.rmdir()
            except FileNotFoundError:
                continue
            except OSError:  # EBUSY: a process is still ending
                return False
        return True

    eventually(is_gone, f"nothing runs in {group}")
