"""What the files in deploy/ start, and with which variables, read as those who start it read them."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

DEPLOY = Path(__file__).parents[1] / "deploy"
PROGRAM = "/opt/erfnet-jobs/current/bin/erfnet-jobs"
ASSIGNMENT = re.compile(r"#?(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)")


def unit(name: str) -> dict[str, list[str]]:
    """The settings of a unit with those of its drop-ins, each with all its values."""
    found: dict[str, list[str]] = {}
    shared = [DEPLOY / "systemd/erfnet-jobs-.service.d/hardening.conf"] if name.endswith(".service") else []
    for path in [*shared, DEPLOY / "systemd" / name, *(DEPLOY / "systemd" / f"{name}.d").glob("*.conf")]:
        for line in path.read_text().splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                found.setdefault(key, []).append(value)
    return found


def unit_command(name: str) -> list[str]:
    """The words of a service's ExecStart."""
    (line,) = unit(name)["ExecStart"]
    return shlex.split(line)


def compose() -> dict[str, Any]:
    """The compose file, variables not replaced."""
    document: dict[str, Any] = YAML(typ="safe").load(DEPLOY / "compose.yaml")
    return document


def container(name: str) -> dict[str, list[str]]:
    """ENTRYPOINT and CMD of a container file."""
    lines = (DEPLOY / name).read_text().splitlines()
    words = (line.split(maxsplit=1) for line in lines)
    return {word[0]: json.loads(word[1]) for word in words if word[:1] in (["ENTRYPOINT"], ["CMD"])}


def template(name: str) -> dict[str, str]:
    """The variables of an environment file, those that are commented out included."""
    matches = (ASSIGNMENT.fullmatch(line) for line in (DEPLOY / name).read_text().splitlines())
    return {match["name"]: match["value"].strip("'") for match in matches if match}
