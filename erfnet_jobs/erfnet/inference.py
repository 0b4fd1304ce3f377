"""A network with a checkpoint's weights, ready to look at pictures: no dropout, BatchNorm by its statistics."""

from pathlib import Path

from mindspore import nn

from erfnet_jobs.choices import ERFNET, NETWORKS
from erfnet_jobs.erfnet import checkpoints
from erfnet_jobs.erfnet.folding import FoldedNetwork
from erfnet_jobs.erfnet.manifest import check_hash
from erfnet_jobs.erfnet.model import make_network
from erfnet_jobs.errors import BadCheckpoint
from erfnet_jobs.plan import CheckpointFile, Plan


def inference_network(name: str) -> nn.Cell:
    """The network called `name`, its weights still to be set."""
    network = make_network(name)
    network.set_train(False)
    return network


def folded_network(name: str) -> FoldedNetwork:
    """The same with its BatchNorms folded, which is faster; not for export, which keeps the published layers."""
    return FoldedNetwork(lambda: make_network(name))


def use_weights(network: nn.Cell, name: str, checkpoint: CheckpointFile) -> None:
    """Give `network` the checkpoint's weights; the compiled graph stays. Raises BadCheckpoint."""
    path = Path(checkpoint.path)
    check_hash(path, checkpoint.sha256)
    folded = network if isinstance(network, FoldedNetwork) else None
    parameters = folded.published if folded else network.get_parameters()
    checkpoints.load_weights(checkpoints.load(path), name, parameters)
    if folded:
        folded.fold()


def only_input(plan: Plan) -> CheckpointFile:
    """The plan's one checkpoint; raises BadCheckpoint where there is none."""
    if not plan.inputs:
        raise BadCheckpoint("the plan names no checkpoint: submit the job again with --checkpoint")
    return plan.inputs[0]


def network_name(checkpoint: CheckpointFile) -> str:
    """The network that a checkpoint is of: as recorded, else as its file says, else the whole ERFNet."""
    if checkpoint.network:
        return checkpoint.network
    said = checkpoints.load(Path(checkpoint.path)).network
    return said if said in NETWORKS else ERFNET


def engine_name(device_target: str) -> str:
    """What ran the network, as evaluations record it: 'mindspore-cpu' or 'mindspore-ascend'."""
    return f"mindspore-{device_target.lower()}"
