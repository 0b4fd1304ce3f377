"""ERFNet in MindSpore Lite by the C++ programs says what MindSpore says, and all that is written of it is right."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mindspore
import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray
from PIL import Image

from erfnet_jobs.choices import ERFNET
from erfnet_jobs.erfnet.initialise import initialise
from erfnet_jobs.erfnet.labels import IGNORE, TO_LABEL_IDS, colourize
from erfnet_jobs.erfnet.metrics import confusion_matrix, scores
from erfnet_jobs.erfnet.metrics_text import tensor_text
from erfnet_jobs.erfnet.mindir_file import write_mindir
from erfnet_jobs.erfnet.model import make_network
from erfnet_jobs.erfnet.onnx_file import write_onnx
from erfnet_jobs.erfnet.overlay import overlay
from erfnet_jobs.erfnet.split_measure import enlarged
from erfnet_jobs.erfnet.transforms import prepare_image, prepare_label
from erfnet_jobs.errors import MissingDependency
from erfnet_jobs.lite.programs import find_convert, find_infer, given_program
from tests.optional import optional
from tests.tiny import in_graphs

onnx = optional("onnx")
pytestmark = [pytest.mark.mindspore, pytest.mark.xdist_group("cxx_inference")]
in_graphs()

SIZE = (64, 128)
# Height x width of the frames: the model's own, Cityscapes' half, and odd ones.
FRAMES = [(64, 128), (512, 1024), (77, 301), (64, 128), (200, 90)]
ALL = "labels,color,overlay,logits"
# Threads where two predict and ALL is written.
SHARED = {"read": 1, "prepare": 1, "predict": 2, "write": 2}

Pixels = NDArray[np.uint8]
Events = list[dict[str, Any]]


class Classes(nn.Cell):
    """The network with its classes chosen, as export's head argmax has it."""

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, x: Tensor) -> Tensor:
        return ops.cast(ops.argmax(self.network(x), 1), mindspore.int32)


