"""The command's table, its help, and what loading it costs."""

import subprocess
import sys
from importlib import import_module

import click
import pytest

from erfnet_jobs.cli import root as root_module
from erfnet_jobs.cli.measures import CATEGORIES, CLASSES
from erfnet_jobs.cli.root import COMMANDS, root, run_command
from erfnet_jobs.errors import ErfnetJobsError, all_errors

HEAVY = ("celery", "kombu", "sqlalchemy", "redis", "alembic", "numpy", "PIL", "mindspore", "asyncio")
PROBE = f"""
import sys
from erfnet_jobs.cli.root import run_command
code = run_command(sys.argv[1:])
print("LOADED", *[name for name in {HEAVY!r} if name in sys.modules])
sys.exit(code)
"""


def leaves(command: click.Command, *path: str) -> list[tuple[str, ...]]:
    if isinstance(command, click.Group):
        names = command.list_commands(click.Context(command))
        children = [(name, command.get_command(click.Context(command), name)) for name in names]
        return [leaf for name, child in children if child for leaf in leaves(child, *path, name)]
    return [path]


LEAVES = leaves(root)


@pytest.mark.parametrize("arguments", [["--help"], ["submit", "train", "--help"], ["status", "--help"], ["--version"]])
def test_help_loads_click_only(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED"


def test_the_table_names_commands() -> None:
    for name, (module, attribute, _) in COMMANDS.items():
        command = getattr(import_module(f"erfnet_jobs.cli.{module}"), attribute)
        assert isinstance(command, click.Command), name
        assert command.name == name


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([*path, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: erfnet-jobs {' '.join(path)}")
    assert max(map(len, out.splitlines())) <= 120


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_option_has_help(path: tuple[str, ...]) -> None:
    command: click.Command = root
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    missing = [option.name for option in command.params if isinstance(option, click.Option) and not option.help]
    assert not missing


@pytest.mark.parametrize("error", all_errors())
def test_errors_end_with_their_exit_code(
    error: type[ErfnetJobsError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def raising(*_args: object, **_more: object) -> None:
        raise error("what, why, what to do")

    monkeypatch.setattr(root_module.root, "main", raising)
    assert run_command(["status"]) == error.exit_code
    assert capsys.readouterr().err == "error: what, why, what to do\n"


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_ctx: click.Context) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(root_module.root, "invoke", interrupted)
    assert run_command(["status"]) == 130


def test_a_closed_pipe_is_quiet() -> None:
    command = f"{sys.executable} -m erfnet_jobs --help | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["/bin/bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Usage")
    assert done.stderr == ""


def test_the_class_names_are_those_of_the_labels() -> None:
    from erfnet_jobs.erfnet import labels

    assert tuple(label.name for label in labels.TRAIN_CLASSES) == CLASSES
    assert labels.CATEGORY_NAMES == CATEGORIES
