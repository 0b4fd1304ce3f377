"""A published PyTorch checkpoint becomes one of this program's."""

import errno
from dataclasses import dataclass
from pathlib import Path

from mindspore import Parameter, Tensor

from erfnet_jobs.erfnet import checkpoints
from erfnet_jobs.erfnet.checkpoints import Position
from erfnet_jobs.erfnet.model import make_network
from erfnet_jobs.erfnet.torch_files import read_state_dict
from erfnet_jobs.erfnet.weights import Fitted, fit
from erfnet_jobs.errors import DiskFull, UsageError
from erfnet_jobs.jobs import NETWORKS


@dataclass(frozen=True)
class Imported:
    """What was written to `path`, and from which file it came."""

    path: Path
    network: str
    fitted: Fitted
    sha256: str
    size: int
    source: Path
    source_sha256: str

    @property
    def numbers(self) -> int:
        """How many numbers the weights are, BatchNorm's statistics included."""
        return sum(array.size for array in self.fitted.weights.values())


def check_output(source: Path, output: Path, force: bool) -> None:
    """Raise UsageError where nothing may be written to `output`; `force` allows a file that is there."""
    if output.suffix != checkpoints.SUFFIX:
        raise UsageError(f"-o {output} must end in {checkpoints.SUFFIX}: MindSpore reads no other; rename it")
    if not output.parent.is_dir():
        raise UsageError(f"-o {output}: there is no folder {output.parent}; make it, or give another path")
    if output.is_dir():
        raise UsageError(f"-o {output} is a folder: give the path of a file")
    if output.exists() and source.exists() and output.samefile(source):
        raise UsageError(f"-o {output} is the file to read: give another path")
    if output.exists() and not force:
        raise UsageError(f"-o {output} is there already: give another path, or add --force to replace it")


def import_weights(source: Path, network: str, output: Path) -> Imported:
    """Write the weights of `network` ('erfnet' or 'encoder') in a PyTorch checkpoint as a checkpoint, atomically.

    It stands at no stage: 0 epochs of stage 0, and no optimiser. Raises BadCheckpoint, MissingDependency, DiskFull and
    UsageError; then nothing has been written.
    """
    state = read_state_dict(source)
    fitted = fit(source, state.arrays, network, _shapes())
    parameters = [Parameter(Tensor(array), name=name) for name, array in fitted.weights.items()]
    try:
        written = checkpoints.save(output, parameters, Position(network, stage=0, epoch=0, step=0, seed=0))
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(f"no space left for {output}: make room, or give another -o") from error
        raise UsageError(f"-o {output} cannot be written ({error.strerror}): give another path") from error
    return Imported(output, network, fitted, written.sha256, written.size, source, state.sha256)


def _shapes() -> dict[str, tuple[int, ...]]:
    networks = [make_network(name) for name in NETWORKS]
    return {parameter.name: tuple(parameter.shape) for each in networks for parameter in each.get_parameters()}
