"""`init`: the file it writes is read back as what it says, commented and uncommented, and replaces nothing unasked."""

import os
import stat
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.local.config_file import config_text
from erfnet_jobs.settings import Settings, load_settings
from tests.cli_calls import Called, Shell


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    for name in [name for name in os.environ if name.startswith("ERFNET_JOBS_")]:
        monkeypatch.delenv(name)
    return Shell(tmp_path / "new" / "home", capsys)


def uncommented(text: str) -> str:
    """With every setting set; what explains has no ' = ' after one word."""
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    return "\n".join(line for line in lines if line.partition(" = ")[0].isidentifier() and " = " in line)


def refused(called: Called, *words: str) -> None:
    assert called.code == 2, called
    assert all(word in called.err for word in words), called.err


def test_every_setting_is_explained() -> None:
    for entry in fields(Settings):
        assert entry.metadata["meaning"].endswith(".")
        assert entry.default not in (None, ()) or entry.metadata["unset"], entry.name


def test_what_init_writes_changes_nothing_until_it_is_edited(shell: Shell) -> None:
    before = load_settings({"home": shell.home}, {})
    assert shell("init").out == f"Written: {shell.home / 'config.toml'}\n"
    path = shell.home / "config.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in shell.home.iterdir()] == ["config.toml"]
    assert tomllib.loads(path.read_text()) == {}
    assert load_settings({"home": shell.home}, {}) == before


def test_every_line_can_be_uncommented(shell: Shell) -> None:
    shell("init")
    path = shell.home / "config.toml"
    before = load_settings({"home": shell.home}, {})
    path.write_text(uncommented(path.read_text()))

    assert set(tomllib.loads(path.read_text())) == {entry.name for entry in fields(Settings)} - {"home"}
    after = load_settings({"home": shell.home}, {})
    for entry in fields(Settings):
        if not entry.metadata["example"]:
            assert getattr(after, entry.name) == getattr(before, entry.name), entry.name
        else:
            assert str(getattr(after, entry.name)) != str(getattr(before, entry.name)), entry.name


@given(st.dictionaries(st.sampled_from(["runs", "broker_url", "database_url", "npu_smi"]), st.text(min_size=1)))
def test_any_text_comes_back(given: dict[str, str]) -> None:
    texts = {name: text.encode(errors="ignore").decode() for name, text in given.items()}
    assert tomllib.loads(config_text(texts)) == texts


def test_what_is_given_is_set_and_what_cannot_be_meant_is_refused(shell: Shell) -> None:
    database = "postgresql+psycopg://u:s3cret@db.example/erfnet"
    called = shell("--database-url", database, "init", "--broker-url", "redis://r.example/0", "--runs", "/r", "--json")
    assert called.json == {
        "path": str(shell.home / "config.toml"),
        "set": ["broker_url", "database_url", "runs"],
    }
    assert "s3cret" not in called.out + called.err
    settings = load_settings({"home": shell.home}, {})
    assert (settings.database_url, settings.broker_url) == (database, "redis://r.example/0")
    assert settings.runs == Path("/r")
    for wrong in (("--broker-url", "http://x"), ("--database-url", "mysql://u:s3cret@h/d")):
        called = shell("init", "--force", *wrong)
        refused(called, "begins with")
        assert "s3cret" not in called.err
    assert load_settings({"home": shell.home}, {}) == settings


def test_what_is_there_is_kept_unless_told(shell: Shell) -> None:
    shell.home.mkdir(parents=True)
    path = shell.home / "config.toml"
    path.write_text("not = [toml")
    refused(shell("init"), "is there already", "--force")
    assert path.read_text() == "not = [toml"
    assert shell("init", "--force").code == 0
    assert tomllib.loads(path.read_text()) == {}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_home_that_cannot_be_made(shell: Shell) -> None:
    shell.home.parent.write_text("a file")
    refused(shell("init"), "cannot be written", "--home")
