"""Published PyTorch weights as this program's: which name becomes which, and all that does not fit.

The names are those of the state dicts of github.com/Eromera/erfnet_pytorch (train/erfnet.py, imagenet/
erfnet_imagenet.py): `encoder.*`, `decoder.*`, and `encoder.output_conv.*` for the encoder's own head. A convolution's
weight lies the same in both, (out, in, kh, kw), a transposed one's too, (in, out, kh, kw): no number changes its place.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from erfnet_jobs.choices import ENCODER, ERFNET
from erfnet_jobs.errors import BadCheckpoint

Shapes = Mapping[str, tuple[int, ...]]
Arrays = Mapping[str, NDArray[Any]]

# What DataParallel puts before every name (train/main.py saves its networks so).
PARALLEL = "module."
ENCODER_PREFIX = "encoder."
DECODER_PREFIX = "decoder."
HEAD_PREFIX = "head."
PUBLISHED_HEAD_PREFIX = "encoder.output_conv."
# PyTorch counts batches since 0.4.1; older files do not have it, and nothing here needs it.
COUNTER = "num_batches_tracked"
VARIANCE = "running_var"
_BATCH_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": VARIANCE}

# The encoder trained on ImageNet lies in `features`, beside a classifier; the state dict of an encoder alone has no
# prefix.
_IMAGENET = ("features.encoder.", "classifier.")
_IMAGENET_CLASSIFIER = ("classifier.linear.weight", "classifier.linear.bias")
_BARE_ENCODER = ("initial_block.", "layers.", "output_conv.")

# So many of a kind are named in the error; a file of another network may have hundreds.
NAMED = 20


@dataclass(frozen=True)
class Fitted:
    """Weights by this program's names, complete, float32 and finite.

    `left_out` are names of the file that the network does not have; `has_head` is False for an encoder without its
    20 outputs. `doubts` are what the user should know although all fits.
    """

    weights: dict[str, NDArray[np.float32]]
    left_out: tuple[str, ...]
    has_head: bool
    doubts: tuple[str, ...]


def published_name(name: str) -> str:
    """The name in erfnet_pytorch's state dict of a parameter called `name` here."""
    if name.startswith(HEAD_PREFIX):
        return PUBLISHED_HEAD_PREFIX + name.removeprefix(HEAD_PREFIX)
    module, _, kind = name.rpartition(".")
    return f"{module}.{_BATCH_NORM.get(kind, kind)}"


def whole_names(names: Iterable[str]) -> dict[str, str]:
    """Each name of a file, and what it is called in the whole network's state dict.

    A prefix is taken off, or `encoder.` put before, only where all names ask for it; so no two become one.
    """
    given = list(names)
    plain = given
    while plain and all(name.startswith(PARALLEL) for name in plain):
        plain = [name.removeprefix(PARALLEL) for name in plain]
    if all(name.startswith(_IMAGENET) for name in plain):
        plain = [name.removeprefix("features.") for name in plain]
    elif all(name.startswith(_BARE_ENCODER) for name in plain):
        plain = [ENCODER_PREFIX + name for name in plain]
    return dict(zip(given, plain, strict=True))


def fit(path: Path, arrays: Arrays, network: str, shapes: Shapes) -> Fitted:
    """The weights of `network` ('erfnet' or 'encoder') from the arrays of a file, by the file's names.

    `shapes` are those of the parameters of both networks. Raises BadCheckpoint, naming all that is missing, unknown, of
    another shape, not float32, not finite, or a negative variance. What only the other network has (the decoder, or the
    encoder's head) may be there and is left out; so is the head missing from an encoder, but not half of it.
    """
    names = whole_names(arrays)
    found = {names[name]: array for name, array in arrays.items()}
    has_head = any(name.startswith(PUBLISHED_HEAD_PREFIX) for name in found)
    prefixes = _prefixes(network, has_head)
    needed = {published_name(name): name for name in shapes if name.startswith(prefixes)}
    if network == ERFNET and not any(name.startswith(DECODER_PREFIX) for name in found) and needed.keys() & found:
        raise BadCheckpoint(
            f"{path} holds an encoder without its decoder, and --encoder was not given: add it, or name a checkpoint "
            "of the whole network"
        )
    faults = _faults(found, {name: shapes[own] for name, own in needed.items()}, _known(found, shapes))
    if any(faults.values()):
        raise BadCheckpoint(_told(path, network, faults))
    return Fitted(
        weights={own: found[name] for name, own in needed.items()},
        left_out=tuple(sorted(name for name in found if name not in needed and not name.endswith(COUNTER))),
        has_head=has_head and network == ENCODER,
        doubts=tuple(_doubts(path, found, network)),
    )


