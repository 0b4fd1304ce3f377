"""Reading files of torch.save: what they may be, and what they must not do."""

import hashlib
import pickle
import sys
import tomllib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from packaging.requirements import Requirement

from erfnet_jobs.erfnet.torch_files import MOST_NUMBERS, SAFE_TORCH, read_state_dict
from erfnet_jobs.errors import BadCheckpoint, MissingDependency

STATE = OrderedDict(weight=torch.arange(6.0).reshape(2, 3), count=torch.tensor(7))


class Trap:
    """Unpickled, it makes a file: what any code could do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def written(path: Path, content: object, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrapped", [True, False])
def test_both_formats_and_what_train_main_saves_beside(tmp_path: Path, zipped: bool, wrapped: bool) -> None:
    others = {
        "epoch": 3,
        "arch": "Net(...)",
        "best_acc": torch.tensor(0.7),
        "optimizer": {"param_groups": [{"lr": 1.0}]},
    }
    path = written(tmp_path / "a.pth.tar", {**others, "state_dict": STATE} if wrapped else STATE, zipped)

    state = read_state_dict(path)

    assert state.arrays.keys() == {"weight", "count"}
    assert (state.arrays["weight"] == [[0, 1, 2], [3, 4, 5]]).all()
    assert state.arrays["weight"].dtype == np.float32
    assert state.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_parameters_and_other_precisions_become_float32(tmp_path: Path) -> None:
    kinds = {"half": torch.float16, "brain": torch.bfloat16, "double": torch.float64}
    values = {name: torch.nn.Parameter(torch.tensor([0.5, 2.0], dtype=kind)) for name, kind in kinds.items()}

    arrays = read_state_dict(written(tmp_path / "a.pth", values)).arrays

    assert all(array.dtype == np.float32 and (array == [0.5, 2.0]).all() for array in arrays.values())


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_does_not(tmp_path: Path, zipped: bool) -> None:
    sprung = tmp_path / "sprung"
    path = written(tmp_path / "trap.pth", {"state_dict": STATE, "epoch": Trap(sprung)}, zipped)

    with pytest.raises(BadCheckpoint, match="could run code, so nothing of it was read") as raised:
        read_state_dict(path)

    assert "weights_only" not in str(raised.value)
    assert not sprung.exists()
    torch.load(path, weights_only=False)
    assert sprung.exists()  # the trap is one


def test_a_bare_pickle_that_would_run_code_does_not(tmp_path: Path) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / "trap.pth"
    path.write_bytes(pickle.dumps(Trap(sprung)))

    with pytest.raises(BadCheckpoint, match=r"trap\.pth"):
        read_state_dict(path)
    assert not sprung.exists()


def test_a_whole_model_is_told_to_be_more_than_weights(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match=r"asks for torch\.nn\.modules\.linear\.Linear.*model\.state_dict\(\)"):
        read_state_dict(written(tmp_path / "model.pth", torch.nn.Linear(2, 2)))


@pytest.mark.parametrize("zipped", [True, False])
def test_cut_short_and_damaged_files_are_refused(tmp_path: Path, zipped: bool) -> None:
    path = written(tmp_path / "a.pth", STATE, zipped)
    content = path.read_bytes()
    for length in (0, 1, 10, len(content) // 3, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(BadCheckpoint, match=r"a\.pth is cut short or no PyTorch checkpoint"):
            read_state_dict(path)


@pytest.mark.parametrize("content", [b"no checkpoint", b"\x89PNG\r\n\x1a\n" * 100, bytes(1000), b"PK\x03\x04" * 50])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.pth"
    path.write_bytes(content)
    with pytest.raises(BadCheckpoint, match=r"picture\.pth"):
        read_state_dict(path)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match="does not exist"):
        read_state_dict(tmp_path / "absent.pth")
    with pytest.raises(BadCheckpoint, match="is no file"):
        read_state_dict(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "no state dict but list"),
        ({}, "an empty dict"),
        (torch.zeros(2), "no state dict but Tensor"),
        ({"state_dict": 5}, "no state dict but int"),
        ({"model": {"weight": torch.zeros(1)}, "epoch": 2}, r"'model' \(dict\), 'epoch' \(int\)"),
        ({1: torch.zeros(1)}, r"1 \(Tensor\)"),
        ({"weight": torch.zeros(2).to_sparse()}, "'weight' as torch.float32, torch.sparse_coo"),
        ({"weight": torch.zeros(2, device="meta")}, "on meta"),
        ({"weight": torch.zeros(1).expand(MOST_NUMBERS + 1)}, "numbers, and ERFNet has 2 million"),
    ],
)
def test_what_is_no_state_dict_is_told(tmp_path: Path, content: object, said: str) -> None:
    with pytest.raises(BadCheckpoint, match=said):
        read_state_dict(written(tmp_path / "a.pth", content))


@pytest.mark.parametrize("version", ["2.5.1", "2.9.1+cpu", "2.10.0a0+git123", "2.10.0rc1", "custom"])
def test_a_torch_whose_check_can_be_led_round_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    path = written(tmp_path / "a.pth", STATE)
    monkeypatch.setattr(torch, "__version__", version)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("the file was read"))

    with pytest.raises(MissingDependency, match=r"pip install 'torch>=2\.10\.0'") as raised:
        read_state_dict(path)
    assert f"torch {version} is here" in str(raised.value)


def test_a_torch_that_lacks_a_library_is_not_a_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a.pth", STATE)
    library = tmp_path / "packages" / "torch.py"
    library.parent.mkdir()
    library.write_text("import ctypes\nctypes.CDLL('libcudart.so.none')\n")
    monkeypatch.syspath_prepend(library.parent)
    monkeypatch.delitem(sys.modules, "torch")

    with pytest.raises(MissingDependency, match=r"torch is here and cannot be loaded \(libcudart\.so\.none") as raised:
        read_state_dict(path)
    assert str(path) not in str(raised.value)


@pytest.mark.parametrize("version", ["2.10.0", "2.10.0+cu126", "2.13.0+cpu", "3.0"])
def test_newer_ones_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(torch, "__version__", version)
    assert read_state_dict(written(tmp_path / "a.pth", STATE)).arrays.keys() == {"weight", "count"}


def test_the_extra_brings_a_torch_that_is_taken() -> None:
    document = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())
    (requirement,) = document["project"]["optional-dependencies"]["torch"]
    assert SAFE_TORCH in Requirement(requirement).specifier
    assert "2.9.99" not in Requirement(requirement).specifier
