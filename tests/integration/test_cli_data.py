import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.documents import check_document, command_of
from tests.small_data import make_dataset, paths_of

REPOSITORY = Path(__file__).parents[2]


def run(home: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    program = "from erfnet_jobs.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=home,
        env={**os.environ, "HOME": str(home), "PYTHONPATH": str(REPOSITORY)},
    )
    if "--json" in arguments:
        check_document(command_of([*map(str, arguments)]), json.loads(done.stdout))
    return done


def test_scenes_are_made_checked_and_made_only_once(tmp_path: Path) -> None:
    scenes = ("data", "scenes", "out", "--train", 2, "--val", 1, "--size", "48x96", "--seed", 4)
    made = run(tmp_path, *scenes)
    assert (made.returncode, made.stdout) == (0, "out: 2 scenes to train on, 1 to validate on, 48x96\n")
    assert "nothing to do" in run(tmp_path, *scenes).stdout
    again = json.loads(run(tmp_path, *scenes, "--json").stdout)
    assert again == {"path": "out", "made": False, "train": 2, "val": 1, "size": [48, 96], "seed": 4}
    other = run(tmp_path, *scenes[:-1], 5)
    assert other.returncode == 2
    assert "error: " in other.stderr
    assert "holds other scenes" in other.stderr
    checked = run(tmp_path, "data", "check", "out")
    assert checked.returncode == 0
    assert "train: 2 good pairs (height x width: 2 of 48x96), 0 faults" in checked.stdout
    assert checked.stdout.endswith("no faults\n")


def test_check_names_every_fault_and_exits_with_1(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "d")
    image, label = paths_of(data, "train", "aachen_000000_000019")
    label.unlink()
    paths_of(data, "val", "frankfurt_000001_000019")[0].write_bytes(b"")
    found = run(tmp_path, "data", "check", "d")
    assert found.returncode == 1
    assert f"{Path('d') / image.relative_to(data)} has no label" in found.stdout
    assert "frankfurt_000001_000019_leftImg8bit.png is damaged or no picture" in found.stdout
    assert "2 faults:" in found.stdout
    document = run(tmp_path, "data", "check", "d", "--json")
    assert document.returncode == 1
    assert (json.loads(document.stdout)["ok"], len(json.loads(document.stdout)["faults"])) == (False, 2)
    assert json.loads(run(tmp_path, "data", "check", "d", "--split", "val", "--json").stdout)["splits"].keys() == {
        "val"
    }


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("check", "nowhere"), 3, "nowhere does not exist"),
        (("build", "--dataset-path", "nowhere"), 3, "nowhere does not exist"),
        (("build", "--dataset-path", "d", "--subset", "test"), 3, "splits with images are train, val"),
        (("build", "--dataset-path", "d", "--shards", 0), 2, "shards is 0"),
        (("build",), 2, "--dataset-path"),
        (("scenes", "out", "--size", "128"), 2, "give HEIGHTxWIDTH"),
        (("scenes", "out", "--size", "8x8"), 2, "each from 32 to 4096"),
        (("scenes", "out", "--train", "-1"), 2, "give numbers from 0"),
        (("scenes", "/proc/out", "--train", "1"), 2, "cannot be written"),
    ],
)
def test_mistakes_are_told_without_a_traceback(
    tmp_path: Path, arguments: tuple[object, ...], code: int, said: str
) -> None:
    make_dataset(tmp_path / "d", train=1, val=1)
    told = run(tmp_path, "data", *arguments)
    assert told.returncode == code
    assert said in told.stderr
    assert "Traceback" not in told.stderr
    assert told.stdout == ""


def test_mistakes_are_told_as_json_too(tmp_path: Path) -> None:
    told = run(tmp_path, "data", "check", "nowhere", "--json")
    assert json.loads(told.stdout)["error"]["exit_code"] == told.returncode == 3


@pytest.mark.mindspore
def test_build_makes_a_mindrecord_once(tmp_path: Path) -> None:
    make_dataset(tmp_path / "d")
    build = ("data", "build", "--dataset-path", "d", "--output-name", "all.mindrecord", "--shards", 2, "--workers", 2)
    first = json.loads(run(tmp_path, *build, "--json").stdout)
    assert first["path"] == str(tmp_path / "all.mindrecord")
    assert (first["images"], first["subset"], first["shards"], first["built"]) == (5, "train", 2, True)
    assert first["store"] == "raw"
    names = {"all.mindrecord0", "all.mindrecord0.db", "all.mindrecord1", "all.mindrecord1.db", "meta.json"}
    assert {entry.name for entry in (tmp_path / "all.mindrecord").iterdir()} == names
    second = run(tmp_path, *build)
    assert second.returncode == 0
    assert "nothing to do (5 images of train)" in second.stdout
    third = json.loads(run(tmp_path, *build, "--store", "found", "--json").stdout)
    assert (third["store"], third["built"], third["dataset_hash"]) == ("found", True, first["dataset_hash"])


def test_help_of_each_command(tmp_path: Path) -> None:
    assert all(name in run(tmp_path, "data", "--help").stdout for name in ("scenes", "check", "build"))
    for name in ("scenes", "check", "build"):
        assert f"data {name} [OPTIONS]" in run(tmp_path, "data", name, "--help").stdout


def _ended(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("only_the_command", [False, True], ids=["ctrl-c", "sigint"])
def test_an_interrupted_run_leaves_no_file_and_no_process(tmp_path: Path, only_the_command: bool) -> None:
    program = "from erfnet_jobs.cli import main; main()"
    words = ("data", "scenes", str(tmp_path / "out"), "--train", "4000", "--size", "64x128", "--workers", "2")
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    deadline = time.monotonic() + 60
    try:
        while not any(tmp_path.glob(".out.*.making/gtFine/train/*/*.png")):
            assert time.monotonic() < deadline
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"it ended with {process.wait(0.05)}")
        if only_the_command:
            process.send_signal(signal.SIGINT)
        else:
            os.killpg(process.pid, signal.SIGINT)
        told = process.communicate(timeout=30)[1]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []
    assert _ended(process.pid)
