"""On which devices of a scripted Ascend host `run` puts its ranks."""

from pathlib import Path

import pytest

from erfnet_jobs.errors import NoHostFits
from erfnet_jobs.launch.ranks import local_ranks
from erfnet_jobs.settings import load_settings
from tests.ascend_host import AscendHost


def test_ranks_on_a_910a_host_lie_in_one_group(tmp_path: Path) -> None:
    host = AscendHost(tmp_path, "910A")
    for device in (0, 1, 2):
        host.add_process(device, pid=4711)
    settings = load_settings(environ={**host.environ, "HOME": str(tmp_path), "ERFNET_JOBS_HOST_ADDRESS": "10.88.0.1"})

    two = local_ranks(2, None, settings)
    assert [place.device for place in two.places] == [4, 5]
    assert two.table is not None
    assert [place.device for place in local_ranks(1, None, settings).places] == [3]
    with pytest.raises(NoHostFits, match="5 devices of a 910A server"):
        local_ranks(5, None, settings)
    host.add_process(4, pid=4711)
    with pytest.raises(NoHostFits, match="both groups"):
        local_ranks(4, None, settings)
    with pytest.raises(NoHostFits, match="both groups"):
        local_ranks(2, (3, 4), settings)
