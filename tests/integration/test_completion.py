"""Completion in real shells, typed at a terminal; what is offered; and that completing loads click only."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from erfnet_jobs.cli.completing import LISTS, WORDS
from erfnet_jobs.cli.root import COMMANDS, root, run_command
from erfnet_jobs.launch.program import with_this_package
from tests.unit.test_cli_root import HEAVY

SHELLS = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"], "fish": ["--no-config", "-i"]}
DEADLINE = 60.0


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """With `erfnet-jobs` on PATH, from this checkout, and a home of its own."""
    program = tmp_path / "bin" / "erfnet-jobs"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m erfnet_jobs "$@"\n')
    program.chmod(0o755)
    own = {"PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "TERM": "dumb", "PS1": "$ "}
    return {**with_this_package(os.environ), **own}


def as_read(written: str) -> str:
    """What was written to a terminal, as it stands there: backspaces done, other control sequences left out."""
    text = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", written)
    while (shorter := re.sub(r"[^\x08]\x08", "", text)) != text:
        text = shorter
    return text


class Terminal:
    """A shell on a pseudo-terminal."""

    def __init__(self, command: list[str], environ: dict[str, str], folder: Path) -> None:
        self._fd, other = pty.openpty()
        self.seen = ""
        self._process = subprocess.Popen(
            command, stdin=other, stdout=other, stderr=other, env=environ, cwd=folder, start_new_session=True
        )
        os.close(other)

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def until(self, *patterns: str) -> None:
        """Wait until the shell has written something that each pattern matches."""
        end = time.monotonic() + DEADLINE
        while not all(re.search(pattern, as_read(self.seen)) for pattern in patterns):
            assert time.monotonic() < end, f"never seen: {patterns} in {self.seen!r}"
            if select.select([self._fd], [], [], 1)[0]:
                self.seen += os.read(self._fd, 65536).decode(errors="replace")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._fd)


def shell_program(name: str) -> str:
    found = shutil.which(name)
    if found is None and os.environ.get("CI"):
        pytest.fail(f"{name} is not installed")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
def terminal(request: pytest.FixtureRequest, environ: dict[str, str], tmp_path: Path) -> Iterator[Terminal]:
    name: str = request.param
    (tmp_path / "the_dataset").mkdir()
    script = subprocess.run(
        [tmp_path / "bin" / "erfnet-jobs", "completion", name], env=environ, capture_output=True, check=True
    ).stdout
    (tmp_path / "script").write_bytes(script)
    made = Terminal([shell_program(name), *SHELLS[name]], environ, tmp_path)
    if name == "zsh":
        made.type("autoload -Uz compinit && compinit -u -d ./dump\n")
    made.type("source ./script; echo is''ready\n")
    made.until("isready")
    yield made
    made.close()


@pytest.mark.parametrize("terminal", ["bash", "zsh"], indirect=True)
def test_a_typed_tab_completes(terminal: Terminal) -> None:
    terminal.type("erfnet-jobs ev\t--kin\tcord\t\n")
    terminal.until(r"erfnet-jobs events --kind cordoned")
    terminal.type("erfnet-jobs submit train --data the_\t --amp a\t --help\n")
    terminal.until(r"train --data the_dataset/? +--amp auto", "Usage: erfnet-jobs submit train")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("erfnet-jobs ev", ["events"]),
        ("erfnet-jobs db c", ["copy", "current"]),
        ("erfnet-jobs status --state wai", ["waiting"]),
        ("erfnet-jobs submit train --data the_", ["the_dataset/"]),
    ],
)
def test_fish_completes(line: str, offered: list[str], environ: dict[str, str], tmp_path: Path) -> None:
    fish = shell_program("fish")
    (tmp_path / "the_dataset").mkdir()
    ask = 'erfnet-jobs completion fish | source; complete -C "$argv[1]"'
    command = [fish, "--no-config", "-c", ask, line]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert sorted(found.split("\t")[0] for found in done.stdout.splitlines()) == offered, done


def offers(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is offered for the last word of a line, as bash asks."""
    words = line.split(" ")
    for name, value in {"ERFNET_JOBS_COMPLETE": "bash_complete"}.items():
        monkeypatch.setenv(f"_{name}", value)
    monkeypatch.setenv("COMP_WORDS", f"erfnet-jobs {line}")
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    capsys.readouterr()
    with pytest.raises(SystemExit):
        run_command([])
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("sub", ["plain,submit"]),
        ("--deb", ["plain,--debug"]),
        ("submit train --then export,inf", ["plain,export,infer"]),
        ("submit train --then infer,exp", ["plain,infer,export"]),
        ("best --metric mean_l", ["plain,mean_loss"]),
        ("plot 1 --metric loss,mean_iou_", ["plain,loss,mean_iou_19"]),
        ("checkpoints bundle 1 -o x", ["file,x"]),
        ("checkpoints verify x", ["file,x"]),
        ("import-weights x", ["file,x"]),
        ("db backup x", ["file,x"]),
        ("data check x", ["dir,x"]),
        ("completion z", ["plain,zsh"]),
        ("no-such-command --hel", ["plain,--help"]),
    ],
)
def test_what_is_offered(
    line: str, offered: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert offers(line, monkeypatch, capsys) == offered


def test_every_command_and_option_is_offered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(offers("", monkeypatch, capsys)) == {f"plain,{name}" for name in COMMANDS}
    known: set[str] = set()
    for name in COMMANDS:
        command = root.get_command(click.Context(root), name)
        assert command is not None
        below = command.commands if isinstance(command, click.Group) else {"": command}
        for each, leaf in below.items():
            found = offers(f"{name} {each} --".replace("  ", " "), monkeypatch, capsys)
            options = {max(parameter.opts, key=len) for parameter in leaf.params if isinstance(parameter, click.Option)}
            assert options <= {item.removeprefix("plain,") for item in found}, (name, each)
            known |= {parameter.name or "" for parameter in leaf.params}
    # A name that no parameter has any more offers nothing.
    assert known >= set(WORDS) | set(LISTS)


@pytest.mark.parametrize("line", ["erfnet-jobs sta", "erfnet-jobs submit train --a"])
def test_completing_loads_click_only(line: str) -> None:
    probe = f"""
import os, sys
from erfnet_jobs.cli.root import run_command
try:
    run_command([])
finally:
    print("LOADED", *[name for name in {HEAVY!r} if name in sys.modules])
"""
    asked = {"_ERFNET_JOBS_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    environ = {**os.environ, **asked}
    done = subprocess.run([sys.executable, "-c", probe], env=environ, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) > 1
    assert done.stdout.splitlines()[-1] == "LOADED"
