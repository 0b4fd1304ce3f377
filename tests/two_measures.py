"""A rank that measures a small network on a dataset together with the others, and writes what came out."""

import json
import os
import sys
from pathlib import Path
from typing import Any

SIZE = (64, 128)
DATA_SIZE = (96, 160)
IMAGES = 5


def measured_network() -> Any:
    """The small network with some weights."""
    from erfnet_jobs.erfnet.initialise import initialise
    from erfnet_jobs.jobs import ERFNET
    from tests.tiny import make_tiny

    network = make_tiny(ERFNET)
    initialise(network, 1)
    return network


def measured_document(data: Path, rank: int = 0, world_size: int = 1) -> dict[str, Any]:
    """What is measured of each split by each protocol; an odd number of images, and one image."""
    from erfnet_jobs.erfnet.dataset import open_source
    from erfnet_jobs.erfnet.split_measure import SplitMeasure
    from erfnet_jobs.jobs import ERFNET

    network = measured_network()
    found = {}
    for split, protocol in (("val", "half"), ("val", "full"), ("train", "half")):
        source = open_source(data, split)
        ranks = {"rank": rank, "world_size": world_size}
        measured = SplitMeasure(source, network, ERFNET, SIZE, 2, protocol=protocol, **ranks).measure()
        found[f"{split} {protocol}"] = {
            "matrix": measured.matrix.tolist(),
            "mean_loss": measured.mean_loss,
            "image_ious": measured.image_ious.tolist(),
        }
    return found


def fault_of_different_data(data: Path, rank: int, world_size: int) -> str:
    """What is said where rank 1 has another dataset than the others."""
    from erfnet_jobs.erfnet.dataset import open_source
    from erfnet_jobs.erfnet.split_measure import SplitMeasure
    from erfnet_jobs.errors import BadData
    from erfnet_jobs.jobs import ERFNET

    source = open_source(data, "train" if rank == 1 else "val")
    try:
        SplitMeasure(source, measured_network(), ERFNET, SIZE, 2, rank=rank, world_size=world_size).measure()
    except BadData as error:
        return str(error)
    return ""


def main() -> None:
    """The rank's part."""
    from erfnet_jobs.ascend.environment import from_environ
    from erfnet_jobs.ascend.lifeline import hold_lifeline
    from erfnet_jobs.plan import read_plan

    hold_lifeline()
    from erfnet_jobs.erfnet import world

    environment = from_environ(os.environ)
    world.join(environment)
    plan = read_plan(Path(sys.argv[1]))
    data = Path(plan.spec.data)
    found = measured_document(data, environment.rank, environment.world_size)
    found["fault"] = fault_of_different_data(data, environment.rank, environment.world_size)
    Path(plan.run_dir, f"rank_{environment.rank}.json").write_text(json.dumps(found))
    world.leave(environment.world_size)
    os._exit(0)


if __name__ == "__main__":
    main()
