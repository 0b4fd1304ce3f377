"""`hosts` and what it does to them: drain, resume, cordon, uncordon; what is wrong is named and nothing is changed."""

from pathlib import Path

import pytest

from erfnet_jobs.ascend.devices import ASCEND_CHIP, Device
from erfnet_jobs.ascend.health import Seen
from erfnet_jobs.errors import NotFound, UsageError
from erfnet_jobs.jobs import Part
from erfnet_jobs.registry.attempts import assign, claim, end_attempt
from erfnet_jobs.registry.devices import store_devices
from tests.cli_calls import Shell
from tests.registry_steps import failed, submit


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    made = Shell(tmp_path / "home", capsys)
    made.home.mkdir()
    made.add_host("h1", devices=3)
    return made


def usable(shell: Shell) -> list[int]:
    return [device["id"] for device in shell("hosts", "--json").json[0]["devices"] if device["usable"]]


def test_a_drained_host_gets_no_new_job_until_it_is_resumed(shell: Shell) -> None:
    assert "h1 gets no new job until 'erfnet-jobs hosts resume h1'" in shell("hosts", "drain", "h1").out
    (drained,) = shell("hosts", "--json").json
    assert (drained["state"], drained["infers_310"]) == ("drained", True)
    assert shell("hosts", "drain", "h1").code == 0
    assert "3 of 3 devices are free" in shell("hosts", "resume", "h1").out
    assert shell("hosts", "resume", "h1", "--json").json["state"] == "up"
    told = [(event["kind"], event["user"] is None) for event in shell("events", "--host", "h1", "--json").json]
    assert told[1:] == [("host drained", False), ("host undrained", False)]


def test_cordoned_devices_get_no_new_job_until_a_user_lifts_it(shell: Shell) -> None:
    called = shell("hosts", "cordon", "h1:0,2", "--reason", "smells of smoke")
    assert (called.code, usable(shell)) == (0, [1])
    assert "devices 0, 2 of h1: no new job until 'erfnet-jobs hosts uncordon'" in called.out
    assert "h1, device 0: cordoned (smells of smoke)\nh1, device 2: cordoned (smells of smoke)\n" in shell("hosts").out
    shell("hosts", "cordon", "h1:2", "--reason", "sent in")
    assert "h1, device 2: cordoned (sent in)" in shell("hosts").out
    assert shell("hosts", "uncordon", "h1:0-2", "--json").json["usable"] == 3
    texts = [event["text"] for event in shell("events", "--host", "h1", "--json").json]
    assert texts[-2:] == ["device 0: smells of smoke", "device 2: sent in"]


def test_what_runs_on_a_device_that_is_cordoned_is_named(shell: Shell) -> None:
    with shell.registry() as registry, registry.write() as session:
        job = submit(session)
        assert assign(session, job, 0, [Part("h1", (1,), 0)], "/runs/1")
    assert f"; job {job} goes on there" in shell("hosts", "cordon", "h1:1", "--reason", "x").out
    assert f"; job {job} goes on there" in shell("hosts", "drain", "h1").out


def test_lifting_a_cordon_tells_of_what_is_left_on_the_device(shell: Shell) -> None:
    with shell.registry() as registry, registry.write() as session:
        job = submit(session)
        assert assign(session, job, 0, [Part("h1", (1,), 0)], "/runs/1")
        assert claim(session, job, 1, "h1", None)
        assert end_attempt(session, job, 1, failed(permanent=True), 0)
        ill = Device(2, ASCEND_CHIP, "910B3", health="alarm", error_code="80E01801", link="down")
        store_devices(session, "h1", [Seen(ill, fit=False, busy="process 4711 (python3)")])
    called = shell("hosts", "uncordon", "h1:1,2")
    assert called.code == 0
    assert f"devices 1 of h1: job {job} has ended, and processes of it are still there" in called.err
    assert "device 2 of h1 is busy with process 4711 (python3)" in called.err
    assert "device 2 of h1 is alarm" in called.err
    told = shell("hosts").out
    assert "h1, device 2: alarm (error code 80E01801), link down, busy: process 4711 (python3)" in told
    assert "3 x CPU slot/910B3, 2 usable" in told
    texts = [event["text"] for event in shell("events", "--host", "h1", "--json").json]
    assert texts[-3:-1] == [
        "device 2: ok -> alarm (error code 80E01801); no job gets it",
        "device 2: busy with process 4711 (python3), which is none of ours; no job gets it",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["drain", "h9"], NotFound.exit_code, "host 'h9' is unknown"),
        (["resume", "h9"], NotFound.exit_code, "host 'h9' is unknown"),
        (["cordon", "h9:0", "--reason", "x"], NotFound.exit_code, "host 'h9' is unknown"),
        (["cordon", "h1:0,7", "--reason", "x"], NotFound.exit_code, "host 'h1' has no device 7: it has 0, 1, 2"),
        (["uncordon", "h1:9"], NotFound.exit_code, "has no device 9"),
        (["cordon", "h1:0"], UsageError.exit_code, "--reason"),
        (["cordon", "h1:0", "--reason", "  "], UsageError.exit_code, "a cordon needs a reason"),
        (["cordon", "h1", "--reason", "x"], UsageError.exit_code, "names no device: give HOST:ID"),
        (["cordon", "h1:two", "--reason", "x"], UsageError.exit_code, "cannot be read at 'two': give HOST:ID"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_changed(
    shell: Shell, arguments: list[str], code: int, words: str
) -> None:
    called = shell("hosts", *arguments, "--json")
    assert called.code == code
    assert words in called.err
    assert words in called.json["error"]["message"]
    assert usable(shell) == [0, 1, 2]
