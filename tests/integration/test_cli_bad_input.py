"""Every mistake ends in a message that names what, why and what to do, in its exit code, and with nothing written."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from erfnet_jobs.ascend.devices import ASCEND_CHIP
from erfnet_jobs.registry import engine
from erfnet_jobs.registry.hosts import register_host
from tests.cli_calls import Called, Shell, redis_of
from tests.registry_steps import seen_device


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "BROKER_URL", "DATABASE_URL", "RUNS", "HOST_NAME"):
        monkeypatch.delenv(f"ERFNET_JOBS_{name}", raising=False)


@pytest.fixture
def bare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A home without Redis and registry."""
    return Shell(tmp_path / "home", capsys)


@pytest.fixture
def shell(bare: Shell) -> Iterator[Shell]:
    """A home with Redis, a registry and a host with two devices."""
    with redis_of(bare.settings):
        bare.add_host()
        yield bare


def refused(called: Called, code: int, *words: str) -> None:
    """One `error:` line with these words, this exit code, no traceback, nothing on stdout."""
    assert called.code == code, called
    assert called.out == ""
    assert "error: " in called.err.lower()
    assert "Traceback" not in called.err
    for word in words:
        assert word in called.err, (word, called.err)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--cards", "0"], 2, ["cards is 0", "from 1"]),
        (["--cards", "-1"], 2, ["cards is -1", "from 1"]),
        (["--cards", "1000"], 8, ["1000 devices", "h1 (2)", "fewer cards"]),
        (["--epochs", "1,2"], 2, ["epochs", "four whole numbers"]),
        (["--epochs", "a,b"], 2, ["epochs", "four whole numbers"]),
        (["--size", "100x100"], 2, ["size", "multiples of 8"]),
        (["--size", "big"], 2, ["big", "HEIGHTxWIDTH"]),
        (["--cards", "3", "--devices", "0,1"], 2, ["devices", "3 different"]),
        (["--devices", "0,7"], 8, ["0,7", "h1 (2)", "other devices"]),
        (["--host", "elsewhere"], 8, ["elsewhere", "h1 (2)"]),
        (["--batch-size", "0"], 2, ["batch size is 0"]),
        (["--lr", "-1"], 2, ["lr is -1"]),
        (["--stages", "2-1"], 2, ["1-4"]),
        (["--stages", "3-4"], 2, ["--checkpoint", "stage 3"]),
        (["--stages", "3-4", "--checkpoint", "77"], 4, ["checkpoint 77", "checkpoints list"]),
        (["--then", "bake"], 2, ["--then bake", "export,infer"]),
        (["--stages", "1-2", "--then", "export"], 2, ["encoder only", "stage 3 or 4"]),
        (["--after", "99"], 4, ["job 99", "status"]),
        (["--priority", "5000"], 2, ["priority", "-1000"]),
        (["--max-attempts", "0"], 2, ["max attempts"]),
    ],
)
def test_train_options_that_cannot_be_meant(
    shell: Shell, data: Path, options: list[str], code: int, words: list[str]
) -> None:
    refused(shell("submit", "train", "--data", data, *options), code, *words)
    assert shell.count_jobs() == 0


def test_hosts_with_310p_only(bare: Shell, data: Path) -> None:
    words = {"address": "127.0.0.1", "storage_id": "s", "version": "1", "instance": "i"}
    with bare.registry() as registry, registry.write() as session:
        register_host(session, name="edge", devices=[seen_device(0, ASCEND_CHIP, "310P3", "310P")], **words)
    train = ("submit", "train", "--data", data)
    with redis_of(bare.settings):
        refused(bare(*train), 8, "310P take no training", "910 or CPU host is needed", "edge (1 310P); add such a host")
        refused(bare(*train, "--host", "edge"), 8, "310P take no training", "leave --host out")
    assert bare.count_jobs() == 0


def test_a_data_folder_that_is_not_there(shell: Shell, tmp_path: Path) -> None:
    refused(shell("submit", "train", "--data", tmp_path / "none"), 3, str(tmp_path / "none"), "no such file")
    refused(shell("submit", "infer", "--checkpoint", "1", "--images", tmp_path / "none"), 3, "--images")
    assert shell.count_jobs() == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--format", "air"], ["format is 'air'", "mindir, onnx"]),
        (["--format", "mindir,mindir"], ["once"]),
        (["--format", ""], ["no list of names"]),
        (["--head", "softmax"], ["head is 'softmax'", "logits, argmax"]),
        (["--batch", "0"], ["batch is 0", "1 to 1024"]),
        (["--size", "100x100"], ["multiples of 8"]),
    ],
)
def test_export_options_that_cannot_be_meant(shell: Shell, options: list[str], words: list[str]) -> None:
    refused(shell("submit", "export", "--checkpoint", "1", *options), 2, *words)
    assert shell.count_jobs() == 0