class Programs:
    """The two programs, and one that is run to its end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.infer = find_infer(given_program())
        convert = find_convert(self.infer)
        assert convert, "erfnet_convert is built beside erfnet_infer"
        self.convert = convert

    def run(self, program: Path, *words: object, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [str(program), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)

    def converted(self, name: str) -> Path:
        """NAME.onnx in the folder, as MINDIR."""
        output = self.folder / f"{name}.mindir"
        done = self.run(self.convert, "--onnx", self.folder / f"{name}.onnx", "--output", output)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        return output

    def events(self, *words: object, code: int = 0, **options: Any) -> Events:
        done = self.run(self.infer, *words, "--json", **options)
        assert done.returncode == code, done.stdout + done.stderr
        assert done.stderr == ""
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def network() -> nn.Cell:
    """ERFNet with random weights and statistics."""
    network = make_network(ERFNET)
    initialise(network, 1)
    chance = np.random.default_rng(1)
    for parameter in network.get_parameters():
        if len(parameter.shape) == 1:
            around = -0.5 if parameter.name.endswith(("bias", "beta", "moving_mean")) else 0.5
            parameter.set_data(Tensor((chance.random(parameter.shape) + around).astype(np.float32)))
    network.set_train(False)
    return network


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, network: nn.Cell) -> Programs:
    try:
        programs = Programs(tmp_path_factory.mktemp("lite"))
    except MissingDependency as error:
        pytest.fail(str(error)) if os.environ.get("CI") else pytest.skip(str(error))
    images = Tensor(np.zeros((1, 3, *SIZE), np.float32))
    write_onnx(network, images, "logits", {}, programs.folder / "logits.onnx")
    write_onnx(Classes(network), images, "classes", {}, programs.folder / "classes.onnx")
    write_onnx(network, Tensor(np.zeros((2, 3, *SIZE), np.float32)), "logits", {}, programs.folder / "two.onnx")
    write_mindir(network, images, {}, programs.folder / "new.mindir")
    return programs


@pytest.fixture(scope="module")
def model(programs: Programs) -> Path:
    return programs.converted("logits")


@pytest.fixture(scope="module")
def frames(programs: Programs) -> dict[str, tuple[Pixels, Pixels]]:
    """Frames and labels by name, in a folder each."""
    chance = np.random.default_rng(2)
    made = {}
    for place, size in enumerate(FRAMES):
        coarse = chance.integers(0, 256, (9, 17, 3), np.uint8)
        image = np.asarray(Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC))
        ids = np.append(np.arange(IGNORE), 255).astype(np.uint8)
        label = chance.choice(ids, size)
        name = f"bonn_{place:06}_000000"
        for folder, suffix, pixels in (("images", "_leftImg8bit", image), ("labels", "_gtFine_labelTrainIds", label)):
            (programs.folder / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(programs.folder / folder / f"{name}{suffix}.png")
        made[name] = image, np.minimum(label, IGNORE)
    return made


@pytest.fixture(scope="module")
def inferred(programs: Programs, model: Path, frames: object) -> tuple[Path, Events]:
    output = programs.folder / "out"
    images, labels = programs.folder / "images", programs.folder / "labels"
    where = ("--model", model, "--images", images, "--labels", labels, "--output", output)
    return output, programs.events(*where, "--save", ALL, "--threads", 2)


def read(path: Path) -> Pixels:
    return np.asarray(Image.open(path))


def test_logits_and_classes_are_mindspores(
    network: nn.Cell, frames: dict[str, tuple[Pixels, Pixels]], inferred: tuple[Path, Events]
) -> None:
    same = []
    for name, (image, _) in frames.items():
        wanted = network(Tensor(prepare_image(image, SIZE)[None])).asnumpy()[0]
        found = np.load(inferred[0] / f"{name}.npy")
        assert found.dtype == np.float32
        assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()
        same.append(np.mean(found.argmax(0) == wanted.argmax(0)))
    assert np.mean(same) >= 0.9999


def test_pictures_are_those_of_python(frames: dict[str, tuple[Pixels, Pixels]], inferred: tuple[Path, Events]) -> None:
    folder, events = inferred
    for name, (image, _) in frames.items():
        classes = enlarged(np.load(folder / f"{name}.npy").argmax(0).astype(np.uint8), image.shape[:2])
        np.testing.assert_array_equal(read(folder / f"{name}_pred_labelIds.png"), TO_LABEL_IDS[classes])
        np.testing.assert_array_equal(read(folder / f"{name}_prediction.png"), colourize(classes))
        np.testing.assert_array_equal(read(folder / f"{name}_overlay.png"), overlay(image, classes))
    saved = [event for event in events if event["event"] == "saved"]
    assert [event["name"] for event in saved] == sorted(frames)
    written = {Path(path) for event in saved for path in event["files"].values()}
    assert written | {folder / "metric.txt", folder / "metric.json"} == set(folder.iterdir())


def test_metrics_are_those_of_python(frames: dict[str, tuple[Pixels, Pixels]], inferred: tuple[Path, Events]) -> None:
    folder, events = inferred
    matrix = sum(
        confusion_matrix(prepare_label(label, SIZE), np.load(folder / f"{name}.npy").argmax(0))
        for name, (_, label) in frames.items()
    )
    wanted = scores(np.asarray(matrix))
    metric = events[-1]["metric"]
    assert metric == json.loads((folder / "metric.json").read_text())
    assert (metric["height"], metric["width"], metric["images"]) == (*SIZE, len(frames))
    np.testing.assert_array_equal(metric["confusion"], np.asarray(matrix)[:IGNORE])
    for name in ("mean_iou", "mean_iou_19", "pixel_accuracy"):
        assert metric[name] == pytest.approx(getattr(wanted, name), abs=1e-9, rel=0)
    assert metric["iou_class"] == pytest.approx(wanted.iou_class, abs=1e-9, rel=0)
    ious = tensor_text([np.nan if iou is None else iou for iou in wanted.iou_class])
    assert (folder / "metric.txt").read_text() == f"mean_iou:  {metric['mean_iou']}\niou_class:  {ious}\n"


def test_what_is_told(model: Path, frames: object, inferred: tuple[Path, Events]) -> None:
    start, end = inferred[1][0], inferred[1][-1]
    assert (start["event"], start["engine"], start["threads"]) == ("start", "lite-cpu", 2)
    assert (start["images"], start["labelled"]) == (len(FRAMES), len(FRAMES))
    assert start["model"] == {
        "path": str(model),
        "input": [1, 3, *SIZE],
        "input_type": "float32",
        "output": [1, 20, *SIZE],
        "output_type": "float32",
    }
    assert (end["event"], end["images"], end["skipped"]) == ("end", len(FRAMES), 0)
    assert end["peak_memory_bytes"] > 0
    phases = end["phases_ms"]
    assert all(phase["p99"] >= phase["p50"] > 0 for phase in phases.values())
    assert {name: phase["threads"] for name, phase in phases.items()} == SHARED
    progress = [event for event in inferred[1] if event["event"] == "progress"]
    assert (progress[-1]["done"], progress[-1]["total"]) == (len(FRAMES), len(FRAMES))


def test_a_model_that_chooses_classes_itself(programs: Programs, frames: object, inferred: tuple[Path, Events]) -> None:
    classes, output = programs.converted("classes"), programs.folder / "classes"
    where = ("--model", classes, "--images", programs.folder / "images", "--output", output)
    programs.events(*where)
    for path in output.iterdir():
        assert np.mean(read(path) == read(inferred[0] / path.name)) >= 0.9999
    failed = programs.events(*where, "--save", "logits", code=2)
    assert "--head logits" in failed[-1]["message"]


def test_models_that_cannot_be_used(programs: Programs, frames: object, tmp_path: Path) -> None:
    images, output = programs.folder / "images", tmp_path / "out"
    for name, parts in (
        ("new.mindir", ["version 3", "2.0.0", "version 1", "--format lite"]),
        ("logits.onnx", ["is no MINDIR"]),
        ("none.mindir", ["there is no model"]),
    ):
        done = programs.run(programs.infer, "--model", programs.folder / name, "--images", images, "--output", output)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (11, "", 1)
        assert all(part in done.stderr for part in (name, *parts)), done.stderr
        assert not output.exists()


@pytest.mark.parametrize("level", [0, 1, 2, 3, 4])
def test_reasons_are_found_whatever_lite_is_to_log(
    programs: Programs, model: Path, frames: object, tmp_path: Path, level: int
) -> None:
    """Jobs have GLOG_v=3, with which MindSpore Lite logs no warnings."""
    (tmp_path / "empty.mindir").write_bytes(b"\x0a\x050.1.1\x50\x01")
    environ = os.environ | {"GLOG_v": str(level)}
    where = ("--images", programs.folder / "images", "--output", tmp_path / "out")
    done = programs.run(programs.infer, "--model", tmp_path / "empty.mindir", *where, env=environ)
    assert done.returncode == 11
    assert "does not load" in done.stderr
    assert "Parse model producer name" in done.stderr.split("does not load")[1]
    done = programs.run(programs.infer, "--model", model, *where, "--precision", "fp16", env=environ)
    assert done.returncode == 2
    assert "computes in fp32 on this CPU" in done.stderr
    assert (done.stderr.count("\n") == 1) == (level > 1)
    assert not (tmp_path / "out").exists()


def test_help_and_versions_say_where_nobody_can_be_told(programs: Programs) -> None:
    for program in (programs.infer, programs.convert):
        version = programs.run(program, "--version").stdout
        assert re.fullmatch(rf"{program.name} [0-9.]+ \(MindSpore Lite [0-9.]+\)\n", version)
        for option in ("--help", "--version"):
            with Path("/dev/full").open("w") as full:
                done = subprocess.run([program, option], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
            assert done.returncode == 13
            assert done.stderr.startswith(f"{program.name}: standard output takes no more (No space left on device)")


def test_documents_that_find_no_room_end_it_with_the_reason(
    programs: Programs, model: Path, frames: object, tmp_path: Path
) -> None:
    command = [programs.infer, "--model", model, "--images", programs.folder / "images", "--output", tmp_path, "--json"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 13
    assert done.stderr.startswith("erfnet_infer: standard output takes no more (No space left on device)")
    assert done.stderr.count("\n") == 1


def spoil(source: Path, spoilt: Path) -> None:
    """Write paddings in MindSpore's order, as its export does: MindSpore Lite converts it, but cannot run that."""
    model = onnx.load(source)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "pads":
                top, left, bottom, right = attribute.ints
                attribute.ints[:] = [top, bottom, left, right]
    onnx.save(model, spoilt)


