from pathlib import Path

import pytest

from erfnet_jobs.ascend.devices import ascend_nodes, local_devices, threads_per_rank, usable_cores
from erfnet_jobs.errors import UsageError


def test_a_slot_for_each_core() -> None:
    assert [device.id for device in local_devices()] == list(range(usable_cores()))


def test_as_many_slots_as_asked_for() -> None:
    assert [(device.id, device.kind, device.health) for device in local_devices(2)] == [
        (0, "cpu", "ok"),
        (1, "cpu", "ok"),
    ]


@pytest.mark.parametrize("count", [0, -1, 100_000])
def test_numbers_that_cannot_be_meant(count: int) -> None:
    with pytest.raises(UsageError):
        local_devices(count)


def test_only_chips_are_devices(tmp_path: Path) -> None:
    for name in ("davinci10", "davinci2", "davinci_manager", "devmm_svm", "hisi_hdc", "davinci2x"):
        (tmp_path / name).touch()
    assert ascend_nodes(tmp_path) == (2, 10)


def test_a_host_without_chips(tmp_path: Path) -> None:
    assert ascend_nodes(tmp_path / "none") == ()


def test_every_rank_has_a_thread() -> None:
    assert threads_per_rank(1) == usable_cores()
    assert threads_per_rank(10_000) == 1
