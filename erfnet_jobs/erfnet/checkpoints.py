"""Checkpoint files: weights, Adam's moments and where the training stands, in MindSpore's own format.

MindSpore writes beside the final place first, but removes the old file before it renames, syncs nothing and leaves mode
0400; and its loader lets names differ in their prefixes. So it writes into a folder of its own here, and what it loads
is compared name by name and shape by shape.
"""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import mindspore
import numpy as np
from mindspore import Parameter, Tensor
from numpy.typing import NDArray

from erfnet_jobs.choices import ENCODER
from erfnet_jobs.erfnet.stages import network_of_name
from erfnet_jobs.errors import BadCheckpoint
from erfnet_jobs.files import sha256_of, sync_file, sync_folder

SUFFIX = ".ckpt"
ADAM_PREFIX = "adam."
ENCODER_PREFIX = "encoder."
VARIANCE = ".moving_variance"
_NUMBERS = ("stage", "epoch", "step", "seed")


@dataclass(frozen=True)
class Position:
    """What a checkpoint says of itself: its network, after how many `epoch` of `stage`, `step` steps in it."""

    network: str
    stage: int
    epoch: int
    step: int
    seed: int


@dataclass(frozen=True)
class Written:
    """A file on disk, complete and synced."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory: `weights` with BatchNorm's statistics, `adam` (empty where it has none), by name."""

    path: Path
    network: str | None
    weights: dict[str, NDArray[np.float32]]
    adam: dict[str, NDArray[np.float32]]


def save(path: Path, parameters: Iterable[Parameter], position: Position) -> Written:
    """Write a checkpoint atomically, mode 0644; raises OSError, a full disk's among them."""
    entries = [{"name": parameter.name, "data": parameter} for parameter in parameters]
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        temporary = Path(folder, path.name)
        mindspore.save_checkpoint(entries, str(temporary), append_dict=dict(vars(position)))
        temporary.chmod(0o644)
        sync_file(temporary)
        written = Written(sha256_of(temporary), temporary.stat().st_size)
        temporary.replace(path)
    sync_folder(path.parent)
    return written


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; raises BadCheckpoint where the file is absent, cut short, or no checkpoint."""
    if not path.is_file():
        raise BadCheckpoint(f"{path} is no file: name a checkpoint")
    if path.suffix != SUFFIX:
        raise BadCheckpoint(f"{path} is not called *{SUFFIX}, and MindSpore reads no other: rename it, or name another")
    try:
        values = mindspore.load_checkpoint(str(path))
    except (ValueError, RuntimeError, TypeError, OSError, OverflowError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadCheckpoint(f"{path} is cut short or no checkpoint ({reason}): name another one") from error
    network = values.pop("network", None)
    for name in _NUMBERS:
        values.pop(name, None)
    arrays = {name: _array(path, name, value) for name, value in values.items()}
    return Checkpoint(
        path=path,
        network=network if isinstance(network, str) else network_of_name(str(path)),
        weights={name: array for name, array in arrays.items() if not name.startswith(ADAM_PREFIX)},
        adam={name: array for name, array in arrays.items() if name.startswith(ADAM_PREFIX)},
    )


def load_weights(checkpoint: Checkpoint, network: str, parameters: Iterable[Parameter]) -> None:
    """Set all `parameters` of `network` to the checkpoint's weights.

    Raises BadCheckpoint unless both have exactly the same names and shapes, all weights are finite, and no variance is
    negative; for an encoder without a head it says what that is for.
    """
    if _is_headless(checkpoint):
        raise BadCheckpoint(
            f"{checkpoint.path} holds an encoder without a head, which segments nothing: it is for the start of "
            "stage 3, 'erfnet-jobs submit train --stages 3-4 --checkpoint' with it; name another"
        )
    if checkpoint.network not in {None, network}:
        option = "add --encoder" if checkpoint.network == ENCODER else "leave --encoder out"
        raise BadCheckpoint(
            f"{checkpoint.path} holds the network {checkpoint.network}, not {network}: name another "
            f"(to evaluate this one, {option})"
        )
    _restore(checkpoint.path, checkpoint.weights, list(parameters))


def _is_headless(checkpoint: Checkpoint) -> bool:
    """Whether it is an encoder as ImageNet leaves it."""
    names = checkpoint.weights.keys()
    return checkpoint.network == ENCODER and bool(names) and all(name.startswith(ENCODER_PREFIX) for name in names)


def load_adam(checkpoint: Checkpoint, parameters: Iterable[Parameter]) -> None:
    """Set Adam's state from the checkpoint; raises BadCheckpoint unless both have the same names and shapes."""
    _restore(checkpoint.path, checkpoint.adam, list(parameters))


def load_encoder(checkpoint: Checkpoint, parameters: Iterable[Parameter]) -> None:
    """Set the encoder inside the whole network's `parameters` from a checkpoint of the encoder alone.

    Its head stays behind. Raises BadCheckpoint unless both encoders have the same names and shapes.
    """
    weights = {name: array for name, array in checkpoint.weights.items() if name.startswith(ENCODER_PREFIX)}
    _restore(checkpoint.path, weights, [one for one in parameters if one.name.startswith(ENCODER_PREFIX)])


def _restore(path: Path, arrays: dict[str, NDArray[np.float32]], parameters: list[Parameter]) -> None:
    wanted = {parameter.name: tuple(parameter.shape) for parameter in parameters}
    if faults := _differences(wanted, {name: array.shape for name, array in arrays.items()}):
        shown = "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
        raise BadCheckpoint(f"{path} is of another network: {shown}; name a checkpoint of this one")
    if ruined := next((name for name in wanted if not np.isfinite(arrays[name]).all()), None):
        raise BadCheckpoint(
            f"{path} is ruined: its weights are not numbers (NaN or infinite in {ruined}); name another"
        )
    negative = (name for name in wanted if name.endswith(VARIANCE) and (arrays[name] < 0).any())
    if name := next(negative, None):
        raise BadCheckpoint(f"{path} is ruined: the variance {name} is negative, which none can be; name another")
    for parameter in parameters:
        parameter.set_data(Tensor(arrays[parameter.name]))


def _differences(wanted: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]) -> list[str]:
    missing = [f"{name} is missing" for name in wanted.keys() - found.keys()]
    unknown = [f"{name} is unknown" for name in found.keys() - wanted.keys()]
    reshaped = [
        f"{name} is {found[name]}, not {wanted[name]}"
        for name in wanted.keys() & found.keys()
        if found[name] != wanted[name]
    ]
    return sorted(missing) + sorted(unknown) + sorted(reshaped)


def _array(path: Path, name: str, value: object) -> NDArray[np.float32]:
    if not isinstance(value, Tensor):
        raise BadCheckpoint(f"{path} holds {name}, which is no tensor: name a checkpoint of this program")
    array: NDArray[np.float32] = value.asnumpy()
    if array.dtype != np.float32:
        raise BadCheckpoint(f"{path} holds {name} as {array.dtype}, not float32: name a checkpoint of this program")
    return array
