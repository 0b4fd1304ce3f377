"""`doctor` about 310-infer, with scripted programs of MindSpore Lite: found, not found, and of the wrong release."""

import sys
from pathlib import Path
from typing import Any

import pytest

from erfnet_jobs.cli.checks import lite
from erfnet_jobs.lite.programs import LITE_HOME, SETTING
from tests.ascend_host import AscendHost
from tests.cli_calls import Shell
from tests.scripted_lite import VERSION_LINE, install

NO_MINDSPORE = ("doctor", "--no-mindspore", "--json")
State = tuple[str, str]


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("ERFNET_JOBS_HOST_ADDRESS", "127.0.0.1")
    monkeypatch.setattr(lite, "find_spec", lambda _name: object())
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv(LITE_HOME, raising=False)
    monkeypatch.delenv(SETTING, raising=False)
    (tmp_path / "python").mkdir()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python" / "python"))  # one without the programs beside it
    return Shell(tmp_path / "home", capsys)


@pytest.fixture
def chips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AscendHost(tmp_path / "ascend", "310P", cards=1).environ.items():
        monkeypatch.setenv(name, value)


def told(shell: Shell) -> list[State]:
    checks: list[dict[str, Any]] = shell(*NO_MINDSPORE).json["checks"]
    return [(check["state"], f"{check['text']} {check['remedy']}") for check in checks if check["name"] == "310-infer"]


@pytest.mark.usefixtures("chips")
def test_a_310_host_that_has_all(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = install(tmp_path / "lite", vendor=True)
    (tmp_path / "lite/runtime/lib").mkdir(parents=True)
    monkeypatch.setenv(LITE_HOME, str(tmp_path / "lite"))
    monkeypatch.setenv(SETTING, str(programs.infer))

    version, home, converter = told(shell)

    assert version == ("ok", f"{VERSION_LINE}, at {programs.infer} None")
    assert home == ("ok", f"{LITE_HOME} is {tmp_path / 'lite'} None")
    assert converter[0] == "ok"
    assert "converter_lite" in converter[1]


@pytest.mark.usefixtures("chips")
def test_a_310_host_that_has_nothing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, "/nowhere/erfnet_infer")  # there may be one beside the Python of the tests
    program, home, converter = told(shell)
    assert program[0] == "error"
    assert "make infer310" in program[1]
    assert home[0] == "warning"
    assert f"set {LITE_HOME}" in home[1]
    assert converter[0] == "warning"
    assert "--model FILE" in converter[1]


@pytest.mark.usefixtures("chips")
@pytest.mark.parametrize(("made", "said"), [(True, "others run on CPUs only"), (False, "no folder")])
def test_a_lite_that_drives_no_chips(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: bool, said: str
) -> None:
    if made:
        (tmp_path / "wheel").mkdir()
    monkeypatch.setenv(LITE_HOME, str(tmp_path / "wheel"))
    assert [state for state, text in told(shell) if said in text] == ["error"]


def test_without_chips_it_is_asked_where_a_program_is_set(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told(shell) == []
    programs = install(tmp_path / "lite")
    monkeypatch.setenv(SETTING, str(programs.infer))
    (version, converter) = told(shell)
    assert (version[0], converter[0]) == ("ok", "ok")
    assert "erfnet_convert" in converter[1]
    programs.infer.write_text("#!/bin/sh\necho no libx.so >&2; exit 127\n")
    assert "no libx.so" in next(text for state, text in told(shell) if state == "error")


def test_without_chips_it_is_asked_where_one_program_is_there(shell: Shell, tmp_path: Path) -> None:
    programs = install(tmp_path / "python")
    assert [state for state, _ in told(shell)] == ["ok", "ok"]
    (tmp_path / "python" / "erfnet_convert").unlink()
    assert [state for state, _ in told(shell)] == ["ok", "warning"]
    install(tmp_path / "python")
    programs.infer.write_text("#!/bin/sh\nexit 127\n")
    assert [state for state, _ in told(shell)] == ["error", "ok"]
    programs.infer.unlink()
    assert [state for state, _ in told(shell)] == ["warning", "warning"]


def test_without_chips_it_is_asked_where_lite_home_is_set(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LITE_HOME, str(tmp_path))
    program, *_ = told(shell)
    assert program[0] == "warning"


def test_packages_of_onnx_are_needed_to_convert(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite, "find_spec", lambda name: None if name == "onnx" else object())
    monkeypatch.setenv(SETTING, str(install(tmp_path / "lite").infer))
    (missing,) = [text for state, text in told(shell) if state == "warning"]
    assert "no onnx here" in missing
    assert "erfnet-jobs[worker,onnx]" in missing
