"""What `doctor` says of what it is given: chips, versions, ports, sums, and where it would run."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import click
import pytest

from erfnet_jobs.ascend.chips import node_devices
from erfnet_jobs.ascend.devices import ASCEND_CHIP, Device, DeviceProcess, HostDevices
from erfnet_jobs.cli.checks.all_reduce import choose, size_answers
from erfnet_jobs.cli.checks.answer import Answer
from erfnet_jobs.cli.checks.ascend import (
    device_answers,
    drives_ascend,
    kind_answers,
    link_answers,
    only_nodes,
    permission_answers,
    table_answers,
    version_answers,
)
from erfnet_jobs.cli.checks.network import hccl_ports, numbers
from erfnet_jobs.cli.checks.places import check_data, check_home
from erfnet_jobs.cli.checks.services import broker_protection, broker_storing, is_loopback, registry_protection
from erfnet_jobs.cli.checks.software import check_mindspore, mindspore_answers
from erfnet_jobs.cli.doctor import _line
from erfnet_jobs.errors import NoHostFits, UsageError
from erfnet_jobs.settings import load_settings
from tests.layout import empty_dataset

CHIPS = tuple(
    Device(
        number,
        ASCEND_CHIP,
        "910B3",
        generation="910B",
        npu_id=number,
        chip_id=0,
        physical_id=number,
        device_ip=f"10.0.0.{number}",
        link="up",
    )
    for number in range(1, 5)
)
SLOTS = tuple(Device(number, "cpu", "slot") for number in range(4))


def states(answers: Iterable[Answer]) -> list[str]:
    return [answer.state for answer in answers]


def one(answers: Iterable[Answer], state: str) -> Answer:
    """The one answer of this state."""
    (found,) = [answer for answer in answers if answer.state == state]
    return found


@pytest.mark.parametrize(
    ("health", "warning_runs", "state", "told"),
    [
        ("warning", True, "warning", "gets jobs all the same"),
        ("warning", False, "error", "gets no jobs"),
        ("alarm", True, "error", "alarm, error code 80C98002: it gets no jobs"),
        ("unknown", True, "error", "gets no jobs"),
    ],
)
def test_a_device_that_is_not_in_health(health: str, warning_runs: bool, state: str, told: str) -> None:
    ill = replace(CHIPS[0], health=health, error_code="80C98002")
    found = HostDevices((ill, *CHIPS[1:]))
    answer = one((each for each in device_answers(found, warning_runs, {}) if "device 1" in each.text), state)
    assert told in answer.text
    assert "npu-smi" in (answer.remedy or "")


def test_troubles_and_processes_are_told() -> None:
    found = HostDevices(
        (replace(CHIPS[0], processes=(DeviceProcess(4711, "python"),)),), troubles=("npu-smi does not answer: wait",)
    )
    answers = list(device_answers(found, True, {}))
    assert states(answers) == ["ok", "warning", "warning"]
    assert answers[1].text == "npu-smi does not answer: wait"
    assert answers[2].text == "device 1 is in use by 4711 python, of no job: it gets no jobs while that runs"
    assert list(device_answers(found, True, {1: 7}))[2] == Answer("ok", "device 1 is in use by job 7 (4711 python)")


def test_devices_of_which_only_the_nodes_are_known_are_one_error() -> None:
    found = HostDevices(node_devices(range(8)), troubles=("npu-smi info: the driver could not be opened; see lsmod",))
    (answer,) = device_answers(found, True, {})
    assert answer.state == "error"
    assert answer.text.startswith("8 Ascend devices")
    assert "get no jobs" in answer.text
    assert "driver could not be opened; see lsmod" in answer.text
    assert [only_nodes(chips) for chips in (found.devices, CHIPS, ())] == [True, False, False]


def test_links() -> None:
    assert states(link_answers(CHIPS)) == ["ok"]
    down, nameless = replace(CHIPS[0], link="down", physical_id=5), replace(CHIPS[1], device_ip=None)
    answer = one(link_answers((down, *CHIPS[1:])), "error")
    assert "device 1 is down" in answer.text
    assert "'hccn_tool -i 5 -link -g'" in (answer.remedy or "")
    assert "device IP of device 2 is known" in one(link_answers((CHIPS[0], nameless)), "warning").text
    two = one(link_answers([replace(chip, device_ip=None) for chip in CHIPS[:2]]), "warning")
    assert "of devices 1-2 is known" in two.text
    assert "'hccn_tool -i 1 -ip -s address A netmask M' (and -i 2)" in (two.remedy or "")


@pytest.mark.parametrize(
    ("cann", "fits"),
    [("8.5.0", True), ("8.3.RC1", True), ("9.1.0", True), ("8.20.0", False), ("8.1.RC1", False), ("9.10", False)],
)
def test_cann_that_fits_mindspore(cann: str, fits: bool) -> None:
    answers = list(version_answers(HostDevices(CHIPS, driver="24.1.rc1", cann=cann)))
    assert states(answers) == ["ok", "ok" if fits else "error"]
    assert fits or "8.2, 8.3, 8.5, 9.0, 9.1" in answers[1].text


def test_versions_that_are_not_known_and_a_generation_that_is_not_confirmed() -> None:
    assert states(version_answers(HostDevices(CHIPS))) == ["warning", "error"]
    old = HostDevices((replace(CHIPS[0], generation="910A"),), driver="1", cann="8.2")
    assert "not confirmed" in one(version_answers(old), "warning").text


def test_a_host_that_runs_310_infer_only_needs_no_cann_of_mindspore() -> None:
    chips = tuple(replace(chip, generation="310") for chip in CHIPS)
    assert states(version_answers(HostDevices(chips, driver="1", cann="5.1.RC2"))) == ["ok", "ok"]
    assert states(version_answers(HostDevices(chips, driver="1"))) == ["ok", "error"]


def test_chips_that_only_310_infer_goes_to() -> None:
    chip = replace(CHIPS[0], generation="310P")
    assert "310P take 310-infer only" in one(kind_answers((chip,)), "ok").text
    assert list(kind_answers(CHIPS)) == []
    assert [drives_ascend(HostDevices(devices)) for devices in ((chip,), CHIPS, (chip, *CHIPS), SLOTS)] == [
        False,
        True,
        True,
        False,
    ]


def test_a_mindspore_that_cannot_drive_the_chips() -> None:
    fault = "Load dynamic library: x.so.2 failed. libge_runner.so: cannot open\nLoad more"
    printed = json.dumps({"version": "2.10.0", "fault": fault})
    answer = one(mindspore_answers(f"a banner\n{printed}\n", drives_ascend=True), "error")
    assert answer.text.endswith("libge_runner.so: cannot open")
    assert "set_env.sh" in (answer.remedy or "")
    good = json.dumps({"version": "2.10.0", "fault": None})
    assert "can be loaded" in one(mindspore_answers(good, drives_ascend=True), "ok").text
    old = json.dumps({"version": "2.9.0", "fault": fault})
    assert states(mindspore_answers(old, drives_ascend=True)) == ["warning", "error"]


@pytest.mark.mindspore
def test_the_real_mindspore_without_cann(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    settings = load_settings({"home": tmp_path}, {})
    assert states(check_mindspore(settings)) == ["ok"]
    assert "cannot drive" in one(check_mindspore(settings, drives_ascend=True), "error").text


def test_device_nodes_that_this_user_may_not_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(load_settings({"home": tmp_path}, {}), dev_dir=tmp_path)
    for name in ("davinci0", "davinci1", "davinci_manager"):
        (tmp_path / name).touch()
    assert "all 3 device nodes" in one(permission_answers(settings), "ok").text
    # Root may open everything.
    monkeypatch.setattr("os.access", lambda path, mode: "davinci1" not in str(path))
    closed = one(permission_answers(settings), "error")
    assert str(tmp_path / "davinci1") in closed.text
    assert "usermod -aG" in (closed.remedy or "")


@pytest.mark.parametrize(
    ("chips", "state", "told"),
    [
        (CHIPS, "ok", "can be made for these 4 devices"),
        (tuple(replace(chip, generation="910C") for chip in CHIPS), "ok", "super pod"),
        ((CHIPS[0], replace(CHIPS[1], device_ip=None)), "warning", "device IP of device 2"),
        ((*CHIPS[:2], replace(CHIPS[2], health="alarm")), "ok", "these 3 devices, but jobs cannot use device 3"),
    ],
)
def test_the_rank_table_of_a_host(chips: tuple[Device, ...], state: str, told: str) -> None:
    assert told in one(table_answers(chips, "10.1.2.3", warning_runs=True), state).text


@pytest.mark.parametrize(
    ("given", "reserved", "state"),
    [
        ("32768 60999", "", "ok"),
        ("32768 65535", "", "warning"),
        ("32768 65535", "8080,61000-61127", "ok"),
        ("32768 65535", "61000-61010", "warning"),
    ],
)
def test_ports_that_linux_may_give_away(tmp_path: Path, given: str, reserved: str, state: str) -> None:
    (tmp_path / "ip_local_port_range").write_text(given.replace(" ", "\t") + "\n")
    (tmp_path / "ip_local_reserved_ports").write_text(reserved + "\n")
    answer = one(hccl_ports(range(61000, 61128), tmp_path), state)
    assert "61000-61127" in answer.text
    assert state == "ok" or "ip_local_reserved_ports=61000-61127" in (answer.remedy or "")


def test_ports_that_cannot_be_read(tmp_path: Path) -> None:
    assert states(hccl_ports(range(61000, 61128), tmp_path)) == ["warning"]
    assert numbers("1-3,7\n") == {1, 2, 3, 7}
    assert numbers("\n") == set()


def test_free_devices_are_chosen() -> None:
    assert choose(CHIPS, {1: 7}, None) == CHIPS[1:]
    assert choose(SLOTS, {}, None) == SLOTS[:2]
    assert choose(CHIPS, {}, (3, 1)) == (CHIPS[0], CHIPS[2])
    ill = (replace(CHIPS[0], health="warning"), replace(CHIPS[1], health="alarm"), *CHIPS[2:])
    assert [device.id for device in choose(ill, {}, None)] == [1, 3, 4]


@pytest.mark.parametrize(
    ("held", "asked", "told"),
    [
        ({1: 7}, (1, 2), "device 1 is held by job 7"),
        ({}, (1, 4), "device 4 is in use by process 99"),
        ({1: 7, 2: 7, 3: 8}, None, "needs 2 free devices together: device 1 is held by job 7; device 2"),
        ({}, (1, 9), "no device 9"),
    ],
)
def test_devices_that_others_have_are_refused(held: Mapping[int, int], asked: tuple[int, ...], told: str) -> None:
    devices = (*CHIPS[:3], replace(CHIPS[3], processes=(DeviceProcess(99, "other"),)))
    with pytest.raises(NoHostFits, match=told):
        choose(devices, held, asked)


def first_910(*numbers: int) -> tuple[Device, ...]:
    return tuple(Device(n, ASCEND_CHIP, "910A", generation="910A", physical_id=n) for n in numbers)


@pytest.mark.parametrize(
    ("free", "chosen"),
    [
        (range(8), range(8)),
        ((0, 1, 2, 3, 4, 5, 6), (0, 1, 2, 3)),
        ((1, 4, 5, 6), (4, 5)),
        ((2, 3), (2, 3)),
    ],
)
def test_devices_of_910a_are_chosen_by_its_groups(free: Iterable[int], chosen: Iterable[int]) -> None:
    assert choose(first_910(*free), {}, None) == first_910(*chosen)


def test_devices_without_a_common_network_are_refused() -> None:
    with pytest.raises(NoHostFits, match="2 free devices together"):
        choose(first_910(0, 4), {}, None)
    with pytest.raises(NoHostFits, match="both groups"):
        choose(first_910(0, 4), {}, (0, 4))
    with pytest.raises(NoHostFits, match="310P has no HCCL"):
        choose((Device(0, ASCEND_CHIP, "310P3", generation="310P"),), {}, None)


@pytest.mark.parametrize("asked", [(1,), (1, 1)])
def test_one_device_sums_with_nobody(asked: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="at least 2 different"):
        choose(CHIPS, {}, asked)


def test_sums_are_judged_over_all_ranks() -> None:
    good = {"bytes": 2**20, "seconds": 0.001, "wrong": 0.0}
    slow = {**good, "seconds": 0.002}
    answer = one(size_answers("gang", 2, {1: {0: good, 1: slow}}), "ok")
    assert "1.0 MiB summed exactly in 2.00 ms, 0.52 GB/s" in answer.text
    assert (
        "wrong sums on rank 1" in one(size_answers("gang", 2, {1: {0: good, 1: {**good, "wrong": 3.0}}}), "error").text
    )
    assert "rank 1 reported no sums" in one(size_answers("gang", 2, {1: {0: good}}), "error").text
    assert "no rank reported" in one(size_answers("gang", 2, {}), "error").text


def test_a_home_that_others_may_read(tmp_path: Path) -> None:
    settings = load_settings({"home": tmp_path}, {})
    tmp_path.chmod(0o700)
    assert len(list(check_home(settings))) == 1
    tmp_path.chmod(0o750)
    (tmp_path / "config.toml").touch()
    answers = list(check_home(settings))
    assert "config.toml" in answers[1].text
    assert answers[1].remedy == f"chmod 700 {tmp_path}"


def test_a_dataset_as_a_job_sees_it(tmp_path: Path) -> None:
    settings = load_settings({"home": tmp_path / "home"}, {})
    data = tmp_path / "data"
    assert "is not there" in one(check_data(data, settings), "error").text
    data.mkdir()
    assert "has no leftImg8bit/train" in one(check_data(data, settings), "error").text
    empty_dataset(data)
    assert states(check_data(data, settings)) == ["error", "error"]
    for kind in ("leftImg8bit", "gtFine"):
        for split in ("train", "val"):
            city = data / kind / split / "aachen"
            city.mkdir()
            (city / "a.png").touch()
    assert states(check_data(data, settings)) == ["ok", "ok"]
    with pytest.raises(UsageError, match="ERFNET_JOBS_ALLOWED_PATHS"):
        list(check_data(data, replace(settings, allowed_paths=(Path("/srv"),))))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://redis.example/0", ["no TLS", "no password"]),
        ("redis://:pw@redis.example/0", ["no TLS"]),
        ("rediss://:pw@redis.example/0", []),
        ("rediss://:pw@redis.example/0?ssl_cert_reqs=none", ["certificate is not checked"]),
        ("redis://127.0.0.1/0", []),
        ("redis+socket:///tmp/redis.sock", []),
    ],
)
def test_how_redis_is_protected(url: str, told: list[str]) -> None:
    answers = list(broker_protection(url))
    assert len(answers) == len(told)
    assert all(text in answer.text for answer, text in zip(answers, told, strict=True))


def test_what_of_redis_loses_messages() -> None:
    assert list(broker_storing({"maxmemory": 0, "maxmemory_policy": "allkeys-lru"})) == []
    assert "allkeys-lru" in one(broker_storing({"maxmemory": 1, "maxmemory_policy": "allkeys-lru"}), "warning").text
    assert "refuse messages" in one(broker_storing({"rdb_last_bgsave_status": "err"}), "warning").text


def test_how_the_registry_is_protected() -> None:
    assert states(registry_protection("db.example", "verify-full")) == []
    assert states(registry_protection("localhost", "prefer")) == []
    assert "without TLS" in one(registry_protection("db.example", "prefer"), "warning").text
    assert "server's name" in one(registry_protection("db.example", "require"), "warning").text
    assert [is_loopback(host) for host in (None, "localhost", "127.9.9.9", "::1", "10.0.0.1", "db")] == [True] * 4 + [
        False
    ] * 2


def test_lines_fit_the_terminal_and_stay_in_their_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = "device 0: 10.20.30.40 by hccn_tool, 192.168.100.11 by hccn.conf; the file is stale\n  | a line of a log"
    finding = {"state": "warning", "name": "devices", "text": text, "remedy": "correct it " * 10}
    lines = click.unstyle(_line(finding)).splitlines()
    assert lines[0].startswith("warning  devices    device 0: ")
    assert len(lines) == 5
    assert all(len(line) <= 80 and line.startswith(" " * 20) for line in lines[1:])
    assert lines[2] == " " * 20 + "  | a line of a log"
