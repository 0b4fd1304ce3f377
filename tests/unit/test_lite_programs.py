"""Where the programs of MindSpore Lite are found, and what their processes get."""

import sys
from pathlib import Path

import pytest

from erfnet_jobs.errors import MissingDependency
from erfnet_jobs.lite import programs
from erfnet_jobs.lite.convert import ASCEND_TARGET, CPU_TARGET, Converter, find_converter
from erfnet_jobs.lite.programs import find_infer, given_program, lite_environ
from tests.scripted_lite import VENDOR, install


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python beside which there is no program."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    return tmp_path / "bin"


def test_the_setting_comes_first_then_beside_python_then_path(tmp_path: Path, elsewhere: Path) -> None:
    given, on_path = install(tmp_path / "given").infer, install(tmp_path / "path").infer
    environ = {"PATH": f"/nowhere:{tmp_path / 'path'}"}
    assert find_infer(None, environ) == on_path
    beside = install(elsewhere).infer
    assert find_infer(None, environ) == beside
    assert find_infer(given, environ) == given
    assert given_program({"ERFNET_JOBS_INFER_310": str(given)}) == given
    assert given_program({"ERFNET_JOBS_INFER_310": ""}) is None


def test_what_is_named_wrong_is_not_replaced_by_another(tmp_path: Path) -> None:
    install(tmp_path / "path")
    folder = tmp_path / "folder"
    folder.mkdir()
    plain = tmp_path / "plain"
    plain.touch()
    for wrong in (tmp_path / "gone", folder, plain):
        with pytest.raises(MissingDependency, match=f"{wrong} .ERFNET_JOBS_INFER_310. is no program"):
            find_infer(wrong, {"PATH": str(tmp_path / "path")})


def test_without_a_program_the_way_to_it_is_told() -> None:
    with pytest.raises(MissingDependency, match=r"make infer310.*ERFNET_JOBS_INFER_310"):
        find_infer(None, {"PATH": "/nowhere"})


def test_our_converter_for_cpus_and_the_vendor_s_for_ascend(tmp_path: Path) -> None:
    infer = install(tmp_path / "ours").infer
    install(tmp_path / "lite", vendor=True)
    environ = {"PATH": "/nowhere", "LITE_HOME": str(tmp_path / "lite")}
    assert find_converter(infer, CPU_TARGET, environ).path == tmp_path / "ours" / "erfnet_convert"
    assert find_converter(infer, ASCEND_TARGET, environ).path == tmp_path / "lite" / VENDOR
    on_path = {"PATH": str((tmp_path / "lite" / VENDOR).parent)}
    assert find_converter(infer, ASCEND_TARGET, on_path).path == tmp_path / "lite" / VENDOR


def test_the_vendor_s_converter_serves_cpus_where_ours_was_not_built(tmp_path: Path) -> None:
    infer = install(tmp_path / "ours", own=False).infer
    install(tmp_path / "lite", vendor=True)
    found = find_converter(infer, CPU_TARGET, {"PATH": "/nowhere", "LITE_HOME": str(tmp_path / "lite")})
    assert found.command(Path("/a/x.onnx"), Path("/b/y.lite.mindir"), Path("/s")) == [
        str(tmp_path / "lite" / VENDOR),
        "--fmk=ONNX",
        "--saveType=MINDIR",
        "--optimize=general",
        "--modelFile=/a/x.onnx",
        "--outputFile=/b/y.lite",
    ]


@pytest.mark.parametrize(("precision", "mode"), [("fp32", "preferred_fp32"), ("fp16", "enforce_fp16")])
def test_a_model_for_ascend_is_told_what_it_computes_in(tmp_path: Path, precision: str, mode: str) -> None:
    converter = Converter(tmp_path / VENDOR.name, ASCEND_TARGET, precision)
    assert converter.settings == f"[ascend_context]\nprecision_mode={mode}\n"
    command = converter.command(Path("/a/x.onnx"), Path("/b/y.mindir"), Path("/s"))
    assert command[-2:] == ["--outputFile=/b/y", "--configFile=/s"]


@pytest.mark.parametrize(("target", "told"), [(CPU_TARGET, "make infer310"), (ASCEND_TARGET, "set LITE_HOME")])
def test_without_a_converter_the_way_to_it_is_told(tmp_path: Path, target: str, told: str) -> None:
    infer = install(tmp_path / "ours", own=False).infer
    for program in (infer, None):
        with pytest.raises(MissingDependency, match=told):
            find_converter(program, target, {"PATH": "/nowhere", "LITE_HOME": str(tmp_path / "none")})


def test_the_environment_of_lite(tmp_path: Path) -> None:
    (tmp_path / "runtime/lib").mkdir(parents=True)
    base = {"ASCEND_RT_VISIBLE_DEVICES": "3", "GLOG_v": "3", "HOME": "/h", "LITE_HOME": str(tmp_path)}
    assert lite_environ(base) == {
        "HOME": "/h",
        "LITE_HOME": str(tmp_path),
        "LD_LIBRARY_PATH": f"{tmp_path}/runtime/lib",
    }
    (tmp_path / "tools/converter/lib").mkdir(parents=True)
    found = lite_environ({**base, "LD_LIBRARY_PATH": "/cann"})["LD_LIBRARY_PATH"]
    assert found == f"{tmp_path}/runtime/lib:{tmp_path}/tools/converter/lib:/cann"
    assert lite_environ({"LD_LIBRARY_PATH": "/cann"}) == {"LD_LIBRARY_PATH": "/cann"}
    assert lite_environ({"GLOG_v": "1"}) == {"GLOG_v": "1"}
    assert programs.SETTING == "ERFNET_JOBS_INFER_310"


def test_what_opens_the_registry_is_not_handed_on() -> None:
    secrets = {"ERFNET_JOBS_DATABASE_URL": "d", "ERFNET_JOBS_BROKER_URL": "b", "PGPASSWORD": "p"}
    assert lite_environ({**secrets, "HOME": "/h"}) == {"HOME": "/h"}
