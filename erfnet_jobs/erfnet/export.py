"""A checkpoint's network as files for inference, each run again and compared with the network before it counts."""

import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import mindspore
import numpy as np
from mindspore import Tensor, nn
from numpy.typing import NDArray

from erfnet_jobs.choices import ARGMAX, MINDIR, ONNX
from erfnet_jobs.erfnet.agreement import Agreement, Run, agreement, compare_classes, compare_logits, scene_batches
from erfnet_jobs.erfnet.heads import Segmenter
from erfnet_jobs.erfnet.inference import inference_network, network_name, only_input, use_weights
from erfnet_jobs.erfnet.labels import CLASS_NAMES
from erfnet_jobs.erfnet.mindir_file import open_mindir, write_mindir
from erfnet_jobs.erfnet.onnx_file import check_packages, open_onnx, write_onnx
from erfnet_jobs.erfnet.stages import FILE_PREFIXES
from erfnet_jobs.erfnet.transforms import Images
from erfnet_jobs.errors import BadCheckpoint, ErfnetJobsError, UsageError
from erfnet_jobs.files import sha256_of, sync_file, sync_folder
from erfnet_jobs.plan import CheckpointFile, Plan
from erfnet_jobs.reports import ArtifactWritten, Phase, Progress, Report
from erfnet_jobs.specs import ExportSpec

# The largest difference that counts as the same, as a share of the largest logit.
TOLERANCE = 1e-4

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Format:
    """How a network with its head is written to a path, and how the file is opened to be run."""

    write: Callable[[nn.Cell, Path], None]
    open: Callable[[Path], Run]


@dataclass(frozen=True)
class _Origin:
    """The checkpoint that is exported, its hash known, the network that it is of, and its size in bytes."""

    checkpoint: CheckpointFile
    network: str
    size: int


def export(plan: Plan, write: Callable[[Report], None]) -> None:
    """Write the plan's checkpoint in each format of the spec.

    Each file is complete and proved, or not there. Where one cannot be had the others are written all the same, and
    ErfnetJobsError names what failed. Raises MissingDependency before anything is written, BadCheckpoint and OSError.
    """
    spec = plan.spec
    if not isinstance(spec, ExportSpec):
        raise UsageError(f"an export needs an export spec, not one of {spec.kind}")
    if ONNX in spec.formats:
        check_packages()
    origin = _origin_of(only_input(plan))
    network = inference_network(origin.network)
    use_weights(network, origin.network, origin.checkpoint)
    formats = _formats(spec, properties(spec, origin.network, origin.checkpoint))
    faults: list[ErfnetJobsError] = []
    for done, kind in enumerate(spec.formats):
        write(Phase(f"export {kind}", done, len(spec.formats)))
        path = Path(plan.run_dir, f"{FILE_PREFIXES[origin.network]}.{kind}")
        try:
            found = export_proved(network, spec, formats[kind], path)
        except ErfnetJobsError as fault:
            log.error("%s", fault)  # noqa: TRY400
            faults.append(fault)
        else:
            write(_artifact(kind, path, found, origin))
            written = done + 1 - len(faults)
            write(Progress(written / len(spec.formats), written, len(spec.formats)))
    if faults:
        raise ErfnetJobsError("\n".join(map(str, faults)))
    write(Phase("export", len(spec.formats), len(spec.formats)))


def _origin_of(checkpoint: CheckpointFile) -> _Origin:
    """The checkpoint as it is now; raises BadCheckpoint.

    One that was named by path may be replaced while the export goes on. It has another hash then, and is not read.
    """
    path = Path(checkpoint.path)
    try:
        hashed = replace(checkpoint, sha256=checkpoint.sha256 or sha256_of(path))
        return _Origin(hashed, network_name(checkpoint), path.stat().st_size)
    except OSError as error:
        raise BadCheckpoint(f"{path} cannot be read ({error.strerror}): name another checkpoint") from error


def _artifact(kind: str, path: Path, found: Agreement, origin: _Origin) -> ArtifactWritten:
    return ArtifactWritten(
        kind,
        path.name,
        sha256_of(path),
        path.stat().st_size,
        origin.checkpoint.id,
        found.difference,
        checkpoint_path=origin.checkpoint.path,
        checkpoint_sha256=origin.checkpoint.sha256,
        checkpoint_size=origin.size,
        network=origin.network,
    )


def export_proved(network: nn.Cell, spec: ExportSpec, kind: _Format, path: Path) -> Agreement:
    """Write `network` to `path`, atomically and with mode 0644, once the file has been run and compared.

    Raises ErfnetJobsError where it differs by more than TOLERANCE of the largest logit; nothing is kept then.
    """
    model = Segmenter(network) if spec.head == ARGMAX else network
    model.set_train(False)
    compare = compare_classes if spec.head == ARGMAX else compare_logits
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        temporary = Path(folder, path.name)
        try:
            kind.write(model, temporary)
            run = kind.open(temporary)
            found = agreement(partial(_logits, network), run, compare, scene_batches(spec.size, spec.batch))
        except ErfnetJobsError as error:
            raise ErfnetJobsError(f"{path} was not written: {error}; report this with the checkpoint") from error
        _judge(found, path)
        temporary.chmod(0o644)
        sync_file(temporary)
        temporary.replace(path)
    sync_folder(path.parent)
    return found


def _judge(found: Agreement, path: Path) -> None:
    told = f"{found.difference:.2g} of the largest logit, the same class on {100 * found.same_classes:.4f} % of pixels"
    if not found.difference <= TOLERANCE:
        raise ErfnetJobsError(
            f"{path} was not written: run on street scenes, the file differs from the network by {told} (allowed are "
            f"{TOLERANCE:g}); report this with the checkpoint"
        )
    log.info("%s differs from the network by %s", path.name, told)


def _logits(network: nn.Cell, images: Images) -> NDArray[np.float32]:
    logits: NDArray[np.float32] = network(Tensor(images)).asnumpy()
    return logits


def _formats(spec: ExportSpec, told: Mapping[str, str]) -> Mapping[str, _Format]:
    images = Tensor(np.zeros((spec.batch, 3, *spec.size), np.float32))
    output = "classes" if spec.head == ARGMAX else "logits"
    return {
        MINDIR: _Format(lambda model, path: write_mindir(model, images, told, path), open_mindir),
        ONNX: _Format(lambda model, path: write_onnx(model, images, output, told, path), open_onnx),
    }


def properties(spec: ExportSpec, network: str, checkpoint: CheckpointFile) -> dict[str, str]:
    """What an exported model says of itself."""
    path = Path(checkpoint.path)
    return {
        "network": network,
        "head": spec.head,
        "checkpoint": path.name,
        "checkpoint_sha256": checkpoint.sha256 or sha256_of(path),
        "size": f"{spec.size[0]}x{spec.size[1]}",
        "batch": str(spec.batch),
        "classes": ",".join(CLASS_NAMES),
        "input": "float32 N x 3 x H x W, RGB, 0 to 1 (8-bit values / 255)",
        "output": "int32 train ids" if spec.head == ARGMAX else "float32 logits, classes in order, the last unused",
        "exporter": f"MindSpore {mindspore.__version__}",
    }
