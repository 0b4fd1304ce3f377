"""`erfnet-jobs devices` on the scripted Ascend host."""

from pathlib import Path

import pytest

from erfnet_jobs.ascend.devices import Device
from tests.ascend_host import AscendHost
from tests.cli_calls import Shell


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AscendHost:
    made = AscendHost(tmp_path, "910B", cards=2)
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "home", capsys)


def test_all_values_in_json(host: AscendHost, shell: Shell) -> None:
    host.add_process(1, 4711)
    host.set_address(0, "10.9.8.7")
    called = shell("devices", "--json")
    assert called.code == 0
    assert called.json["driver"] == host.state["driver"]
    assert called.json["cann"] == "8.3.RC1"
    assert len(called.json["troubles"]) == 1
    first, second = called.json["devices"]
    assert first.keys() == Device.__dataclass_fields__.keys()
    assert (first["device_ip"], first["link"], first["processes"]) == ("10.9.8.7", "up", [])
    assert [process["pid"] for process in second["processes"]] == [4711]
    assert "stale" in called.err


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits(host: AscendHost, shell: Shell, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    host.set_health(1, "Critical", "8C1F8608")
    host.add_process(1, 4711)
    called = shell("devices")
    lines = called.out.splitlines()
    assert max(map(len, lines)) <= width
    assert "critical 8C1F8608" in lines[2]
    assert "4711" in lines[2]
    assert "none" in lines[1]
    assert lines[3:] == [f"driver  {host.state['driver']}", "CANN    8.3.RC1"]


def test_what_cannot_be_told_is_null(host: AscendHost, shell: Shell) -> None:
    host.fail("dcmi")
    called = shell("devices", "--json")
    assert called.code == 0
    (first, _second) = called.json["devices"]
    told = {name: value for name, value in first.items() if value is not None}
    assert told == {"id": 0, "kind": "ascend", "name": "davinci0", "health": "unknown", "physical_id": 0}
    assert "HwHiAiUser" in called.err
