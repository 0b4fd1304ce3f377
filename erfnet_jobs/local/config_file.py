"""A config.toml with every setting and its meaning, made from the settings themselves; most of it comments."""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from erfnet_jobs.errors import UsageError
from erfnet_jobs.files import make_private_folder, open_private, sync_folder
from erfnet_jobs.settings import CONFIG_NAME, PREFIX, Settings, load_settings

# Which home there is says where the file is, so the file cannot.
NOT_IN_FILE = "home"
HEAD = f"""\
# Settings of erfnet-jobs on this machine. Flags count before {PREFIX}* variables, those before this file, it before
# the defaults. What is commented out shows a default, or an example where it says what counts without.
# This file may hold passwords: only its user may read it.
"""


def config_text(given: Mapping[str, str]) -> str:
    """The file: one paragraph a setting; those in `given` are set."""
    paragraphs = [_paragraph(entry, given.get(entry.name)) for entry in fields(Settings) if entry.name != NOT_IN_FILE]
    return "\n".join([HEAD, *paragraphs])


def _paragraph(entry: "Field[Any]", given: str | None) -> str:
    meaning, unset = entry.metadata["meaning"], entry.metadata["unset"]
    shown = f"# {meaning}\n" + (f"# Without it: {unset}.\n" if unset else "")
    if given is not None:
        return f"{shown}{entry.name} = {_toml(given)}\n"
    example = entry.metadata["example"]
    default = entry.default if entry.default not in (MISSING, None, ()) else None
    return f"{shown}# {entry.name} = {_example(example) if default is None else _toml(default)}\n"


def _example(example: str) -> str:
    """An example as it would be written: a number as one."""
    return example if example.isdecimal() else _toml(example)


def _toml(value: object) -> str:
    """The value as TOML has it; a string with the escapes of JSON, which are TOML's but for DEL."""
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def write_config(home: Path, given: Mapping[str, str], *, force: bool = False) -> Path:
    """Write the file into the home, which is made where it is not there; the file's path.

    Raises UsageError for a value that cannot be meant, for a file that is there unless `force` says to replace it, and
    for a home that cannot be written.
    """
    path = home / CONFIG_NAME
    _check(given)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        make_private_folder(home)
        with open_private(temporary) as file:
            file.write(config_text(given).encode())
            file.flush()
            os.fsync(file.fileno())
        _place(temporary, path, force)
        sync_folder(home)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}): give a --home where you may write") from error
    finally:
        with contextlib.suppress(OSError):  # where the folder cannot be written, nothing was
            temporary.unlink(missing_ok=True)
    return path


def _place(temporary: Path, path: Path, force: bool) -> None:
    if force:
        temporary.replace(path)
        return
    try:
        path.hardlink_to(temporary)  # which never replaces what is there
    except FileExistsError as error:
        raise UsageError(f"{path} is there already: edit it, or say --force to replace it") from error


def _check(given: Mapping[str, str]) -> None:
    """As the next command would say it."""
    load_settings({**given, NOT_IN_FILE: "/nowhere"}, {})
    if (broker := given.get("broker_url")) is not None:
        from erfnet_jobs.broker_url import check_broker_url

        check_broker_url(broker)
    if (database := given.get("database_url")) is not None:
        from erfnet_jobs.registry.url import parse_url

        parse_url(database)
