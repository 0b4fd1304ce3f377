"""The devices of the scripted Ascend host, by its tools."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from erfnet_jobs.ascend.devices import DeviceProcess, HostDevices
from erfnet_jobs.ascend.discover import discover, host_devices, look_again
from erfnet_jobs.errors import NoHostFits
from erfnet_jobs.launch.rank_310 import rank_310
from erfnet_jobs.launch.ranks import local_ranks
from erfnet_jobs.settings import Settings, load_settings
from tests.ascend_host import GENERATIONS, AscendHost
from tests.services import eventually

SECONDS = 20.0
NewHost = Callable[..., AscendHost]


@pytest.fixture
def new_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NewHost:
    def make(generation: str = "910B", cards: int | None = 2, tool: str | None = None) -> AscendHost:
        host = AscendHost(tmp_path, generation, cards, tool)
        for name, value in host.environ.items():
            monkeypatch.setenv(name, value)
        return host

    return make


def settings(**changes: Any) -> Settings:
    return replace(load_settings(), **{"tool_timeout": SECONDS, **changes})


OTHER_VERSIONS = [("910A", "1.8.21"), ("910B", "26.0.rc1"), ("910C", "26.0.rc2"), ("310", "20.2.0")]


@pytest.mark.parametrize(("generation", "tool"), [*((generation, None) for generation in GENERATIONS), *OTHER_VERSIONS])
def test_every_generation_tells_all_it_has(new_host: NewHost, generation: str, tool: str | None) -> None:
    host = new_host(generation, 1 if generation == "310" else 2, tool)
    found = discover(settings())
    assert found.troubles == ()
    assert len(found.devices) == len(host.chips)
    for device, chip in zip(found.devices, host.chips, strict=True):
        assert (device.id, device.npu_id, device.chip_id) == (chip["logic"], chip["npu"], chip["chip"])
        assert (device.generation, device.name, device.health) == (generation, chip["name"], "ok")
        memory = chip["hbm"] if chip["hbm"][1] else chip["ddr"]
        assert (device.memory_used, device.memory) == (memory[0] * 2**20, memory[1] * 2**20)
        assert (device.physical_id, device.temperature, device.ai_core) == (chip["physical"], chip["temperature"], 0)
        assert device.device_ip == chip["ip"]
        assert device.link == ("up" if chip["ip"] else None)
    assert found.driver == host.state["driver"]
    assert found.cann == "8.3.RC1"


def test_calls_are_few_and_one_at_a_time(new_host: NewHost) -> None:
    host = new_host(cards=2)
    discover(settings())
    assert host.calls() == [
        "npu-smi info",
        "npu-smi info -m",
        "npu-smi info -t topo",
        *(f"hccn_tool -i {number} {what} -g" for number in (0, 1) for what in ("-ip", "-link")),
    ]
    assert host.overlaps() == []


def test_health_and_its_error_code(new_host: NewHost) -> None:
    host = new_host(cards=2)
    host.set_health(1, "Alarm", "80C98002")
    assert [(device.health, device.error_code) for device in discover(settings()).devices] == [
        ("ok", None),
        ("alarm", "80C98002"),
    ]


def test_a_chip_whose_rows_cannot_be_read_tells_of_itself(new_host: NewHost) -> None:
    host = new_host(cards=2)
    host.set_health(0, "Strange")
    found = discover(settings())
    first, second = found.devices
    assert (first.id, first.npu_id, first.health, first.memory_used, first.processes) == (0, 0, "unknown", None, None)
    assert (first.memory, first.temperature, first.power, first.ai_core) == (65536 * 2**20, 35, 64.5, 0)
    assert second.health == "ok"
    assert any("line 7" in trouble for trouble in found.troubles)


def test_cards_that_only_the_list_tells_of(new_host: NewHost) -> None:
    host = new_host("310P", cards=2)
    host.set_health(1, "Warning", "80E01801")
    with host.changed() as state:
        state["mumbles"] = ["npu-smi info", "npu-smi info -m"]
    found = discover(settings())
    assert [(device.id, device.npu_id, device.chip_id, device.health) for device in found.devices] == [
        (0, 2, 0, "ok"), (1, 2, 1, "warning"), (2, 3, 0, "ok"), (3, 3, 1, "ok"),
    ]  # fmt: skip
    assert {(device.name, device.generation, device.temperature is None) for device in found.devices} == {
        ("310P3", "310P", False)
    }
    assert found.devices[1].error_code == "80E01801"
    assert len(found.troubles) == 2


def test_without_logic_ids_a_damaged_row_moves_no_other_device(new_host: NewHost) -> None:
    host = new_host(cards=2)
    host.set_health(0, "Strange")
    with host.changed() as state:
        state["only_info"] = True
    assert [(device.id, device.npu_id) for device in discover(settings()).devices] == [(1, 1)]


def test_processes_of_a_chip(new_host: NewHost) -> None:
    host = new_host("910C", cards=1)
    host.add_process(1, 4711, "vllm worker", 512)
    first, second = discover(settings()).devices
    assert first.processes == ()
    assert second.processes == (DeviceProcess(4711, "vllm worker", 512 * 2**20),)


def test_names_that_are_masked_are_read_from_the_board(new_host: NewHost) -> None:
    host = new_host("910A", cards=2)
    with host.changed() as state:
        state["board_name"] = "910A"
        for chip in state["chips"]:
            chip["name"] = "xxx"
    assert [(device.name, device.generation) for device in discover(settings()).devices] == [("910A", "910A")] * 2


def test_a_board_that_masks_too_is_asked_once(new_host: NewHost) -> None:
    host = new_host("910A", cards=2)
    with host.changed() as state:
        for chip in state["chips"]:
            chip["name"] = "xxx"
    assert [device.generation for device in discover(settings()).devices] == [None, None]
    assert sum("board" in call for call in host.calls()) == 1


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_host_where_only_info_works(new_host: NewHost, generation: str) -> None:
    host = new_host(generation, 1 if generation == "310" else 2)
    with host.changed() as state:
        state["only_info"] = True
    host.fail("silent", "hccn_tool")
    found = discover(settings())
    assert [(device.id, device.npu_id, device.chip_id) for device in found.devices] == [
        (chip["logic"], chip["npu"], chip["chip"]) for chip in host.chips
    ]
    assert {device.health for device in found.devices} == {"ok"}
    assert {device.cores for device in found.devices} == {None}
    assert any("info -m" in trouble for trouble in found.troubles)


def test_the_tools_address_counts_and_a_stale_file_is_told(new_host: NewHost) -> None:
    host = new_host(cards=2)
    host.set_address(1, "10.20.30.40")
    host.set_link(0, "DOWN")
    found = discover(settings())
    assert [(device.device_ip, device.link) for device in found.devices] == [
        ("192.168.100.11", "down"),
        ("10.20.30.40", "up"),
    ]
    (trouble,) = found.troubles
    assert "device 1" in trouble
    assert "10.20.30.40" in trouble
    assert "192.168.101.11" in trouble


def test_the_file_tells_addresses_where_there_is_no_hccn_tool(new_host: NewHost) -> None:
    new_host(cards=2).hccn_tool.unlink()
    found = discover(settings())
    assert [(device.device_ip, device.link) for device in found.devices] == [
        ("192.168.100.11", None),
        ("192.168.101.11", None),
    ]
    assert "hccn_tool" in found.troubles[0]


def test_a_port_without_an_address_tells_of_its_link(new_host: NewHost) -> None:
    host = new_host(cards=1)
    host.hccn_tool.write_text('#!/bin/sh\n[ "$3" = -link ] && echo "link status: DOWN" || { echo "no ip"; exit 1; }\n')
    (device,) = discover(settings()).devices
    assert (device.device_ip, device.link) == ("192.168.100.11", "down")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("dcmi", "HwHiAiUser"),
        ("occupied", "another container"),
        ("permission", "may not ask"),
        ("silent", "exit code 3, without a word"),
        ("garbage", "line 1"),
        ("empty", ""),
    ],
)
def test_a_tool_that_fails_leaves_what_the_nodes_tell(new_host: NewHost, how: str, words: str) -> None:
    new_host(cards=2).fail(how)
    found = discover(settings())
    assert [(device.id, device.physical_id, device.health, device.npu_id) for device in found.devices] == [
        (0, 0, "unknown", None),
        (1, 1, "unknown", None),
    ]
    assert words in " ".join(found.troubles)
    assert not any("\n" in trouble for trouble in found.troubles)


def test_a_tool_that_is_not_there(new_host: NewHost) -> None:
    new_host(cards=1).npu_smi.unlink()
    found = discover(settings())
    assert [device.health for device in found.devices] == ["unknown"]
    assert "ERFNET_JOBS_NPU_SMI" in found.troubles[0]


def test_a_tool_that_hangs_is_ended_with_its_children_and_asked_once(new_host: NewHost) -> None:
    host = new_host(cards=1)
    host.hang()
    began = time.monotonic()
    found = discover(settings(tool_timeout=2.0))
    assert time.monotonic() - began < SECONDS
    assert [device.health for device in found.devices] == ["unknown"]
    assert "no answer within 2 s" in found.troubles[0]
    assert len(host.calls()) <= 1
    # Only the tool itself is waited for.
    eventually(lambda: not host.processes(), "its child is gone")


def test_no_nodes_and_no_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert discover(settings(dev_dir=tmp_path)).devices == ()


@pytest.mark.parametrize("how", ["permission", "dcmi", "silent", "empty"])
def test_a_tool_that_fails_beside_no_nodes_makes_no_cpu_slots_of_a_host_with_chips(new_host: NewHost, how: str) -> None:
    host = new_host(cards=1)
    (host.dev_dir / "davinci0").unlink()
    host.fail(how)
    found = host_devices(settings())
    assert found.devices == ()
    assert "--devices N" in found.troubles[-1]
    with pytest.raises(NoHostFits, match="no device of this host can be seen: "):
        local_ranks(1, None, settings())
    assert len(host_devices(settings(), 2).devices) == 2


def test_a_driver_without_tool_and_nodes_makes_no_cpu_slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [device.kind for device in host_devices(settings(dev_dir=tmp_path)).devices[:1]] == ["cpu"]
    monkeypatch.setattr("erfnet_jobs.ascend.discover.driver_version", lambda: "24.1.rc3")
    assert host_devices(settings(dev_dir=tmp_path)).devices == ()


def test_an_inference_whose_chips_are_only_nodes_is_not_run_on_the_cpu(new_host: NewHost) -> None:
    new_host("310", 1).fail("permission")
    with pytest.raises(NoHostFits, match="what they are cannot be seen"):
        rank_310(None, settings())
    assert rank_310("cpu", settings()).target == "CPU"


def test_a_count_means_cpu_slots_even_here(new_host: NewHost) -> None:
    host = new_host(cards=1)
    assert [device.kind for device in host_devices(settings(), 3).devices] == ["cpu"] * 3
    assert host.calls() == []
    assert [device.kind for device in host_devices(settings()).devices] == ["ascend"]


def _again(before: HostDevices) -> HostDevices:
    return look_again(settings(), before)


def test_a_second_look_is_one_call_and_keeps_what_cannot_change(new_host: NewHost) -> None:
    host = new_host(cards=2)
    before = discover(settings())
    calls = len(host.calls())
    host.set(0, temperature=71)
    host.add_process(1, 99)
    now = _again(before)
    assert host.calls()[calls:] == ["npu-smi info"]
    assert now.devices[0] == replace(before.devices[0], temperature=71.0)
    assert now.devices[1].processes == (DeviceProcess(99, "python", 2**30),)


def test_a_second_look_asks_for_the_code_of_new_ill_health_only(new_host: NewHost) -> None:
    host = new_host(cards=2)
    before = discover(settings())
    host.set_health(0, "Critical", "8C1F8608")
    now = _again(before)
    assert (now.devices[0].health, now.devices[0].error_code) == ("critical", "8C1F8608")
    calls = len(host.calls())
    assert _again(now) == now
    assert len(host.calls()) == calls + 1
    host.set_health(0, "OK")
    assert _again(now).devices[0] == before.devices[0]


def test_a_lost_card_is_gone_and_told(new_host: NewHost) -> None:
    host = new_host(cards=3)
    before = discover(settings())
    host.lose(1)
    now = _again(before)
    assert [device.id for device in now.devices] == [0, 2]
    assert "device 1" in now.troubles[0]
    assert "lost" in now.troubles[0]
    host.bring_back()
    assert _again(now).devices == before.devices


@pytest.mark.parametrize("how", ["dcmi", "garbage", "empty", "silent"])
def test_a_second_look_that_fails_loses_no_card(new_host: NewHost, how: str) -> None:
    host = new_host(cards=2)
    before = discover(settings())
    host.fail(how)
    now = _again(before)
    assert [(device.id, device.health, device.processes) for device in now.devices] == [
        (0, "unknown", None),
        (1, "unknown", None),
    ]
