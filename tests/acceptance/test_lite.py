"""From a checkpoint to figures by real MindSpore, ONNX and MindSpore Lite, held to the Python evaluation."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mindspore import Tensor

from erfnet_jobs.choices import ERFNET
from erfnet_jobs.erfnet import checkpoints
from erfnet_jobs.erfnet.checkpoints import Position
from erfnet_jobs.erfnet.cityscapes import find_pairs
from erfnet_jobs.erfnet.data_hash import dataset_hash
from erfnet_jobs.erfnet.inference import inference_network, use_weights
from erfnet_jobs.erfnet.initialise import initialise
from erfnet_jobs.erfnet.labels import OUTPUTS
from erfnet_jobs.erfnet.metrics import confusion_matrix, scores
from erfnet_jobs.erfnet.mindir_file import write_mindir
from erfnet_jobs.erfnet.model import make_network
from erfnet_jobs.erfnet.pictures import load_image, load_label
from erfnet_jobs.erfnet.scenes import Scenes, make_scenes
from erfnet_jobs.erfnet.transforms import prepare_image, prepare_label
from erfnet_jobs.errors import BadCheckpoint, BadData
from erfnet_jobs.files import sha256_of
from erfnet_jobs.plan import CheckpointFile
from tests.optional import optional
from tests.real_lite import real_infer
from tests.tiny import in_graphs

optional("onnx")
optional("onnxruntime")

pytestmark = [pytest.mark.mindspore, pytest.mark.timeout(900), pytest.mark.xdist_group("lite")]
ROOT = Path(__file__).parents[2]
SMALL, SCENE = (128, 256), (256, 512)
WHOLE = (512, 1024)
PATIENCE = 800


@dataclass(frozen=True)
class Shell:
    """A home, and commands of the product with the real program."""

    home: Path
    program: Path

    def run(self, *arguments: str) -> tuple[int, str, str]:
        environ = {
            **os.environ,
            "ERFNET_JOBS_HOME": str(self.home),
            "ERFNET_JOBS_INFER_310": str(self.program),
        }
        command = [sys.executable, "-m", "erfnet_jobs", "run", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        return done.returncode, done.stdout, done.stderr

    def document(self, *arguments: str) -> dict[str, Any]:
        code, out, error = self.run(*arguments, "--json")
        assert code == 0, error
        document: dict[str, Any] = json.loads(out)
        return document


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    program = real_infer()
    in_graphs()
    return Shell(tmp_path_factory.mktemp("home"), program)


def scenes(folder: Path, train: int, val: int, size: tuple[int, int]) -> Path:
    make_scenes(folder, Scenes(train, val, size, seed=3), 1, lambda done, total: None)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes twice as large as the model, so that the program's resize counts."""
    return scenes(tmp_path_factory.mktemp("data") / "scenes", 4, 3, SCENE)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = make_network(ERFNET)
    initialise(network, 1)
    path = tmp_path_factory.mktemp("untrained") / "ERFNet_stage4-1_1.ckpt"
    checkpoints.save(path, network.get_parameters(), Position(ERFNET, 4, 1, 1, 1))
    return path


@pytest.fixture(scope="module")
def trained(shell: Shell, data: Path) -> Path:
    """A few steps of stage 4: statistics and weights that no initialisation has."""
    size = f"{SMALL[0]}x{SMALL[1]}"
    document = shell.document(
        *("train", "--data", str(data), "--size", size, "--stages", "3-4", "--from-scratch", "--epochs", "1,1,1,2"),
        *("--batch-size", "2", "--validate-every", "0"),
    )
    return Path(document["run_dir"], document["checkpoints"][-1]["path"])


