"""On which device of a scripted Ascend host `run 310-infer` puts its rank."""

from pathlib import Path

import pytest

from erfnet_jobs.errors import NoHostFits
from erfnet_jobs.launch.rank_310 import rank_310
from erfnet_jobs.launch.ranks import Ranks
from erfnet_jobs.plan import ASCEND, CPU
from erfnet_jobs.settings import Settings, load_settings
from tests.ascend_host import AscendHost


def settings_of(host: AscendHost, folder: Path) -> Settings:
    return load_settings(environ={**host.environ, "HOME": str(folder), "ERFNET_JOBS_HOST_ADDRESS": "10.88.0.1"})


def where(ranks: Ranks) -> tuple[str, list[int]]:
    return ranks.target, [place.device for place in ranks.places]


@pytest.mark.parametrize("generation", ["310", "310P"])
def test_the_first_chip_in_health_and_idle(tmp_path: Path, generation: str) -> None:
    host = AscendHost(tmp_path, generation)
    settings = settings_of(host, tmp_path)
    assert where(rank_310(None, settings)) == (ASCEND, [0])
    host.set_health(0, "Alarm", "80C98002")
    host.add_process(1, pid=4711)
    assert where(rank_310(None, settings)) == (ASCEND, [2])
    assert where(rank_310("ascend:1", settings)) == (ASCEND, [1])
    assert where(rank_310("cpu", settings)) == (CPU, [0])


def test_the_cpu_does_not_take_the_place_of_busy_chips(tmp_path: Path) -> None:
    host = AscendHost(tmp_path, "310")
    for device in range(4):
        host.add_process(device, pid=4711)
    with pytest.raises(NoHostFits, match="none of the 4 chips for inference is in health and idle"):
        rank_310(None, settings_of(host, tmp_path))


def test_chips_to_train_on_are_taken_only_by_name(tmp_path: Path) -> None:
    settings = settings_of(AscendHost(tmp_path, "910B", cards=2), tmp_path)
    assert where(rank_310(None, settings)) == (CPU, [0])
    assert where(rank_310("ascend:1", settings)) == (ASCEND, [1])
    with pytest.raises(NoHostFits, match="no Ascend chip 2: it has 0, 1"):
        rank_310("ascend:2", settings)


def test_a_host_without_chips(tmp_path: Path) -> None:
    settings = load_settings(environ={"HOME": str(tmp_path), "ERFNET_JOBS_DEV_DIR": str(tmp_path), "PATH": ""})
    assert where(rank_310(None, settings)) == (CPU, [0])
    with pytest.raises(NoHostFits, match="no Ascend chip 0: it has no Ascend chips; give cpu"):
        rank_310("ascend:0", settings)
