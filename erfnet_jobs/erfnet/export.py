"""A checkpoint's network as a MINDIR file, loaded again and compared before it counts."""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

import mindspore
import numpy as np
from mindspore import Tensor, nn
from numpy.typing import NDArray

from erfnet_jobs.erfnet.inference import inference_network, network_name, only_input, use_weights
from erfnet_jobs.erfnet.stages import FILE_PREFIXES
from erfnet_jobs.erfnet.transforms import Size
from erfnet_jobs.errors import ErfnetJobsError, UsageError
from erfnet_jobs.files import sha256_of, sync_file, sync_folder
from erfnet_jobs.jobs import ExportSpec
from erfnet_jobs.plan import Plan
from erfnet_jobs.reports import ArtifactWritten, Phase, Report

# The largest difference that counts as the same, as a share of the largest logit.
TOLERANCE = 1e-4

log = logging.getLogger(__name__)


def export(plan: Plan, write: Callable[[Report], None]) -> None:
    """Write the plan's checkpoint in each format of the spec; raises BadCheckpoint, ErfnetJobsError and OSError."""
    spec = plan.spec
    if not isinstance(spec, ExportSpec):
        raise UsageError(f"an export needs an export spec, not one of {spec.kind}")
    checkpoint = only_input(plan)
    name = network_name(checkpoint)
    network = inference_network(name)
    use_weights(network, name, checkpoint)
    write(Phase("export", 0, len(spec.formats)))
    path = Path(plan.run_dir, f"{FILE_PREFIXES[name]}.mindir")
    export_mindir(network, spec.size, path)
    write(ArtifactWritten("mindir", path.name, sha256_of(path), path.stat().st_size, checkpoint.id))
    write(Phase("export", 1, len(spec.formats)))


def export_mindir(network: nn.Cell, size: Size, path: Path) -> float:
    """Write `network` for float32 input 1 x 3 x height x width, logits as output; atomically, mode 0644.

    Gives the largest difference between the logits of the file and of the network on a random image, as a share of the
    largest logit. Raises ErfnetJobsError where that is above TOLERANCE; the file is not there then.
    """
    image = Tensor(np.random.default_rng(0).random((1, 3, *size), np.float32))
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        temporary = Path(folder, path.name)
        mindspore.export(network, image, file_name=str(temporary.with_suffix("")), file_format="MINDIR")
        temporary.chmod(0o644)  # MindSpore leaves it readable for its owner only
        difference = _difference(network(image).asnumpy(), _run_mindir(temporary, image))
        log.info("%s differs from the network by %.2g of the largest logit", path.name, difference)
        if not difference <= TOLERANCE:
            raise ErfnetJobsError(
                f"{path} differs from the network by {difference:.2g} of the largest logit (allowed {TOLERANCE:g}): "
                "the file was not kept; report this with the checkpoint"
            )
        sync_file(temporary)
        temporary.replace(path)
    sync_folder(path.parent)
    return difference


def _run_mindir(path: Path, image: Tensor) -> NDArray[np.float32]:
    cell = nn.GraphCell(mindspore.load(str(path)))
    logits: NDArray[np.float32] = cell(image).asnumpy()
    return logits


def _difference(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    if wanted.shape != found.shape:
        return float("inf")
    return float(np.abs(wanted - found).max() / np.abs(wanted).max())
