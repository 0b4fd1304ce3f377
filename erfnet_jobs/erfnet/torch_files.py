"""Reading what torch.save wrote, with nothing but tensors, numbers, strings and containers of them let in.

A pickle may name any function to call. `weights_only` makes torch read the pickle with a list of what may be named
(torch.serialization, "torch.load with weights_only=True"), and it is never switched off here. Older versions of torch
can be led round it, and are refused.
"""

import hashlib
import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from packaging.version import InvalidVersion, Version

from erfnet_jobs.errors import BadCheckpoint, MissingDependency

STATE_DICT = "state_dict"
# ERFNet has 2 million numbers; a tensor of a few bytes may claim any shape.
MOST_NUMBERS = 2**28
# `weights_only` was led round by files that run code up to 2.5.1 (CVE-2025-32434) and by files that write outside of a
# tensor's memory before 2.10.0 (CVE-2026-24747).
SAFE_TORCH = Version("2.10.0")
# What torch's readers of both formats raise on files that are cut short, damaged or something else.
_UNREADABLE = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    struct.error,
)
_ASKED_FOR = re.compile(r"GLOBAL ([\w.]+)")


@dataclass(frozen=True)
class StateDict:
    """A file's tensors by name, those of floating point as float32, and the file's SHA-256."""

    arrays: dict[str, NDArray[Any]]
    sha256: str


def read_state_dict(path: Path) -> StateDict:
    """The state dict in `path`: the saved object itself, or its entry 'state_dict'; zip and older files.

    Raises MissingDependency without a safe torch, and BadCheckpoint for a file that is absent, cut short, asks for more
    than data, or holds no state dict. Half and double precision become float32; other types stay as they are.
    """
    if not path.is_file():
        raise BadCheckpoint(f"{path} {'is no file' if path.exists() else 'does not exist'}: name a PyTorch checkpoint")
    torch = _torch()
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            entries = _state_dict_of(path, _load(path, file, torch), torch)
    except OSError as error:
        raise BadCheckpoint(f"{path} cannot be read ({error.strerror or error}): correct its permissions") from error
    return StateDict({name: _array(path, name, tensor) for name, tensor in entries.items()}, sha256)


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingDependency(
            f"PyTorch checkpoints are read with torch, which is not here ({error}): pip install 'erfnet-jobs[torch]'"
        ) from error
    except OSError as error:
        # Not of the checkpoint: ctypes says so of a library that torch opens as it is imported.
        raise MissingDependency(
            f"torch is here and cannot be loaded ({error}): install one for this machine, such as the one without "
            "CUDA, or repair it"
        ) from error
    if not _is_safe(torch.__version__):
        raise MissingDependency(
            f"torch {torch.__version__} is here, and a file made for it can run code as it is read, which is mended in "
            f"{SAFE_TORCH}: pip install 'torch>={SAFE_TORCH}'"
        )
    return torch


def _is_safe(version: str) -> bool:
    try:
        return Version(version) >= SAFE_TORCH
    except InvalidVersion:
        return False


def _load(path: Path, file: BinaryIO, torch: Any) -> object:
    try:
        with warnings.catch_warnings(action="ignore"):  # of pickle protocols, and of torch's own old classes
            return torch.load(file, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        # torch's own words recommend to switch the check off; of them the name is worth telling.
        if asked := _ASKED_FOR.search(str(error)):
            raise BadCheckpoint(
                f"{path} is not only weights: its pickle asks for {asked[1]}, which could run code, so nothing of it "
                "was read; save the weights alone where it came from: torch.save(model.state_dict(), FILE)"
            ) from error
        raise BadCheckpoint(f"{path} is cut short or no PyTorch checkpoint: copy it again, or name another") from error


def _state_dict_of(path: Path, loaded: object, torch: Any) -> Mapping[str, Any]:
    found = loaded.get(STATE_DICT, loaded) if isinstance(loaded, Mapping) else loaded
    remedy = "save one with torch.save(model.state_dict(), FILE)"
    if not isinstance(found, Mapping) or not found:
        raise BadCheckpoint(f"{path} holds no state dict but {_kind(found)}: {remedy}")
    others = [name for name, value in found.items() if not isinstance(name, str) or not torch.is_tensor(value)]
    if others:
        shown = ", ".join(f"{name!a} ({_kind(found[name])})" for name in others[:5])
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        raise BadCheckpoint(f"{path} holds no state dict, whose entries are tensors: {shown}{more}; {remedy}")
    if (count := sum(tensor.numel() for tensor in found.values())) > MOST_NUMBERS:
        raise BadCheckpoint(f"{path} holds {count:,} numbers, and ERFNet has 2 million: name another file")
    return found


def _kind(value: object) -> str:
    return f"an empty {type(value).__name__}" if isinstance(value, Mapping) and not value else type(value).__name__


def _array(path: Path, name: str, tensor: Any) -> NDArray[Any]:
    try:
        plain = tensor.detach()
        array: NDArray[Any] = (plain.float() if plain.is_floating_point() else plain).numpy()
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise BadCheckpoint(
            f"{path} holds {name!a} as {tensor.dtype}, {tensor.layout}, on {tensor.device}, which has no plain "
            "numbers: save the weights as dense float32"
        ) from error
    return np.ascontiguousarray(array)
