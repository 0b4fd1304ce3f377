"""The C++ program's modules, with sanitizers, under damaged pictures and random arguments: an answer, never a crash."""

import io
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor, nn
from PIL import Image

from erfnet_jobs.erfnet.onnx_file import write_onnx
from tests.chaos_runs import SEED, chaos_runs
from tests.cxx_builds import Probe, Refused, built, lite_home, probe, run

OPTIONS = ["model", "images", "output", "labels", "split", "limit", "device", "threads", "precision", "save", "json"]
OPTIONS += ["help", "version"]
VALUES = [
    "",
    "0",
    "-1",
    "7",
    "x",
    "cpu",
    "ascend:0",
    "ascend:99999999999",
    "fp16",
    "labels,color",
    "none",
    ",",
    "ü",
    "=",
]

# What MindSpore Lite holds until the end is its own affair.
UNLEAKED = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}

pytestmark = pytest.mark.chaos


@pytest.fixture(scope="module")
def infer() -> Path:
    """The whole program with sanitizers, on the real MindSpore Lite."""
    return built("asan", f"-DLITE_HOME={lite_home()}") / "erfnet_infer"


@pytest.fixture(scope="module")
def model(infer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of one convolution, which has what the program asks of a model."""
    folder = tmp_path_factory.mktemp("model")
    write_onnx(nn.Conv2d(3, 20, 1), Tensor(np.zeros((1, 3, 16, 32), np.float32)), "logits", {}, folder / "model.onnx")
    command = [infer.with_name("erfnet_convert"), "--onnx", folder / "model.onnx", "--output", folder / "model.mindir"]
    subprocess.run(command, check=True, env=UNLEAKED, timeout=300)
    return folder / "model.mindir"


@pytest.fixture(scope="module")
def cxx() -> Iterator[Probe]:
    yield from probe("asan")


def seeds() -> list[tuple[bytes, str]]:
    """Small pictures of every kind that the readers know, and how their names end."""
    noise = np.random.default_rng(0).integers(0, 34, (17, 23, 3), np.uint8)
    made = []
    for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"):
        picture = (
            Image.fromarray(noise[..., 0]).convert("I;16") if mode == "I;16" else Image.fromarray(noise).convert(mode)
        )
        made.append((_encoded(picture, "PNG"), "_labelIds.png"))
    made.append((_encoded(Image.fromarray(noise[..., 0] % 19), "PNG"), "_labelTrainIds.png"))
    for mode in ("RGB", "L", "CMYK"):
        picture = Image.fromarray(noise).convert(mode)
        made += [(_encoded(picture, "JPEG", progressive=progressive), ".jpg") for progressive in (False, True)]
    return made


def _encoded(picture: Image.Image, kind: str, **options: bool) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Bytes changed, cut out, doubled or cut off."""
    mutated = bytearray(content)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(mutated) + 1)
        match rng.randrange(4):
            case 0 if at < len(mutated):
                mutated[at] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
            case 1:
                del mutated[at : at + rng.randrange(1, 9)]
            case 2:
                mutated[at:at] = mutated[at : at + rng.randrange(1, 40)]
            case _:
                del mutated[max(at, len(mutated) // 2) :]
    return bytes(mutated)


def clear(refused: Refused, code: int) -> bool:
    """One line that is no library's alone, with the code of the contract."""
    return refused.code == code and refused.message.count("\n") == 0 and ": " in refused.message


def test_modules_pass_their_tests_with_sanitizers(cxx: Probe) -> None:
    run("ctest", "--preset", "asan", "--no-tests=error")


def test_damaged_pictures_are_read_or_refused(cxx: Probe, tmp_path: Path) -> None:
    rng = random.Random(SEED)
    made = seeds()
    refused = 0
    for turn in range(runs := chaos_runs(100_000)):
        content, suffix = rng.choice(made)
        path = tmp_path / f"picture{suffix}"
        path.write_bytes(damaged(content, rng))
        for command in (("image",), ("label",), ("prepare", 8, 8, "fp16", "nchw")):
            answer = cxx.ask(command[0], path, *command[1:])
            if isinstance(answer, Refused):
                refused += 1
                assert clear(answer, 3), (SEED, turn, answer)
    assert refused
    assert refused < 3 * runs or runs < 100  # some that are damaged can still be read


@pytest.mark.mindspore
def test_the_program_skips_damaged_pictures_and_ends_by_the_contract(infer: Path, model: Path, tmp_path: Path) -> None:
    rng = random.Random(SEED)
    made = seeds()
    codes = set()
    for turn in range(chaos_runs(100)):
        folder = tmp_path / str(turn)
        folder.mkdir()
        for number in range(rng.randrange(1, 30)):
            content, suffix = rng.choice(made)
            whole = rng.random() < 0.5
            name = f"{number}.jpg" if suffix == ".jpg" else f"{number}.png"
            (folder / name).write_bytes(content if whole else damaged(content, rng))
            content, suffix = rng.choice(made)
            (folder / f"{number}_gtFine_labelIds.png").write_bytes(content if whole else damaged(content, rng))
        saves = ",".join(rng.sample(["labels", "color", "overlay", "logits"], rng.randrange(1, 5)))
        command = [infer, "--model", model, "--images", folder, "--output", folder / "out", "--save", saves]
        command += ["--threads", str(rng.randrange(1, 4))]
        command += ["--labels", folder] if rng.random() < 0.5 else []
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=UNLEAKED, timeout=300)
        codes.add(done.returncode)
        assert done.returncode in (0, 3), (SEED, turn, done.returncode, done.stderr[-4000:])
        if done.returncode == 3:
            assert done.stderr.splitlines()[-1].startswith("erfnet_infer: "), (SEED, turn, done.stderr)
    assert 3 in codes


def test_random_arguments_are_taken_or_refused(cxx: Probe) -> None:
    rng = random.Random(SEED)
    codes = set()
    for turn in range(chaos_runs(200_000)):
        words = ["--model", "m", "--images", "i", "--output", "o"] if rng.random() < 0.7 else []
        for _ in range(rng.randrange(6)):
            option = "--" + rng.choice(OPTIONS)[: rng.choice([99, 99, 3])]
            value = rng.choice(VALUES)
            words += rng.choice([[option, value], [f"{option}={value}"], [option], [value], ["--"], ["-" + value]])
        answer = cxx.ask("arguments", *words)
        codes.add(answer.code if isinstance(answer, Refused) else 0)
        if isinstance(answer, Refused):
            assert clear(answer, 2), (SEED, turn, words, answer)
    assert codes == {0, 2}
