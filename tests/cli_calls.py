"""Calling the command in this process, as a shell would: arguments in; exit code, stdout and stderr out."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from erfnet_jobs.cli.root import run_command
from erfnet_jobs.local.redis_server import start_redis, stop_redis
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.hosts import register_host
from erfnet_jobs.registry.migrate import upgrade
from erfnet_jobs.settings import Settings, load_settings
from tests.documents import check_document, command_of
from tests.layout import empty_dataset
from tests.registry_steps import seen_device


@dataclass(frozen=True)
class Called:
    """What a call of the command gave."""

    code: int
    out: str
    err: str
    command: str = ""

    @property
    def json(self) -> Any:
        """The one document on stdout, which the command's schema describes."""
        document = json.loads(self.out)
        check_document(self.command, document)
        return document


class Shell:
    """Calls the command for one home."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self.capsys = capsys

    @property
    def settings(self) -> Settings:
        return load_settings({"home": self.home}, {})

    def __call__(self, *arguments: object) -> Called:
        self.capsys.readouterr()
        words = [str(argument) for argument in arguments]
        code = run_command(["--home", str(self.home), *words])
        return Called(code, *self.capsys.readouterr(), command_of(_without_global(words)))

    def registry(self) -> Registry:
        """The home's registry, made if it is not there yet."""
        url = self.settings.resolved_database_url
        upgrade(url)
        return Registry(url)

    def add_host(self, name: str = "h1", devices: int = 2) -> None:
        """Register a host as a worker would."""
        found = [seen_device(number, "cpu", "CPU slot") for number in range(devices)]
        words = {"address": "127.0.0.1", "storage_id": "s", "version": "1", "instance": "i"}
        with self.registry() as registry, registry.write() as session:
            register_host(session, name=name, devices=found, **words)

    def count_jobs(self) -> int:
        """How many jobs the registry has."""
        return len(self("status", "--all", "--json").json)


def _without_global(words: list[str]) -> list[str]:
    """Without the global options before the command, each of which has a value."""
    while words and words[0].startswith("-"):
        words = words[2:]
    return words


@contextmanager
def redis_of(settings: Settings) -> Iterator[None]:
    """The embedded Redis of a home."""
    settings.home.mkdir(parents=True, exist_ok=True)
    start_redis(settings)
    try:
        yield
    finally:
        stop_redis(settings)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A home with Redis, a registry and a host with two CPU slots."""
    for name in ("HOME", "BROKER_URL", "DATABASE_URL", "RUNS", "HOST_NAME"):
        monkeypatch.delenv(f"ERFNET_JOBS_{name}", raising=False)
    made = Shell(tmp_path / "home", capsys)
    with redis_of(made.settings):
        made.add_host()
        yield made


@pytest.fixture
def narrow_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A home that is empty, and a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "home").mkdir()
    return Shell(tmp_path / "home", capsys)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """What looks like a dataset."""
    return empty_dataset(tmp_path / "data")