def artifact(document: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = (one for one in document["artifacts"] if one["format"] == kind)
    return dict(found)


def held_to_python(shell: Shell, checkpoint: Path, data: Path, size: tuple[int, int], out: Path) -> dict[str, Any]:
    """Run the product's command, and compare all that it gives with the network's own; gives its document."""
    document = shell.document(
        *("310-infer", "--checkpoint", str(checkpoint), "--images", str(data), "--labels", str(data)),
        *("--size", f"{size[0]}x{size[1]}", "--save", "labels,logits", "--device", "cpu", "--output", str(out)),
    )
    network = inference_network(ERFNET)
    use_weights(network, ERFNET, CheckpointFile(str(checkpoint)))
    same, total = 0, 0
    matrix = np.zeros((OUTPUTS, OUTPUTS), np.int64)
    for pair in find_pairs(data, "val"):
        wanted = network(Tensor(prepare_image(load_image(pair.image), size)[None])).asnumpy()[0]
        found = np.load(out / f"{pair.name}.npy", allow_pickle=False)
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
        assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()
        same += int((found.argmax(0) == wanted.argmax(0)).sum())
        total += wanted[0].size
        matrix += confusion_matrix(prepare_label(load_label(pair.label), size), found.argmax(0))
        picture = load_label(out / f"{pair.name}_pred_labelIds.png")
        assert picture.shape == load_image(pair.image).shape[:2]
    assert same / total >= 0.9999

    (evaluation,) = document["evaluations"]
    own = scores(matrix)
    for name in ("mean_iou", "mean_iou_19", "mean_iou_category", "pixel_accuracy"):
        assert evaluation[name] == pytest.approx(getattr(own, name), abs=1e-9)
    for name in ("iou_class", "iou_category"):
        assert evaluation[name] == [None if iou is None else pytest.approx(iou, abs=1e-9) for iou in getattr(own, name)]
    assert evaluation["dataset_hash"] == dataset_hash(data, "val")
    assert (evaluation["engine"], evaluation["protocol"]) == ("lite-cpu", "half")
    assert (evaluation["height"], evaluation["width"]) == size
    assert evaluation["images_per_second"] > 0
    lite, onnx = artifact(document, "lite"), artifact(document, "onnx")
    assert evaluation["model_sha256"] == lite["sha256"] == sha256_of(Path(lite["path"]))
    assert lite["made_from"] == onnx["sha256"]
    assert max(lite["difference"], onnx["difference"]) <= 1e-4
    return document


@pytest.mark.parametrize("weights", ["untrained", "trained"])
def test_the_program_sees_what_the_network_sees(
    shell: Shell, data: Path, tmp_path: Path, weights: str, request: pytest.FixtureRequest
) -> None:
    document = held_to_python(shell, request.getfixturevalue(weights), data, SMALL, tmp_path / "out")
    size = f"{SMALL[0]}x{SMALL[1]}"
    if weights == "trained":
        evaluated = shell.document(
            *("eval", "--checkpoint", str(request.getfixturevalue(weights)), "--data", str(data), "--size", size),
            *("--worst", "0"),
        )
        (own,), (found,) = evaluated["evaluations"], document["evaluations"]
        comparable = ("dataset_hash", "split", "protocol", "height", "width", "images")
        assert [own[name] for name in comparable] == [found[name] for name in comparable]
        assert found["mean_iou"] == pytest.approx(own["mean_iou"], abs=0.005)


def test_the_size_of_cityscapes_networks(shell: Shell, untrained: Path, tmp_path: Path) -> None:
    held_to_python(shell, untrained, scenes(tmp_path / "scenes", 0, 1, WHOLE), WHOLE, tmp_path / "out")


def test_a_model_is_converted_once_and_serves_by_itself(
    shell: Shell, untrained: Path, data: Path, tmp_path: Path
) -> None:
    size = f"{SMALL[0]}x{SMALL[1]}"
    given = ("310-infer", "--images", str(data), "--device", "cpu", "--limit", "1", "--output", str(tmp_path / "out"))
    first = shell.document(*given, "--checkpoint", str(untrained), "--size", size)
    code, _, error = shell.run(*given, "--checkpoint", str(untrained), "--size", size)
    assert (code, "export onnx" in error) == (0, False), error
    model = artifact(first, "lite")["path"]
    by_itself = shell.document(*given, "--model", model, "--labels", str(data), "--limit", "3")
    assert by_itself["evaluations"][0]["checkpoint_path"] == model
    assert by_itself["evaluations"][0]["model_sha256"] == sha256_of(Path(model))


def test_what_mindspore_2_10_writes_is_refused_with_both_versions(
    shell: Shell, untrained: Path, data: Path, tmp_path: Path
) -> None:
    network = inference_network(ERFNET)
    use_weights(network, ERFNET, CheckpointFile(str(untrained)))
    model = tmp_path / "ERFNet.mindir"
    write_mindir(network, Tensor(np.zeros((1, 3, 64, 128), np.float32)), {}, model)
    code, _, error = shell.run("310-infer", "--model", str(model), "--images", str(data), "--device", "cpu")

    assert code == BadCheckpoint.exit_code, error
    (told,) = [line for line in error.splitlines() if line.startswith("error: ")]
    assert "version 3" in told
    assert "2.0.0" in told
    assert "--format lite" in told or "erfnet_convert" in told


@pytest.mark.parametrize("head", ["logits", "argmax"])
def test_an_export_is_proved_by_the_program(shell: Shell, untrained: Path, head: str) -> None:
    document = shell.document(
        *("export", "--checkpoint", str(untrained), "--format", "lite", "--size", "64x128", "--head", head)
    )
    assert artifact(document, "lite")["difference"] <= 1e-4
    assert Path(document["run_dir"], "ERFNet.lite.mindir").is_file()
    assert Path(document["run_dir"], "ERFNet.onnx").is_file()


def test_a_broken_picture_is_named_and_the_others_are_done(
    shell: Shell, untrained: Path, data: Path, tmp_path: Path
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for pair in find_pairs(data, "val"):
        (images / f"{pair.name}.png").write_bytes(pair.image.read_bytes())
    (images / "broken.png").write_bytes(b"no picture")
    code, _, error = shell.run(
        *("310-infer", "--checkpoint", str(untrained), "--images", str(images), "--size", f"{SMALL[0]}x{SMALL[1]}"),
        *("--device", "cpu", "--output", str(tmp_path / "out")),
    )
    assert code == BadData.exit_code
    assert "broken.png" in error
    assert len(list((tmp_path / "out").glob("*_pred_labelIds.png"))) == 3
