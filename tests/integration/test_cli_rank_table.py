"""`rank-table`: made on a scripted Ascend host, merged, checked; no broker and no registry."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erfnet_jobs.errors import BadData, NoHostFits, UsageError
from tests.ascend_host import AscendHost
from tests.cli_calls import Called, Shell
from tests.hccl_tools import hccl_tools_document

ADDRESS = "10.77.0.1"


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("ERFNET_JOBS_HOST_ADDRESS", ADDRESS)
    return Shell(tmp_path / "home", capsys)


def on_host(shell: Shell, monkeypatch: pytest.MonkeyPatch, generation: str, **more: Any) -> AscendHost:
    host = AscendHost(shell.home.parent, generation, **more)
    for name, value in host.environ.items():
        monkeypatch.setenv(name, value)
    return host


def theirs(host: AscendHost, first: int = 0, last: int = 8) -> dict[str, Any]:
    printed = {chip["physical"]: [f"ipaddr:{chip['ip']}\n", "netmask:255.255.255.0\n"] for chip in host.chips}
    return hccl_tools_document(first, last, [str(number) for number in range(8)], ADDRESS, printed)


def with_pod_ip(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "server_list": [{**server, "pod_ip": ADDRESS} for server in document["server_list"]]}


@pytest.mark.parametrize("generation", ["910A", "910B"])
def test_made_as_hccl_tools_does_with_pod_ip(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, generation: str
) -> None:
    host = on_host(shell, monkeypatch, generation)

    called = shell("rank-table")
    assert (called.code, called.err) == (0, "")
    assert called.out == json.dumps(with_pod_ip(theirs(host)), indent=4) + "\n"
    part = shell("rank-table", "--devices", "4-7", "--server-ip", "10.77.0.9", "-o", tmp_path / "table.json")
    assert part.code == 0
    assert "4 ranks on 1 server" in part.err
    made = json.loads((tmp_path / "table.json").read_bytes())
    assert made["server_list"][0]["device"] == theirs(host, 4, 8)["server_list"][0]["device"]
    assert made["server_list"][0]["server_id"] == made["server_list"][0]["pod_ip"] == "10.77.0.9"
    assert shell("rank-table", "--check", tmp_path / "table.json").out.endswith("table.json: ok\n")
    # Nothing of it needs a home.
    assert not shell.home.exists()


@pytest.mark.parametrize(
    ("generation", "cards", "arguments", "error", "words"),
    [
        ("910A", 5, ("--devices", "3,4"), UsageError, "both groups of a 910A server"),
        ("910A", 3, ("--devices", "0-2"), UsageError, "3 devices of a 910A"),
        ("910B", 1, ("--devices", "0,8"), NoHostFits, "no device 8"),
        ("910B", 1, ("--devices", "0,0"), UsageError, "give each once"),
        ("910B", 1, ("--server-ip", "localhost"), UsageError, "--server-ip"),
        ("910B", 1, ("-o", "/proc/none/table.json"), UsageError, "cannot be written"),
        ("910C", 1, (), UsageError, "910C is a super pod"),
        ("310P", 1, (), UsageError, "has no HCCL"),
    ],
)
def test_what_cannot_be_made(
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    generation: str,
    cards: int,
    arguments: tuple[str, ...],
    error: type[Exception],
    words: str,
) -> None:
    on_host(shell, monkeypatch, generation, cards=cards)
    called = shell("rank-table", *arguments)
    assert called.code == getattr(error, "exit_code", None)
    assert words in called.err
    assert called.out == ""


def test_a_device_without_an_address(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    host = on_host(shell, monkeypatch, "910B", cards=3)
    host.set_address(2, None)
    host.hccn_conf.write_text("")
    called = shell("rank-table")
    assert called.code == UsageError.exit_code
    assert "hccn_tool -i 2 -ip -g" in called.err
    assert shell("rank-table", "--devices", "0,1").code == 0


def test_chips_whose_name_the_tools_mask(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    host = on_host(shell, monkeypatch, "910B", cards=3)
    for device in range(3):
        host.set(device, name="xxx")
    refused = shell("rank-table")
    assert refused.code == UsageError.exit_code
    assert "takes --generation" in refused.err
    assert len(json.loads(shell("rank-table", "--generation", "910B").out)["server_list"][0]["device"]) == 3
    assert "3 devices of a 910A" in shell("rank-table", "--generation", "910A").err


def test_a_host_without_ascend_devices(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    called = shell("rank-table")
    assert called.code == NoHostFits.exit_code
    assert "run this on an Ascend host" in called.err
    assert "whether its driver is loaded" in called.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--merge",),
        ("--check",),
        ("x.json",),
        ("--merge", "--check", "x"),
        ("--check", "-o", "y", "x"),
        ("--merge", "--devices", "0", "x"),
        ("--generation", "910Z"),
        ("--check", "--server-ip", "10.0.0.1", "x"),
    ],
)
def test_options_that_do_not_go_together(shell: Shell, arguments: tuple[str, ...]) -> None:
    called = shell("rank-table", *arguments)
    assert (called.code, called.out) == (2, "")


def written(folder: Path, name: str, server: str, network: int, count: int = 2) -> Path:
    printed = {number: [f"ipaddr:172.30.{network}.{number + 1}\n"] for number in range(2)}
    path = folder / name
    path.write_text(json.dumps(hccl_tools_document(0, count, ["0", "1"], server, printed)))
    return path


def test_merged_and_checked(shell: Shell, tmp_path: Path) -> None:
    paths = [written(tmp_path, "b.json", "10.77.0.5", 5), written(tmp_path, "a.json", "10.77.0.10", 10)]

    merged = shell("rank-table", "--merge", *paths, "-o", tmp_path / "all.json", "--json")

    assert merged.json["ranks"] == 4
    assert [server["server_id"] for server in merged.json["table"]["server_list"]] == ["10.77.0.10", "10.77.0.5"]
    assert "no pod_ip for 10.77.0.10, 10.77.0.5" in merged.err
    checked = shell("rank-table", "--check", tmp_path / "all.json", "--json")
    assert checked.code == 0
    assert [fault["warning"] for fault in checked.json[0]["faults"]] == [True, True]
    paths.append(written(tmp_path, "c.json", "10.77.0.7", 7, 1))
    uneven = shell("rank-table", "--merge", *paths, "--generation", "910A")
    assert uneven.code == BadData.exit_code
    assert "different numbers of devices" in uneven.err
    twice = shell("rank-table", "--merge", paths[0], paths[0])
    assert twice.code == BadData.exit_code


def test_each_file_is_checked_and_every_fault_told(shell: Shell, tmp_path: Path) -> None:
    good = written(tmp_path, "good.json", "10.77.0.5", 5)
    bad = tmp_path / "bad.json"
    bad.write_text(good.read_text().replace('"rank_id": "1"', '"rank_id": 1').replace("172.30.5.1", "fd00:"))

    called = shell("rank-table", "--check", bad, tmp_path / "none.json", good)

    assert called.code == 1
    lines = called.out.splitlines()
    assert f"{bad}: error: server_list[0].device[0].device_ip: is 'fd00:', and must be an IP address in quotes" in lines
    assert any("device[1].rank_id: is 1" in line for line in lines)
    assert any(line.startswith(f"{tmp_path / 'none.json'}: error: file: ") for line in lines)
    assert lines[-1] == f"{good}: ok"


def test_a_table_that_names_this_host_is_held_to_its_devices(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    on_host(shell, monkeypatch, "910A", cards=1)
    path = written(tmp_path, "table.json", ADDRESS, 5)

    called = shell("rank-table", "--check", path)

    assert called.code == 1
    assert "this host has no device with the physical id 1: it has 0" in called.out
    assert shell("rank-table", "--check", written(tmp_path, "other.json", "10.77.0.2", 5)).code == 0


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=80) | st.text(max_size=80).map(lambda text: json.dumps({text: [text]}).encode()))
def test_whatever_is_checked_there_is_no_traceback(shell: Shell, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.json"
    path.write_bytes(content)
    called: Called = shell("rank-table", "--check", path)
    assert called.code == 1
    assert "unexpected" not in called.err