def _prefixes(network: str, has_head: bool) -> tuple[str, ...]:
    if network == ERFNET:
        return (ENCODER_PREFIX, DECODER_PREFIX)
    return (ENCODER_PREFIX, HEAD_PREFIX) if has_head else (ENCODER_PREFIX,)


def _known(found: Arrays, shapes: Shapes) -> set[str]:
    """All names that a published file may have, whether the network needs them or not."""
    known = {published_name(name) for name in shapes}
    known |= {f"{name.removesuffix('running_mean')}{COUNTER}" for name in known if name.endswith(".running_mean")}
    if not any(name.startswith(DECODER_PREFIX) for name in found):
        known.update(_IMAGENET_CLASSIFIER)
    return known


def _faults(found: Arrays, needed: Shapes, known: set[str]) -> dict[str, list[str]]:
    both = [name for name in needed if name in found]
    fitting = [name for name in both if found[name].shape == needed[name]]
    single = [name for name in fitting if found[name].dtype == np.float32]
    return {
        "missing": [name for name in needed if name not in found],
        "unknown": [_shown(name) for name in found if name not in known],
        "of another shape": [
            f"{name} is {found[name].shape}, not {needed[name]}" for name in both if found[name].shape != needed[name]
        ],
        "not of floating point": [
            f"{name} is {found[name].dtype}" for name in fitting if found[name].dtype != np.float32
        ],
        "not finite": [name for name in single if not np.isfinite(found[name]).all()],
        # BatchNorm takes its root, and a ReLU behind may make a number of what is none then.
        "negative": [
            f"{name}, a variance" for name in single if name.endswith(f".{VARIANCE}") and (found[name] < 0).any()
        ],
    }


def _shown(name: str) -> str:
    """A name that may come from anywhere, so that it does nothing to a terminal."""
    return name if name.isprintable() else ascii(name)


def _told(path: Path, network: str, faults: Mapping[str, list[str]]) -> str:
    counts = ", ".join(f"{len(names)} {kind}" for kind, names in faults.items() if names)
    what = "ERFNet" if network == ERFNET else "ERFNet's encoder"
    lines = [f"{path} does not fit {what} as published in erfnet_pytorch: {counts}"]
    for kind, names in faults.items():
        lines += [f"  {kind}: {name}" for name in names[:NAMED]]
        lines += [f"  {kind}: and {len(names) - NAMED} more"] if len(names) > NAMED else []
    return "\n".join([*lines, f"Name a file with all weights of {what} for 20 outputs; nothing was written."])


def _doubts(path: Path, found: Arrays, network: str) -> Iterable[str]:
    fresh_decoder = _never_ran(found, DECODER_PREFIX)
    if fresh_decoder is None or _never_ran(found, ENCODER_PREFIX):
        return
    if network == ERFNET and fresh_decoder:
        yield (
            f"the decoder in {path} has never run (its BatchNorm statistics are 0 and 1), as in files saved while the "
            "encoder was trained: with --encoder you get the encoder and its head"
        )
    if network == ENCODER and not fresh_decoder:
        yield (
            f"the encoder in {path} was trained on with a decoder, and its own head was not: start stage 3 from it, "
            "but do not judge it by an evaluation with --encoder"
        )


def _never_ran(found: Arrays, prefix: str) -> bool | None:
    """Whether BatchNorm's statistics are those of a new network; None where there are none."""
    ours = {name: array for name, array in found.items() if name.startswith(prefix)}
    means = [array for name, array in ours.items() if name.endswith(".running_mean")]
    variances = [array for name, array in ours.items() if name.endswith(f".{VARIANCE}")]
    if not means or not variances:
        return None
    return all((mean == 0).all() for mean in means) and all((variance == 1).all() for variance in variances)
