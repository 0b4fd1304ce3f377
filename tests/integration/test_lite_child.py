"""The scripted programs of MindSpore Lite as real processes: how they end, and that none is left."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from erfnet_jobs.errors import (
    BadCheckpoint,
    BadData,
    DeviceLost,
    DiskFull,
    ErfnetJobsError,
    Interrupted,
    MissingDependency,
    RanksFailed,
    UsageError,
)
from erfnet_jobs.lite.child import run_child
from erfnet_jobs.lite.convert import ASCEND_TARGET, CPU_TARGET, Converter, convert, find_converter
from erfnet_jobs.lite.infer import Inference, run_infer, version_of
from erfnet_jobs.lite.messages import Advanced, Ended, Message, Saved, Skipped, Started
from tests.scripted_lite import VENDOR, VERSION_LINE, install

ROOT = Path(__file__).parents[2]
PATIENCE = 60


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        (folder / name).touch()
    return folder


def inference(images: Path, **values: Any) -> Inference:
    model = images.parent / "model.mindir"
    return Inference(model, [images], images.parent / "out", **values)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_messages_come_in_order_and_the_end_is_given(tmp_path: Path, images: Path) -> None:
    programs = install(tmp_path / "bin", lines=["garbage", '{"event": "dance"}', "[1]"], errors=["a warning"])
    taken: list[Message] = []
    ended = run_infer(programs.infer, inference(images, labels=images, limit=2), taken.append)

    assert [type(message) for message in taken] == [Started, Saved, Advanced, Saved, Advanced, Ended]
    assert (ended, ended.images) == (taken[-1], 2)
    assert ended.measured is not None
    (call,) = programs.calls
    assert call["group"] == os.getpgrp()
    assert call["arguments"] == [
        *("--model", str(tmp_path / "model.mindir"), "--images", str(images), "--output", str(tmp_path / "out")),
        *("--labels", str(images), "--split", "val", "--limit", "2", "--device", "cpu", "--precision", "fp32"),
        *("--save", "labels", "--json"),
    ]


def test_the_device_is_told_by_its_logical_id_and_nothing_hides_it(tmp_path: Path, images: Path) -> None:
    programs = install(tmp_path / "bin")
    environ = {**os.environ, "ASCEND_RT_VISIBLE_DEVICES": "3", "LD_LIBRARY_PATH": "/cann"}
    given = inference(images, device="ascend:13", threads=4, save=())
    run_infer(programs.infer, given, lambda message: None, environ)
    (call,) = programs.calls
    assert call["environ"] == {"LD_LIBRARY_PATH": "/cann"}
    arguments = call["arguments"]
    assert [arguments[arguments.index(name) + 1] for name in ("--device", "--threads", "--save")] == [
        *("ascend:13", "4", "none")
    ]


def test_skipped_images_are_an_error_after_all_others(tmp_path: Path, images: Path) -> None:
    programs = install(tmp_path / "bin", skip=["b.png"])
    taken: list[Message] = []
    with pytest.raises(BadData, match="1 of 3 images were skipped"):
        run_infer(programs.infer, inference(images), taken.append)
    assert [message.name for message in taken if isinstance(message, Saved)] == ["a", "c"]
    assert [message.reason for message in taken if isinstance(message, Skipped)] == ["it is no picture"]
    assert isinstance(taken[-1], Ended)


@pytest.mark.parametrize(
    ("code", "error"),
    [(1, RanksFailed), (2, UsageError), (3, BadData), (11, BadCheckpoint), (13, DiskFull), (17, DeviceLost),
     (130, Interrupted), (99, RanksFailed)],
)  # fmt: skip
def test_its_errors_are_ours(tmp_path: Path, images: Path, code: int, error: type[ErfnetJobsError]) -> None:
    programs = install(tmp_path / "bin", error=[code, "model is of version 3 and Lite 2.0.0 reads 1"])
    with pytest.raises(error, match=r"^model is of version 3 and Lite 2\.0\.0 reads 1$"):
        run_infer(programs.infer, inference(images), lambda message: None)

    programs.script(code=code, errors=["one", "the last line"])
    with pytest.raises(error, match=rf"erfnet_infer ended with exit code {code}; its last lines: one; the last line"):
        run_infer(programs.infer, inference(images), lambda message: None)


@pytest.mark.parametrize(("number", "said"), [(signal.SIGSEGV, "SIGSEGV;"), (signal.SIGKILL, "SIGKILL .out of memory")])
def test_death_by_a_signal(tmp_path: Path, images: Path, number: int, said: str) -> None:
    programs = install(tmp_path / "bin", die=int(number), after=2, errors=["so far so good"])
    taken: list[Message] = []
    with pytest.raises(RanksFailed, match=f"was ended by {said}.* so far so good"):
        run_infer(programs.infer, inference(images), taken.append)
    assert sum(isinstance(message, Saved) for message in taken) == 2


def test_a_program_that_does_not_say_what_it_did(tmp_path: Path, images: Path) -> None:
    programs = install(tmp_path / "bin", silent=True)
    with pytest.raises(ErfnetJobsError, match="did not say what it did"):
        run_infer(programs.infer, inference(images), lambda message: None)


def test_where_its_messages_cannot_be_taken_it_is_ended(tmp_path: Path, images: Path) -> None:
    programs = install(tmp_path / "bin", hang=True, after=1)

    def take(message: Message) -> None:
        if isinstance(message, Advanced):
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        run_infer(programs.infer, inference(images), take)
    assert gone(programs.calls[0]["pid"])


@pytest.mark.parametrize("content", [b"\x7fELF of another machine", b"#!/nowhere/sh\n"])
def test_a_program_that_cannot_be_started(tmp_path: Path, images: Path, content: bytes) -> None:
    program = tmp_path / "erfnet_infer"
    program.write_bytes(content)
    program.chmod(0o755)
    with pytest.raises(MissingDependency, match=r"erfnet_infer cannot be run \(.*make infer310"):
        run_infer(program, inference(images), lambda message: None)


def test_a_program_whose_libraries_are_not_found(tmp_path: Path, images: Path) -> None:
    programs = install(tmp_path / "bin", code=127, silent=True, errors=["error while loading shared libraries: x.so"])
    with pytest.raises(MissingDependency, match=r"make infer310.*LITE_HOME.*loading shared libraries"):
        run_infer(programs.infer, inference(images), lambda message: None)


def test_a_child_of_the_program_that_stays_is_not_waited_for(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nsleep 3600 &\necho $!\nprintf 'no end of line'\nprintf 'nor here' >&2\n")
    program.chmod(0o755)
    lines: list[str] = []
    try:
        ending = run_child([str(program)], os.environ, lines.append)
    finally:
        os.kill(int(lines[0]), signal.SIGKILL)
    assert (ending.code, lines[1:], ending.last) == (0, ["no end of line"], ("nor here",))


def test_many_lines_are_all_taken(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nseq 1 200000\nseq 1 100000 >&2\n")
    program.chmod(0o755)
    lines: list[str] = []
    ending = run_child([str(program)], os.environ, lines.append)
    assert lines == [str(number) for number in range(1, 200_001)]
    assert ending.last == tuple(str(number) for number in range(99_995, 100_001))


def test_sigterm_ends_the_program_before_the_rank(tmp_path: Path, images: Path) -> None:
    programs = install(tmp_path / "bin", hang=True, after=1)
    code = f"""