def test_graphs_that_cannot_be_converted_leave_nothing(programs: Programs, tmp_path: Path) -> None:
    spoil(programs.folder / "logits.onnx", tmp_path / "raw.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    for path, part in (
        (tmp_path / "raw.onnx", "what comes out is of no use"),
        (tmp_path / "text.onnx", "does not convert"),
        (programs.folder / "two.onnx", "--batch 1"),
        (tmp_path / "none.onnx", "there is no file"),
    ):
        output = tmp_path / "made.mindir"
        done = programs.run(programs.convert, "--onnx", path, "--output", output)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (11, "", 1), done.stderr
        assert part in done.stderr
        assert sorted(found.name for found in tmp_path.iterdir()) == ["raw.onnx", "text.onnx"]


def test_one_bad_image_is_skipped(programs: Programs, model: Path, frames: object, tmp_path: Path) -> None:
    good = next((programs.folder / "images").iterdir())
    (tmp_path / "bad.png").write_bytes(good.read_bytes()[:1000])
    where = ("--model", model, "--images", good, tmp_path / "bad.png", "--output", tmp_path / "out")
    events = programs.events(*where, code=3)
    assert [event["event"] for event in events if event["event"] != "progress"] == [
        "start",
        "skipped",
        "saved",
        "end",
        "error",
    ]
    assert (events[-2]["images"], events[-2]["skipped"], events[-1]["exit_code"]) == (1, 1, 3)
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_its_own_pictures_are_not_replaced(programs: Programs, model: Path, frames: object) -> None:
    images = programs.folder / "images"
    there = sorted(images.iterdir())
    events = programs.events("--model", model, "--images", images, "--output", images, code=2)
    assert [event["event"] for event in events] == ["error"]
    assert "--output" in events[0]["message"]
    assert sorted(images.iterdir()) == there


