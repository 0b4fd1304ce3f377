"""Documents that `--json` prints, held to their schemas."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import click
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match

from erfnet_jobs.cli.root import root
from erfnet_jobs.schemas import command_schema, has_schema

FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def _is_time(text: object) -> bool:
    """jsonschema has a check of its own only with another package, and passes over formats without one."""
    return not isinstance(text, str) or datetime.fromisoformat(text).tzinfo is not None


@cache
def _validator(command: str) -> Draft202012Validator:
    schema = command_schema(command)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FORMATS)


def command_of(arguments: Sequence[str]) -> str:
    """The words of the command that these arguments, which begin with it, call; '' for what is none."""
    words: list[str] = []
    command: click.Command | None = root
    for word in arguments:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word)
        if command is None:
            break
        words.append(word)
    return " ".join(words)


def check_document(command: str, document: Any) -> None:
    """Fail where the document is not what the command's schema says."""
    if not has_schema(command):
        raise AssertionError(f"'{command} --json' has no schema: describe it in erfnet_jobs/schemas")
    validator = _validator(command)
    is_error = isinstance(document, dict) and document.keys() == {"error"}
    # Not the alternative of an error, which would be found at fault instead.
    own = validator.evolve(schema={**validator.schema, "anyOf": validator.schema["anyOf"][is_error:][:1]})
    fault = best_match(own.iter_errors(document))
    if fault is None:
        return
    raise AssertionError(
        f"'{command} --json' printed what erfnet_jobs/schemas/{'-'.join(command.split())}.json does not describe, at "
        f"{fault.json_path}: {fault.message[:400]}"
    )