from dataclasses import replace
from pathlib import Path
from erfnet_jobs.lite.infer import Inference, run_infer
run_infer(Path({str(programs.infer)!r}), Inference(Path("m"), [Path({str(images)!r})], Path({str(tmp_path)!r})),
          lambda message: print(type(message).__name__, flush=True))
"""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    rank = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environ)
    assert rank.stdout is not None
    with rank.stdout:
        while rank.stdout.readline() != "Advanced\n":
            assert rank.poll() is None
        rank.terminate()
        assert rank.wait(PATIENCE) == -signal.SIGTERM
    assert gone(programs.calls[0]["pid"])


def test_the_version(tmp_path: Path) -> None:
    assert version_of(install(tmp_path / "bin").infer) == VERSION_LINE
    with pytest.raises(MissingDependency, match="cannot be run"):
        version_of(tmp_path / "gone")
    for other in ("/bin/ls", "/bin/true"):
        with pytest.raises(MissingDependency, match=f"{other} is no erfnet_infer"):
            version_of(Path(other))


def converter(tmp_path: Path, target: str, **values: Any) -> Converter:
    infer = install(tmp_path / "bin", vendor=True, **values).infer
    return find_converter(infer, target, {"LITE_HOME": str(tmp_path / "bin"), "PATH": ""})


def onnx(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"onnx")
    return path


@pytest.mark.parametrize(("target", "name"), [(CPU_TARGET, "erfnet_convert"), (ASCEND_TARGET, VENDOR.name)])
def test_converting(tmp_path: Path, target: str, name: str) -> None:
    output = tmp_path / "ERFNet.lite.mindir"
    found = converter(tmp_path, target)
    assert found.path.name == name
    convert(found, onnx(tmp_path), output)
    assert output.read_bytes() == b"onnx"


def test_the_vendor_s_converter_reads_what_to_compute_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = replace(converter(tmp_path, ASCEND_TARGET), precision="fp16")
    with caplog.at_level("INFO"):
        convert(found, onnx(tmp_path), tmp_path / "x.mindir")
    assert "precision_mode=enforce_fp16" in caplog.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "model.onnx", "x.mindir"]


def test_a_converter_that_says_success_and_writes_nothing(tmp_path: Path) -> None:
    found = converter(tmp_path, ASCEND_TARGET, convert_writes=False, convert_says=["[ERROR] an operator is not known"])
    with pytest.raises(ErfnetJobsError, match=r"model\.onnx was not converted.*without a model; .*operator is not"):
        convert(found, onnx(tmp_path), tmp_path / "x.mindir")


@pytest.mark.parametrize(
    ("target", "code", "error"),
    [(CPU_TARGET, 11, BadCheckpoint), (CPU_TARGET, 13, DiskFull), (ASCEND_TARGET, 11, ErfnetJobsError)],
)
def test_what_the_converter_ends_with(tmp_path: Path, target: str, code: int, error: type[ErfnetJobsError]) -> None:
    found = converter(tmp_path, target, convert_code=code, convert_says=["so it goes"])
    with pytest.raises(error, match=rf"model\.onnx was not converted: .* exit code {code}; .*so it goes") as caught:
        convert(found, onnx(tmp_path), tmp_path / "x.mindir")
    assert caught.type is error


def test_a_converter_that_dies(tmp_path: Path) -> None:
    with pytest.raises(RanksFailed, match=r"was not converted: erfnet_convert was ended by SIGFPE"):
        convert(converter(tmp_path, CPU_TARGET, die=int(signal.SIGFPE)), onnx(tmp_path), tmp_path / "x.mindir")


def test_a_converter_that_does_not_end(tmp_path: Path) -> None:
    found = converter(tmp_path, CPU_TARGET, hang=True, errors=["compiling"])
    with pytest.raises(ErfnetJobsError, match=r"erfnet_convert had not ended after 3 s and was stopped: .*compiling"):
        convert(found, onnx(tmp_path), tmp_path / "x.mindir", timeout=3)


def test_a_converter_that_talks_without_end(tmp_path: Path) -> None:
    program = tmp_path / "erfnet_convert"
    program.write_text("#!/bin/sh\nexec yes\n")
    program.chmod(0o755)
    with pytest.raises(ErfnetJobsError, match="had not ended after 1 s"):
        convert(Converter(program, CPU_TARGET), onnx(tmp_path), tmp_path / "x.mindir", timeout=1)


def test_the_name_of_the_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.mindir"):
        convert(converter(tmp_path, CPU_TARGET), onnx(tmp_path), tmp_path / "x.onnx")
