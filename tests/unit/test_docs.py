"""Both READMEs fit the code (commands, options, settings, exit codes) and themselves (links, blocks)."""

import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path

import click
import pytest

from erfnet_jobs.cli.root import root
from erfnet_jobs.errors import all_errors
from erfnet_jobs.settings import Settings
from tests.readme import CHECKOUT, NOT_RUN, README, README_CN, RUN, Block, anchors_of, blocks_of, links_of, prose_of

READMES = (README, README_CN)
TEXTS = {path: path.read_text() for path in READMES}
PAGES = [*READMES, CHECKOUT / "CHANGELOG.md", *CHECKOUT.glob("ascend310_infer/*.md"), *CHECKOUT.glob("deploy/**/*.md")]
GUIDES = [page for page in PAGES if page.name.startswith("README")]
BY_HAND = "erfnet-jobs submit train --data ~/scenes "
# Files of this repository that a README names in the text.
FILE = re.compile(r"`((?:erfnet_jobs|workers|migrations|tests|ascend310_infer|deploy|\.ci|\.readme)/[\w./-]*)`")
# Nearly every command has it, and the READMEs say so once.
COMMON = frozenset({"--json"})

both = pytest.mark.parametrize("page", READMES, ids=lambda path: path.name)


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
            if command.invoke_without_command:
                yield " ".join((*path, name)), command
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(leaves(root))
GROUPS = {name.rpartition(" ")[0] for name in COMMANDS if " " in name} - set(COMMANDS)


def options_of(command: click.Command) -> set[str]:
    """The long names of its options."""
    named = [parameter for parameter in command.params if isinstance(parameter, click.Option) and not parameter.hidden]
    return {name for option in named for name in option.opts if name.startswith("--")}


