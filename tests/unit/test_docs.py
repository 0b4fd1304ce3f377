"""Every command has help and stands in the README, as do all settings and exit codes."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

from erfnet_jobs.cli.root import root
from erfnet_jobs.errors import all_errors
from erfnet_jobs.settings import Settings

CHECKOUT = Path(__file__).parents[2]
README = (CHECKOUT / "README.md").read_text()
README_CN = (CHECKOUT / "README_CN.md").read_text()
BY_HAND = "```sh\n. .venv/bin/activate\n"


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(leaves(root))


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_help_and_stands_in_the_readme(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))
    assert f"`{name}" in README


def test_settings_stand_in_the_readme() -> None:
    names = {entry.name for entry in fields(Settings)}
    assert not [name for name in names if f"`ERFNET_JOBS_{name.upper()}`" not in README]


def test_exit_codes_stand_in_the_readme() -> None:
    assert not [error for error in all_errors() if f"| {error.exit_code} | {error.__name__} |" not in README]


def test_exit_codes_are_distinct() -> None:
    codes = [error.exit_code for error in all_errors()]
    assert len(set(codes)) == len(codes)


def test_the_sequence_by_hand_waits_for_all_jobs_before_it_asks_and_stops() -> None:
    """Training, evaluation and export: 'best' needs the second, and 'down' that all have ended."""
    english, chinese = (text.partition(BY_HAND)[2].partition("```")[0] for text in (README, README_CN))
    assert english == chinese
    submitted, *then = english.partition("erfnet-jobs submit ")[2].splitlines()
    assert submitted.endswith(" --wait")
    assert [line.split()[1] for line in then] == ["status", "best", "down"]
