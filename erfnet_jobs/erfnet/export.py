"""A checkpoint's network as files for inference, each run again and compared with the network before it counts."""

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import mindspore
import numpy as np
from mindspore import Tensor, nn
from numpy.typing import NDArray

from erfnet_jobs.choices import ARGMAX, ERFNET, FP32, LITE, MINDIR, ONNX
from erfnet_jobs.erfnet.agreement import Agreement, Run, agreement, compare_classes, compare_logits, scene_batches
from erfnet_jobs.erfnet.heads import Segmenter
from erfnet_jobs.erfnet.inference import inference_network, network_name, only_input, use_weights
from erfnet_jobs.erfnet.labels import CLASS_NAMES
from erfnet_jobs.erfnet.lite_file import NAME_END, LiteTools, lite_tools, open_lite, write_lite
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
# Of a model on a chip: an Ascend 310 convolves in fp16 alone, whose 11 bits round by 5e-4 in each of sixty layers.
# A graph that is wrong differs by a multiple of this; what it is on hardware nobody has measured.
CHIP_TOLERANCE = 0.05

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Format:
    """How a network with its head is written to a path, and how the file is opened to be run (None: not on this host).

    A file that is converted from another one says which. `tolerance` is the largest difference allowed.
    """

    write: Callable[[nn.Cell, Path], None]
    open: Callable[[Path], Run] | None
    made_from: Path | None = None
    tolerance: float = TOLERANCE


@dataclass(frozen=True)
class _Origin:
    """The checkpoint that is exported, its hash known, the network that it is of, and its size in bytes."""

    checkpoint: CheckpointFile
    network: str
    size: int


def export(plan: Plan, write: Callable[[Report], None], precision: str = FP32) -> None:
    """Write the plan's checkpoint in each format of the spec; a model for chips computes in `precision`.

    Each file is complete and proved, or not there. Where one cannot be had the others are written all the same, and
    ErfnetJobsError names what failed. Raises MissingDependency before anything is written, BadCheckpoint, OSError, and
    at once what may go well another time (DiskFull, RanksFailed of a program that was killed).
    """
    spec = plan.spec
    if not isinstance(spec, ExportSpec):
        raise UsageError(f"an export needs an export spec, not one of {spec.kind}")
    if {ONNX, LITE} & set(spec.formats):
        check_packages()
    tools = lite_tools(plan, precision) if LITE in spec.formats else None
    origin = _origin_of(only_input(plan))
    _check_network(origin, spec)
    network = inference_network(origin.network)
    use_weights(network, origin.network, origin.checkpoint)
    paths = {kind: Path(plan.run_dir, file_name(origin.network, kind)) for kind in with_onnx(spec.formats)}
    formats = _formats(spec, properties(spec, origin.network, origin.checkpoint), paths, tools)
    faults: list[ErfnetJobsError] = []
    for done, (kind, path) in enumerate(paths.items()):
        write(Phase(f"export {kind}", done, len(paths)))
        try:
            found = export_proved(network, spec, formats[kind], path)
        except ErfnetJobsError as fault:
            if not fault.permanent:
                raise
            log.error("%s", fault)  # noqa: TRY400
            faults.append(fault)
        else:
            write(_artifact(kind, path, found, origin, formats[kind].made_from))
            written = done + 1 - len(faults)
            write(Progress(written / len(paths), written, len(paths)))
    if faults:
        raise ErfnetJobsError("\n".join(map(str, faults)))
    write(Phase("export", len(paths), len(paths)))


def with_onnx(formats: Sequence[str]) -> tuple[str, ...]:
    """The formats in the order in which they are written: before Lite's model the ONNX file that it is made from."""
    before = (ONNX,) if LITE in formats and ONNX not in formats else ()
    return (*before, *sorted(formats, key=lambda kind: kind == LITE))


def file_name(network: str, kind: str) -> str:
    """What the file of a network in a format is called: 'ERFNet.onnx', 'ERFNet.lite.mindir'."""
    return f"{FILE_PREFIXES[network]}.{NAME_END if kind == LITE else kind}"