def table_rows(page: Path) -> list[list[str]]:
    """The cells of all table rows of a page."""
    rows = [line for line in prose_of(page) if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


@pytest.mark.parametrize("name", COMMANDS)
def test_command_and_its_options_have_help(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


@both
@pytest.mark.parametrize("name", COMMANDS)
def test_command_stands_first_in_a_row_of_a_table(page: Path, name: str) -> None:
    named = [row[0] for row in table_rows(page)]
    assert any(re.search(rf"`{re.escape(name)}[` ]", cell) for cell in named)


@both
@pytest.mark.parametrize("name", COMMANDS)
def test_options_of_a_command_stand_in_the_readme(page: Path, name: str) -> None:
    text = TEXTS[page]
    assert not [option for option in options_of(COMMANDS[name]) - COMMON if not re.search(rf"{option}\b(?!-)", text)]


@both
def test_no_command_is_named_that_is_not_there(page: Path) -> None:
    typed = re.findall(r"(?:erfnet-jobs |`)((?:submit|run|hosts|checkpoints|data|db) [a-z0-9-]+)", TEXTS[page])
    assert not [words for words in typed if words not in COMMANDS]


def typed_commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Each command that a page shows, with `erfnet-jobs` or without: its name, and the long options given to it."""
    inline = re.findall(r"`(?:erfnet-jobs )?([a-z0-9-]+(?: [^`]+)?)`", "\n".join(prose_of(page)))
    blocks = "\n".join(block.commands for block in blocks_of(page) if block.is_shell)
    lines = re.findall(r"^erfnet-jobs (.+)$", blocks, re.MULTILINE)
    for line in [*lines, *(text for text in inline if text.split()[0] in root.list_commands(click.Context(root)))]:
        words = line.split()
        name = next((" ".join(words[:count]) for count in (2, 1) if " ".join(words[:count]) in COMMANDS), line)
        yield name, re.findall(r"(?<!\S)--[a-z][a-z0-9_-]*", line)


@both
def test_commands_that_are_typed_are_there_and_take_their_options(page: Path) -> None:
    wrong = []
    for name, options in typed_commands(page):
        if name not in GROUPS:
            known = options_of(COMMANDS[name]) | {"--help"} if name in COMMANDS else set()
            wrong += [f"{name} {option}" for option in options if option not in known] or [name] * (not known)
    assert not wrong


@both
def test_global_options_stand_in_the_readme(page: Path) -> None:
    assert not [option for option in options_of(root) if f"`{option}" not in TEXTS[page]]


def written(value: object) -> str | None:
    """How a README writes a setting's default; None where it tells it in words."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return f"`{value}`" if isinstance(value, str | Path) else None


@both
def test_settings_stand_in_the_table_with_their_defaults(page: Path) -> None:
    rows = {name: row[-1] for row in table_rows(page) for name in re.findall(r"`(ERFNET_JOBS_\w+)`", row[0])}
    assert set(rows) == {f"ERFNET_JOBS_{entry.name.upper()}" for entry in fields(Settings)}
    defaults = {f"ERFNET_JOBS_{entry.name.upper()}": entry.default for entry in fields(Settings)}
    told = {name: written(value) for name, value in defaults.items() if value is not MISSING}
    assert not {name: rows[name] for name, value in told.items() if value is not None and rows[name] != value}


@both
def test_exit_codes_stand_in_the_table_with_their_errors(page: Path) -> None:
    rows = {row[0]: row[1] for row in table_rows(page) if row[0].isdecimal() and len(row) == 3}
    assert rows == {"0": "", "124": "", **{str(error.exit_code): error.__name__ for error in all_errors()}}


def test_exit_codes_are_distinct() -> None:
    codes = [error.exit_code for error in all_errors()]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links_of(page):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert not broken


@both
def test_the_contents_name_every_section(page: Path) -> None:
    sections = re.findall(r"^## (.+)$", "\n".join(prose_of(page)), re.MULTILINE)
    contents = "\n".join(prose_of(page)).split("\n## ")[2]
    assert not [name for name in sections[2:] if f"[{name}](#" not in contents]


@both
def test_files_that_are_named_exist(page: Path) -> None:
    named = set(FILE.findall(TEXTS[page])) - {"erfnet_jobs/erfnet/quantise.py", "erfnet_jobs/migrations"}
    assert not [name for name in sorted(named) if not (CHECKOUT / name).exists()]


@pytest.mark.parametrize("page", GUIDES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_a_fence_says_its_language_and_a_shell_block_whether_it_is_run(page: Path) -> None:
    """`<!-- run -->` above it: tests/acceptance/test_readme_blocks.py runs it. Else `<!-- not run: REASON -->`."""
    blocks = blocks_of(page)
    assert not [block for block in blocks if not block.language]
    shell = [block for block in blocks if block.is_shell]
    assert not [block for block in shell if block.mark != RUN and not NOT_RUN.fullmatch(block.mark or "")]


@pytest.mark.parametrize("page", GUIDES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_no_command_hides_in_an_indented_block(page: Path) -> None:
    assert not [
        line for line in prose_of(page) if re.match(r"( {4,}|\t)(erfnet-jobs|make|pip|export|sudo|docker|cmake) ", line)
    ]


def test_both_readmes_have_the_same_shell_blocks() -> None:
    def run(page: Path) -> list[str]:
        return [block.commands for block in blocks_of(page) if block.is_shell and block.mark == RUN]

    def shown(page: Path) -> list[str]:
        return [block.commands for block in blocks_of(page) if block.is_shell and not clone(block)]

    def clone(block: Block) -> bool:  # it has a placeholder in each language
        return "git clone <" in block.text

    assert run(README) == run(README_CN)
    assert not set(shown(README_CN)) - set(shown(README))


def test_the_sequence_by_hand_waits_for_all_jobs_before_it_asks_and_stops() -> None:
    """Training, evaluation and export: 'best' needs the second, and 'down' that all have ended."""
    (block,) = (block for block in blocks_of(README) if BY_HAND in block.text)
    assert block.mark == RUN
    submitted, *then = block.text.partition("erfnet-jobs submit ")[2].splitlines()
    assert submitted.endswith(" --wait")
    assert [line.split()[1] for line in then] == ["status", "best", "down"]


def test_pictures_of_the_readme_are_there_and_small() -> None:
    named = [set(re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)) for text in TEXTS.values()]
    assert named[0] == named[1]
    assert len(named[0]) >= 2
    assert all(0 < (CHECKOUT / name).stat().st_size < 200_000 for name in named[0])
