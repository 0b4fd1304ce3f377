"""Processes that build one MindRecord together, are killed at it, or find the disk full."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from erfnet_jobs.erfnet.data_hash import dataset_hash
from erfnet_jobs.erfnet.mindrecord import ensure_mindrecord
from tests.mindrecords import build, quiet
from tests.small_data import make_dataset

pytestmark = pytest.mark.mindspore
PROGRAM = Path(__file__).with_name("building_process.py")
REPOSITORY = Path(__file__).parents[2]


def start(*arguments: object) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdout
    assert process.stdin
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("\n")
    process.stdin.flush()


def test_of_several_processes_one_builds_and_all_follow(tmp_path: Path) -> None:
    data, cache = make_dataset(tmp_path / "d", train=60, size=(200, 300)), tmp_path / "cache"
    processes = [start(data, "train", cache) for _ in range(2)]
    try:
        for process in processes:
            go(process)
        outputs = [process.communicate(timeout=120)[0].splitlines() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    path = cache / dataset_hash(data, "train") / "train" / "train.mindrecord"
    assert [process.returncode for process in processes] == [0, 0]
    assert [lines[-1] for lines in outputs] == [f"built {path} 60"] * 2
    # Only a builder sees every image; one who waits looks some times a second.
    assert sum([f"{done} 60" for done in range(61)] == lines[:-1] for lines in outputs) == 1


def test_what_a_killed_builder_left_is_built_anew(tmp_path: Path) -> None:
    data, cache = make_dataset(tmp_path / "d", train=60, size=(200, 300)), tmp_path / "cache"
    process = start(data, "train", cache)
    try:
        go(process)
        assert process.stdout
        while process.stdout.readline() != "20 60\n":
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    folder = cache / dataset_hash(data, "train")
    assert (folder / ".train.building").is_dir()
    assert not (folder / "train").exists()
    assert ensure_mindrecord(data, "train", cache, 2, quiet).count == 60
    assert {entry.name for entry in folder.iterdir()} == {"train", ".train.lock"}


def test_a_build_killed_between_its_two_renames_is_put_back(tmp_path: Path) -> None:
    data, target = make_dataset(tmp_path / "d"), tmp_path / "r"
    build(data, target)
    target.rename(tmp_path / ".r.old")
    assert not build(data, target)[1]
    assert {entry.name for entry in tmp_path.iterdir()} == {"d", "r", ".r.lock"}


def test_a_disk_that_is_full_on_the_way_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    data, cache = make_dataset(tmp_path / "d", train=30, size=(200, 300)), tmp_path / "cache"
    process = start(data, "train", cache, 2 << 20)
    try:
        go(process)
        output = process.communicate(timeout=120)[0].splitlines()
    finally:
        process.kill()
        process.wait()
    assert process.returncode not in {0, None}
    assert "cannot" in output[-1]
    assert {entry.name for entry in (cache / dataset_hash(data, "train")).iterdir()} == {".train.lock"}
    assert ensure_mindrecord(data, "train", cache, 2, quiet).count == 30
