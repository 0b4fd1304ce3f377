"""Generations by name, versions by file, and what tools say when they fail."""

import platform
from pathlib import Path

import pytest

from erfnet_jobs.ascend.generation import generation_of
from erfnet_jobs.ascend.tool_failures import exit_text, is_unsupported, known_failure
from erfnet_jobs.ascend.versions import cann_version, driver_version, parse_version


@pytest.mark.parametrize(
    ("generation", "names"),
    [
        ("910A", ["910", "910A", "Ascend 910A", "Ascend910", "910B", "910ProB", "Ascend910ProA", "910PremiumA"]),
        ("910B", ["910B1", "910B2", "910B3", "910B4", "Ascend 910B4", "910B2C", "910B4-1", "Ascend910B3"]),
        ("910C", ["910C", "Ascend 910C", "910_9382", "Ascend910_9391"]),
        ("310", ["310", "MiniD", "Ascend 310"]),
        ("310P", ["310P", "310P3", "Ascend310P1", "Ascend 310P3"]),
        (None, ["xxx", "Ascend xxx", "", "910D", "950DT", "Ascend950PR", "310B4", "Mcu", "9100"]),
    ],
)
def test_a_generation_by_its_names(generation: str | None, names: list[str]) -> None:
    assert {generation_of(name) for name in names} == {generation}


def test_the_name_of_the_third_generation_needs_physical_ids() -> None:
    assert generation_of("Ascend910", physical_ids=True) == "910C"
    assert generation_of("910B3", physical_ids=True) == "910B"
    assert generation_of("xxx", physical_ids=True) is None
    assert generation_of(None) is None


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Version=24.1.rc3\nascendhal_version=7.35.19\nInnerversion=V100\n", "24.1.rc3"),
        ("package_name=Ascend-cann-toolkit\nversion=8.2.RC1\ncompatible_version=[V100R001C15]\n", "8.2.RC1"),
        ("package_version=26.0.rc1\n", "26.0.rc1"),
        ("Version=1.0\nversion=2.0\n", None),
        ("Version=\n", None),
        ("", None),
    ],
)
def test_a_version(text: str, version: str | None) -> None:
    assert parse_version(text).value == version


def test_the_drivers_file(tmp_path: Path) -> None:
    assert driver_version(tmp_path) is None
    (tmp_path / "driver").mkdir()
    (tmp_path / "driver/version.info").write_text("Version=25.2.0\n")
    assert driver_version(tmp_path) == "25.2.0"


@pytest.mark.parametrize(
    "place",
    ["ascend-toolkit/latest/{arch}-linux", "cann/{arch}-linux", "ascend-toolkit/latest", "nnrt/latest/{arch}-linux"],
)
def test_canns_file_where_its_packages_leave_it(tmp_path: Path, place: str) -> None:
    folder = tmp_path / place.format(arch=platform.machine())
    folder.mkdir(parents=True)
    name = "ascend_nnrt_install.info" if "nnrt" in place else "ascend_toolkit_install.info"
    (folder / name).write_text("version=8.5.0\n")
    assert cann_version(tmp_path, {"HOME": "/nowhere"}) == "8.5.0"


def test_the_toolkit_of_the_environment_comes_first(tmp_path: Path) -> None:
    for place, version in (("cann", "8.5.0"), ("own", "9.0.0")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "ascend_toolkit_install.info").write_text(f"version={version}\n")
    assert cann_version(tmp_path, {"ASCEND_HOME_PATH": str(tmp_path / "own")}) == "9.0.0"


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("DrvMngGetConsoleLogLevel failed. (ret=4)\ndcmi module initialize failed. ret is -8005\n", "HwHiAiUser"),
        ("dcmi model initialized failed, because the device is used. ret is -8020\n", "another container"),
        ("npu-smi: error while loading shared libraries: libdrvdsmi_host.so: cannot open", "LD_LIBRARY_PATH"),
        ("bash: Permission denied", "HwHiAiUser"),
        ("There is no NPU card on this server.", "lspci"),
    ],
)
def test_a_failure_becomes_a_sentence_with_its_remedy(said: str, remedy: str) -> None:
    sentence = known_failure(said)
    assert sentence is not None
    assert remedy in sentence
    assert "\n" not in sentence


def test_other_ends_are_told_with_the_last_line() -> None:
    assert known_failure("all is well") is None
    assert exit_text(2, "one\ntwo\n\n") == "exit code 2: two"
    assert exit_text(-9, "") == "ended by SIGKILL, without a word"
    assert is_unsupported("This device does not support querying topo.")
    assert not is_unsupported("timeout")
