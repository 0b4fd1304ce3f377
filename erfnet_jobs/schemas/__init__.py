"""What `--json` prints: a JSON Schema (2020-12) for each command, in files beside this one. Stdlib only.

A command's file is named after it, with dashes between its words. `shared.json` has the `$defs` that all may refer to.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SHARED = "shared"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
REFERENCE = "#/$defs/"
ERROR = "error"

Schema = dict[str, Any]


def _read(name: str) -> Schema:
    found: Schema = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _file_name(command: str) -> str:
    return "-".join(command.split())


def has_schema(command: str) -> bool:
    """Whether the command, named by its words ('hosts drain'), has a document with a schema."""
    name = _file_name(command)
    return name != SHARED and (FOLDER / f"{name}.json").is_file()


def command_schema(command: str) -> Schema:
    """The schema of what a command prints with --json, complete in itself: its document, or that of an error."""
    shared = _read(SHARED)["$defs"]
    own = _read(_file_name(command))
    alternatives = [own, {"$ref": f"{REFERENCE}{ERROR}"}]
    used = _closure(alternatives, shared)
    return {
        "$schema": DIALECT,
        "title": f"erfnet-jobs {command} --json",
        "anyOf": alternatives,
        "$defs": {name: definition for name, definition in shared.items() if name in used},
    }


def all_schemas(commands: Iterator[str] | list[str]) -> Schema:
    """One document with the schemas of all these commands as definitions, named as they are typed."""
    own = {f"erfnet-jobs {command}": _read(_file_name(command)) for command in commands}
    return {
        "$schema": DIALECT,
        "title": "What the commands of erfnet-jobs print with --json; where they fail, `error`",
        "$defs": {**own, **_read(SHARED)["$defs"]},
    }


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield str(value).removeprefix(REFERENCE)
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)


def _closure(node: object, shared: Schema) -> set[str]:
    found: set[str] = set()
    fresh = set(_references(node))
    while fresh:
        found |= fresh
        fresh = {name for known in fresh for name in _references(shared[known])} - found
    return found