def test_checkpoints_that_are_none(shell: Shell, data: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.ckpt"
    empty.touch()
    for name, code, words in (
        ("42", 4, ["checkpoint 42"]),
        ("7:best", 4, ["job 7"]),
        (data, 11, ["is no file", "JOB:best"]),
        (empty, 11, ["is empty"]),
        (tmp_path / "none.ckpt", 11, ["no such file"]),
    ):
        refused(shell("submit", "eval", "--checkpoint", name, "--data", data), code, *words)
        refused(shell("submit", "export", "--checkpoint", name), code, *words)
    assert shell.count_jobs() == 0


def test_unknown_names(shell: Shell) -> None:
    refused(shell("status", "12"), 4, "job 12", "erfnet-jobs status")
    refused(shell("logs", "12"), 4, "job 12")
    refused(shell("wait", "12"), 4, "job 12")
    refused(shell("cancel", "12"), 4, "job 12")
    refused(shell("metrics", "12"), 4, "job 12")
    refused(shell("events", "12"), 4, "job 12")
    refused(shell("best", "--metric", "beauty"), 2, "beauty", "mean_iou")
    refused(shell("best"), 4, "no evaluation", "submit eval")
    refused(shell("submit", "export", "--best", "beauty"), 2, "beauty", "mean_iou")
    refused(shell("submit", "export"), 2, "--checkpoint or --best")
    refused(shell("checkpoints", "show", "5"), 4, "checkpoint 5")
    refused(shell("status", "--state", "asleep"), 2, "asleep", "running")
    refused(shell("sttus"), 2, "did you mean status")


def test_a_thousand_cards_without_hosts_is_only_warned_of(bare: Shell, data: Path) -> None:
    with redis_of(bare.settings), bare.registry():
        called = bare("submit", "train", "--data", data, "--cards", "1000", "--no-eval")
    assert called.code == 0
    assert "no host is registered" in called.err


def test_redis_down_at_submit(bare: Shell, data: Path) -> None:
    bare.add_host()
    refused(bare("submit", "train", "--data", data), 5, "does not answer", "erfnet-jobs up")
    assert bare.count_jobs() == 0


def test_another_redis_down_at_submit(bare: Shell, data: Path) -> None:
    bare.add_host()
    called = bare("--broker-url", "redis://:secret@127.0.0.1:1/0", "submit", "train", "--data", data)
    refused(called, 5, "127.0.0.1:1", "ERFNET_JOBS_BROKER_URL")
    assert "secret" not in called.err


def test_a_registry_that_is_not_migrated(bare: Shell, data: Path, tmp_path: Path) -> None:
    refused(bare("status"), 7, "no registry", "erfnet-jobs up")
    sqlite3.connect(tmp_path / "old.sqlite").execute("CREATE TABLE other (id INTEGER)").connection.close()
    called = bare("--database-url", f"sqlite:///{tmp_path / 'old.sqlite'}", "status")
    refused(called, 7, "no tables of ours", "db upgrade")
    with redis_of(bare.settings):
        refused(bare("submit", "train", "--data", data), 7, "erfnet-jobs up")
    refused(bare("--database-url", "mysql://x/y", "status"), 2, "mysql", "sqlite:///")


def test_a_registry_that_stays_locked(shell: Shell, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 1)
    lock = sqlite3.connect(shell.home / "registry.sqlite", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        refused(shell("submit", "train", "--data", data), 6, "locked", "try again")
        assert shell("status").code == 0
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    assert shell.count_jobs() == 0


def test_errors_as_json(shell: Shell) -> None:
    called = shell("status", "12", "--json")
    assert called.code == 4
    assert called.json["error"].keys() == {"type", "message", "exit_code"}
    assert called.json["error"]["type"] == "NotFound"
    assert called.json["error"]["exit_code"] == 4
    assert shell("submit", "train", "--json").json["error"]["exit_code"] == 2


def test_an_unexpected_error_is_one_line(bare: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("erfnet_jobs.settings.load_settings", broken)
    called = bare("status")
    refused(called, 1, "ZeroDivisionError", "--debug")
    assert len(called.err.splitlines()) == 1
    with pytest.raises(ZeroDivisionError):
        bare("--debug", "status")


def test_a_config_file_that_cannot_be_read(bare: Shell) -> None:
    bare.home.mkdir()
    (bare.home / "config.toml").write_text("lease_timeout = 'soon'\n")
    refused(bare("status"), 2, "lease_timeout", "soon", "config.toml")
