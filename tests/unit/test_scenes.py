import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from erfnet_jobs.erfnet.cityscapes import find_pairs
from erfnet_jobs.erfnet.data_check import check_dataset
from erfnet_jobs.erfnet.labels import CLASS_NAMES, FROM_LABEL_IDS
from erfnet_jobs.erfnet.scenes import MARKER, Scenes, make_scenes
from erfnet_jobs.erfnet.scenes.scene import draw_scene
from erfnet_jobs.errors import ErfnetJobsError, UsageError

SMALL = Scenes(4, 2, (32, 64), seed=5)


def contents(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_arguments_make_the_same_bytes_in_one_process_or_several(tmp_path: Path) -> None:
    many = Scenes(40, 12, (32, 64), seed=5)
    seen: list[tuple[int, int]] = []
    assert make_scenes(tmp_path / "one", many, workers=1)
    assert make_scenes(tmp_path / "two", many, workers=2, progress=lambda done, total: seen.append((done, total)))
    made = contents(tmp_path / "one")
    assert made == contents(tmp_path / "two")
    assert seen[-1] == (52, 52)
    assert len(set(made.values())) == len(made), "two scenes are the same"
    assert {entry.name for entry in tmp_path.iterdir()} == {"one", "two"}


def test_another_seed_makes_other_scenes(tmp_path: Path) -> None:
    make_scenes(tmp_path / "five", SMALL)
    make_scenes(tmp_path / "six", Scenes(4, 2, (32, 64), seed=6))
    five, six = contents(tmp_path / "five"), contents(tmp_path / "six")
    assert five.keys() == six.keys()
    assert not set(five.values()) & set(six.values())


def test_scenes_are_a_clean_dataset_of_odd_size_whose_cities_differ_by_split(tmp_path: Path) -> None:
    make_scenes(tmp_path / "s", Scenes(4, 2, (97, 133), seed=1))
    result = check_dataset(tmp_path / "s")
    assert result.faults == ()
    assert [(split.pairs, split.sizes) for split in result.splits] == [(4, {"97x133": 4}), (2, {"97x133": 2})]
    cities = [{pair.image.parent.name for pair in find_pairs(tmp_path / "s", split)} for split in ("train", "val")]
    assert not cities[0] & cities[1]


def test_every_scene_has_the_large_classes_and_all_19_occur_often() -> None:
    labels = [FROM_LABEL_IDS[draw_scene((3, 0, number), (64, 128))[1]] for number in range(40)]
    shows = np.array([[(label == train_id).any() for train_id in range(19)] for label in labels])
    for name in ("road", "sidewalk", "building", "vegetation", "sky"):
        assert shows[:, CLASS_NAMES.index(name)].all(), name
    assert (shows.mean(axis=0) > 0.25).all(), dict(zip(CLASS_NAMES, shows.mean(axis=0), strict=True))


def test_colour_alone_does_not_tell_the_class() -> None:
    """The mean colour of a class varies more between scenes than the mean colours of classes differ."""
    scenes = [draw_scene((3, 0, number), (64, 128)) for number in range(30)]
    means = []
    for train_id in (0, 1, 2, 8, 13):
        masks = [FROM_LABEL_IDS[label] == train_id for _, label in scenes]
        means.append([image[mask].mean(axis=0) for (image, _), mask in zip(scenes, masks, strict=True) if mask.any()])
    spread = np.mean([np.std(colours, axis=0) for colours in means])
    assert spread > 0.7 * np.std([np.mean(colours, axis=0) for colours in means], axis=0).mean()


def test_a_second_run_does_nothing(tmp_path: Path) -> None:
    assert make_scenes(tmp_path / "s", SMALL)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert not make_scenes(tmp_path / "s", SMALL)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_folder_that_holds_anything_else_is_left_alone(tmp_path: Path) -> None:
    make_scenes(tmp_path / "s", SMALL)
    with pytest.raises(UsageError, match="holds other scenes"):
        make_scenes(tmp_path / "s", Scenes(4, 3, (32, 64), seed=5))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(UsageError, match="not empty"):
        make_scenes(tmp_path / "mine", SMALL)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="not empty"):
        make_scenes(tmp_path / "file", SMALL)
    assert [entry.name for entry in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    assert make_scenes(tmp_path / "s", SMALL)
    assert json.loads((tmp_path / "s" / MARKER).read_text())["train"] == 4


@pytest.mark.parametrize(
    "arguments",
    [(-1, 2, (32, 64), 1), (0, 0, (32, 64), 1), (1, 1, (31, 64), 1), (1, 1, (32, 5000), 1), (1, 1, (32, 64), -1)],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[int, int, tuple[int, int], int]) -> None:
    with pytest.raises(UsageError, match="give"):
        Scenes(*arguments)


def test_what_a_killed_run_left_goes_and_a_running_ones_stays(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f".s.{ended.pid}.making").mkdir()
    (tmp_path / f".s.{os.getppid()}.making").mkdir()
    make_scenes(tmp_path / "s", SMALL)
    assert {entry.name for entry in tmp_path.iterdir()} == {"s", f".s.{os.getppid()}.making"}


def test_a_process_that_fails_fails_all_and_leaves_nothing(tmp_path: Path) -> None:
    def sabotage(done: int, total: int) -> None:
        for folder in tmp_path.glob(".s.*.making/gtFine/train/*"):
            folder.rename(folder.with_name(f"{folder.name}-gone"))

    with pytest.raises(ErfnetJobsError, match=r"ended with exit code 1: .*No such file"):
        make_scenes(tmp_path / "s", Scenes(600, 0, (32, 64), seed=1), workers=2, progress=sabotage)
    assert list(tmp_path.iterdir()) == []