def _check_network(origin: _Origin, spec: ExportSpec) -> None:
    if LITE in spec.formats and origin.network != ERFNET:
        raise UsageError(
            f"{origin.checkpoint.path} is of the {origin.network}, and {LITE} is for the C++ program, which runs "
            "the whole ERFNet: name a checkpoint of stage 3 or 4, or export to mindir or onnx"
        )


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


def _artifact(
    kind: str, path: Path, found: Agreement | None, origin: _Origin, made_from: Path | None
) -> ArtifactWritten:
    return ArtifactWritten(
        kind,
        path.name,
        sha256_of(path),
        path.stat().st_size,
        origin.checkpoint.id,
        None if found is None else found.difference,
        checkpoint_path=origin.checkpoint.path,
        checkpoint_sha256=origin.checkpoint.sha256,
        checkpoint_size=origin.size,
        network=origin.network,
        made_from=None if made_from is None else sha256_of(made_from),
    )


def export_proved(network: nn.Cell, spec: ExportSpec, kind: _Format, path: Path) -> Agreement | None:
    """Write `network` to `path`, atomically and with mode 0644, once the file has been run and compared.

    Gives how alike they are; None where nothing on this host runs the file, which is said in the log. Raises
    ErfnetJobsError where it differs by more than the format's tolerance of the largest logit; nothing is kept then.
    """
    model = Segmenter(network) if spec.head == ARGMAX else network
    model.set_train(False)
    compare = compare_classes if spec.head == ARGMAX else compare_logits
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        temporary = Path(folder, path.name)
        try:
            kind.write(model, temporary)
            found = None
            if kind.open is not None:
                run = kind.open(temporary)
                found = agreement(partial(_logits, network), run, compare, scene_batches(spec.size, spec.batch))
        except ErfnetJobsError as error:
            if not error.permanent:  # a full disk, or a program that was killed: the next attempt may do it
                raise
            raise ErfnetJobsError(f"{path} was not written: {error}; report this with the checkpoint") from error
        _judge(found, kind.tolerance, path)
        temporary.chmod(0o644)
        sync_file(temporary)
        temporary.replace(path)
    sync_folder(path.parent)
    return found


def _judge(found: Agreement | None, tolerance: float, path: Path) -> None:
    if found is None:
        log.warning("%s is not proved: nothing on this host runs it; run it where it is to be used", path.name)
        return
    told = f"{found.difference:.2g} of the largest logit, the same class on {100 * found.same_classes:.4f} % of pixels"
    if not found.difference <= tolerance:
        raise ErfnetJobsError(
            f"{path} was not written: run on street scenes, the file differs from the network by {told} (allowed are "
            f"{tolerance:g}); report this with the checkpoint"
        )
    log.info("%s differs from the network by %s", path.name, told)


def _logits(network: nn.Cell, images: Images) -> NDArray[np.float32]:
    logits: NDArray[np.float32] = network(Tensor(images)).asnumpy()
    return logits


def _formats(
    spec: ExportSpec, told: Mapping[str, str], paths: Mapping[str, Path], tools: LiteTools | None
) -> Mapping[str, _Format]:
    images = Tensor(np.zeros((spec.batch, 3, *spec.size), np.float32))
    output = "classes" if spec.head == ARGMAX else "logits"
    formats = {
        MINDIR: _Format(lambda model, path: write_mindir(model, images, told, path), open_mindir),
        ONNX: _Format(lambda model, path: write_onnx(model, images, output, told, path), open_onnx),
    }
    return formats if tools is None else {**formats, LITE: _lite_format(spec, paths[ONNX], tools)}


def _lite_format(spec: ExportSpec, onnx: Path, tools: LiteTools) -> _Format:
    """Converted from the ONNX file of the same export, which is there by then or has failed."""

    def write(model: nn.Cell, path: Path) -> None:  # noqa: ARG001 - the ONNX file holds it
        if not onnx.is_file():
            raise ErfnetJobsError(f"{onnx.name}, from which it is made, could not be exported")
        write_lite(tools, onnx, path)

    run = None if tools.program is None else partial(open_lite, tools.program, tools, spec.head)
    return _Format(write, run, made_from=onnx, tolerance=CHIP_TOLERANCE if tools.for_chips else TOLERANCE)


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
