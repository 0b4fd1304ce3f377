"""What the files in deploy/ start is this program's command line, and what they set are its settings."""

import re
from dataclasses import fields
from pathlib import Path

import click
import pytest

from erfnet_jobs.cli.root import root
from erfnet_jobs.settings import PREFIX, Settings, load_settings
from tests.deployed import DEPLOY, PROGRAM, compose, container, template, unit, unit_command

SERVICES = sorted(path.name for path in (DEPLOY / "systemd").glob("*.service"))
TEMPLATES = ("worker.env", "registry.env")
SETTINGS = {PREFIX + entry.name.upper() for entry in fields(Settings)}


def parse(arguments: list[str]) -> str:
    """The command that the arguments call, with all options of its read; raises click.UsageError."""
    command: click.Command = root
    context = root.make_context("erfnet-jobs", list(arguments))
    path: list[str] = []
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert name is not None
        assert found is not None
        path.append(name)
        command = found
        context = command.make_context(name, rest, parent=context)
    return " ".join(path)


def started() -> dict[str, list[str]]:
    """The arguments of erfnet-jobs in all that deploy/ starts."""
    worker, client = container("Containerfile.worker"), container("Containerfile.client")
    assert worker["ENTRYPOINT"] == ["with-cann", "erfnet-jobs"]
    assert client["ENTRYPOINT"] == ["erfnet-jobs"]
    found = {"Containerfile.worker": worker["CMD"], "Containerfile.client": client["CMD"]}
    images = ("erfnet-jobs-worker", "erfnet-jobs-client")
    services = {name: service for name, service in compose()["services"].items() if service["image"] in images}
    found |= {f"compose.yaml: {name}": service["command"] for name, service in services.items()}
    commands = {name: unit_command(name) for name in SERVICES}
    return found | {name: command[1:] for name, command in commands.items() if command[0] == PROGRAM}


STARTED = started()


@pytest.mark.parametrize("name", STARTED)
def test_command_lines_are_this_programs(name: str) -> None:
    if name == "Containerfile.client":
        assert STARTED[name] == ["--help"]
    else:
        assert parse(STARTED[name]) == ("db upgrade" if "migrate" in name else "worker")


def test_a_wrong_command_line_would_be_found() -> None:
    with pytest.raises(click.UsageError):
        parse(["worker", "--metric-port", "9464"])


def test_the_metrics_port_is_the_same_everywhere() -> None:
    workers = [arguments for arguments in STARTED.values() if arguments[0] == "worker"]
    assert len(workers) == 3
    assert {tuple(arguments) for arguments in workers} == {("worker", "--metrics-port", "9464")}
    assert ":9464/metrics" in " ".join(compose()["services"]["worker"]["healthcheck"]["test"])


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_set_settings_as_the_program_reads_them(name: str, tmp_path: Path) -> None:
    values = template(name)
    known = {variable: value for variable, value in values.items() if variable.startswith(PREFIX)}
    assert set(known) <= SETTINGS
    assert set(values) - set(known) <= {"BACKUPS"}
    assert load_settings(environ={**known, "HOME": str(tmp_path)}).home == Path("/var/lib/erfnet-jobs")


def test_containers_get_settings_and_what_the_example_names() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    services = compose()["services"]
    environments = [service.get("environment", {}) for service in services.values()]
    own = {name for environment in environments for name in environment if name.startswith(PREFIX)}
    assert {"ERFNET_JOBS_DATABASE_URL", "ERFNET_JOBS_BROKER_URL"} <= own <= SETTINGS
    asked = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", text))
    assert asked == set(template(".env.example")) - {"COMPOSE_PROJECT_NAME"}


def test_no_password_stands_in_a_file() -> None:
    values = template(".env.example")
    assert not [value for name, value in values.items() if value and "PASSWORD" in name]


def test_no_port_is_open_to_all_networks_unless_somebody_says_so() -> None:
    published = [port for service in compose()["services"].values() for port in service.get("ports", [])]
    assert len(published) == 3
    assert not [port for port in published if not port.startswith(("127.0.0.1:", "${REGISTRY_ADDRESS:?"))]


def test_what_the_images_copy_is_not_ignored() -> None:
    """pip builds the package from what pyproject.toml names, and with-cann is installed beside it."""
    kept = {line[1:] for line in (DEPLOY.parent / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    pyproject = (DEPLOY.parent / "pyproject.toml").read_text()
    needed = {"pyproject.toml", "README.md", "LICENSE", "erfnet_jobs", "workers", "migrations", "ascend310_infer"}
    assert needed | {"deploy/with-cann"} == kept
    assert all(f'"{name}"' in pyproject for name in needed - {"pyproject.toml"})
    assert not [name for name in kept if not (DEPLOY.parent / name).exists()]


def test_stopping_the_worker_leaves_its_supervisors_alone() -> None:
    worker = unit("erfnet-jobs-worker.service")
    expected = {
        "Type": "notify",
        "NotifyAccess": "main",
        "KillMode": "process",
        "OOMPolicy": "continue",
        "WatchdogSec": "180",
        "Restart": "on-failure",
        "StartLimitIntervalSec": "0",
        "PrivateTmp": "no",
        "RemoveIPC": "no",
    }
    assert {name: worker[name] for name in expected} == {name: [value] for name, value in expected.items()}
    # What would be taken away from those that live on, or hide what they need.
    assert not {"RuntimeDirectory", "PrivateDevices", "MemoryDenyWriteExecute", "Delegate", "DynamicUser"} & set(worker)
    assert "SupplementaryGroups" in worker
    assert {line.split()[0] for line in worker["DeviceAllow"]} >= {"/dev/davinci0", "/dev/davinci_manager"}
