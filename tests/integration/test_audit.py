"""The audit log has every change that a person makes, with that person's name and machine."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from erfnet_jobs.client.api import Client
from erfnet_jobs.client.imports import register_import
from erfnet_jobs.local.down import Running, take_down
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.imports import ImportedFile
from erfnet_jobs.registry.tables import Event
from tests.cli_calls import Shell, redis_of
from tests.layout import empty_dataset
from tests.registry_steps import assign_here

WHO = "carol@desk"


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    for name in ("HOME", "BROKER_URL", "DATABASE_URL", "RUNS", "HOST_NAME"):
        monkeypatch.delenv(f"ERFNET_JOBS_{name}", raising=False)
    monkeypatch.setenv("LOGNAME", "carol")  # what getpass asks first
    monkeypatch.setattr(socket, "gethostname", lambda: "desk")
    found = Shell(tmp_path / "home", capsys)
    with redis_of(found.settings):
        assert found("db", "upgrade").code == 0
        found.add_host("desk")  # this machine
        yield found


def asked_for(shell: Shell) -> list[tuple[str, int | None, str | None]]:
    """Kind, job and host of all that the user has asked for."""
    return [(row["kind"], row["job"], row["host"]) for row in shell("events", "--user", WHO, "--json").json]


def test_every_change_by_a_person_is_there_with_user_and_machine(shell: Shell, tmp_path: Path) -> None:
    data = empty_dataset(tmp_path / "data")
    for arguments in (
        ("submit", "train", "--data", data, "--no-eval", "--then", "export"),
        ("cancel", 2),
        ("hosts", "drain", "desk"),
        ("hosts", "resume", "desk"),
        ("hosts", "cordon", "desk:0", "--reason", "fan"),
        ("hosts", "uncordon", "desk:0"),
        ("db", "copy", "--while-used", "--to", f"sqlite:///{tmp_path / 'copy.sqlite'}"),
    ):
        assert shell(*arguments).code == 0, arguments
    with Client(shell.settings) as client:
        register_import(client, ImportedFile("/w.ckpt", "erfnet", "0" * 64, 5, "w.pth"))

    assert asked_for(shell) == [
        ("registry upgraded", None, None),
        ("submitted", 1, None),
        ("submitted", 2, None),
        ("cancel requested", 2, None),
        ("host drained", None, "desk"),
        ("host undrained", None, "desk"),
        ("cordoned", None, "desk"),
        ("uncordoned", None, "desk"),
        ("registry copied", None, None),
        ("weights imported", None, None),
    ]
    there = Shell(tmp_path / "other", shell.capsys)
    restored = ("db", "restore", tmp_path / "copy.sqlite")
    assert there(*restored).code == 0
    assert asked_for(there)[-2:] == [("registry copied", None, None), ("registry restored", None, None)]


def test_down_with_cancel_says_who_cancelled(shell: Shell, tmp_path: Path) -> None:
    data = empty_dataset(tmp_path / "data")
    shell("submit", "train", "--data", data, "--no-eval")
    with shell.registry() as registry, registry.write() as session:
        assign_here(session, 1, "desk", str(tmp_path))

    take_down(shell.settings, Running.CANCEL, lambda text: None)

    assert asked_for(shell)[-1] == ("cancel requested", 1, None)
    assert shell("status", 1, "--json").json["state"] == "cancelled"


def test_what_is_asked_of_the_log(shell: Shell, tmp_path: Path) -> None:
    shell("hosts", "drain", "desk")
    shell("hosts", "cordon", "desk:1", "--reason", "fan")
    with shell.registry() as registry, registry.write() as session:
        of_old = update(Event).where(Event.kind == "host drained").values(at=now(session).replace(year=2020))
        session.execute(of_old)

    def kinds(*options: object) -> list[str]:
        return [row["kind"] for row in shell("events", *options, "--json").json]

    assert kinds() == ["registry upgraded", "host up", "host drained", "cordoned"]
    assert kinds("--since", "1h") == ["registry upgraded", "host up", "cordoned"]
    assert kinds("--user", "carol") == kinds("--user", WHO) == ["registry upgraded", "host drained", "cordoned"]
    assert kinds("--user", "carol@elsewhere") == kinds("--user", "dave") == []
    assert kinds("--kind", "cordoned", "--kind", "host up") == ["host up", "cordoned"]
    assert kinds("--host", "desk", "--limit", "1") == ["cordoned"]
    wrong = shell("events", "--kind", "cordon")
    assert wrong.code == 4
    assert "there are cordoned, host drained, host up" in wrong.err
    assert shell("events", "--host", "nowhere").code == 4
    shown = shell("events").out
    assert WHO in shown
    assert "2020-" in shown