def test_figures_of_an_earlier_run_and_files_left_alone_are_told(
    programs: Programs, model: Path, frames: object, tmp_path: Path
) -> None:
    images, output = tmp_path / "images", tmp_path / "out"
    shutil.copytree(programs.folder / "images", images)
    where = ("--model", model, "--images", images, "--output", output, "--limit", 1)
    programs.events(*where, "--labels", programs.folder / "labels")
    assert {"metric.txt", "metric.json"} <= {path.name for path in output.iterdir()}
    (images / "scan.bmp").touch()
    done = programs.run(programs.infer, *where, "--json")
    assert done.returncode == 0
    left, removed = done.stderr.splitlines()
    assert left == "erfnet_infer: 1 other file among the images left alone: .png, .jpg and .jpeg are taken"
    assert removed == f"erfnet_infer: removed metric.txt and metric.json of an earlier run from {output}"
    assert [path.suffix for path in output.iterdir()] == [".png"]


def limited(size: int) -> Callable[[], None]:
    """Files of this process grow to `size` bytes and no further, as on a full disk."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_a_full_disk_is_told_once(programs: Programs, model: Path, frames: object, tmp_path: Path) -> None:
    where = ("--model", model, "--images", programs.folder / "images", "--output", tmp_path / "out")
    events = programs.events(*where, "--save", "logits", code=13, preexec_fn=limited(100_000))
    assert events[-1]["exit_code"] == 13
    assert str(tmp_path / "out") in events[-1]["message"]
    assert list((tmp_path / "out").iterdir()) == []


@pytest.fixture
def running(programs: Programs, model: Path, frames: object, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The program with more to do than it gets done, after its first picture."""
    images = tmp_path / "images"
    images.mkdir()
    large = max((programs.folder / "images").iterdir(), key=lambda path: path.stat().st_size)
    for place in range(3000):
        (images / f"{place:05}.png").symlink_to(large)
    command = [programs.infer, "--model", model, "--images", images, "--output", tmp_path / "out", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while json.loads(process.stdout.readline())["event"] != "saved":
            pass
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(running: subprocess.Popen[str], number: int, tmp_path: Path) -> None:
    running.send_signal(number)
    assert running.stdout is not None
    assert running.stderr is not None
    # Not `communicate`: it leaves out what was read ahead with the first line that says "saved".
    output, error = running.stdout.read(), running.stderr.read()
    assert (running.wait(timeout=60), error) == (130, "")
    events = [json.loads(line) for line in output.splitlines()]
    assert events[-1]["exit_code"] == 130
    written = list((tmp_path / "out").iterdir())
    assert all(path.name.endswith("_pred_labelIds.png") for path in written)
    assert len(written) == 1 + sum(event["event"] == "saved" for event in events)
    assert str(len(written)) in events[-1]["message"]


def test_who_reads_its_output_may_end(running: subprocess.Popen[str]) -> None:
    assert running.stdout is not None
    running.stdout.close()
    assert running.wait(timeout=60) == 1
