"""`doctor` on a real Redis and PostgreSQL, on a scripted Ascend host, and with a real all-reduce."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from erfnet_jobs.cli.checks import all_reduce
from erfnet_jobs.launch.processes import living
from erfnet_jobs.launch.program import RANK_MODULE, SCRIPTED
from erfnet_jobs.launch.scripted_rank import SCRIPT
from erfnet_jobs.launch.storage import storage_id
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.hosts import register_host
from erfnet_jobs.states import JobState
from tests.ascend_host import AscendHost
from tests.cli_calls import Called, Shell
from tests.conftest import PostgresServer
from tests.guarded import PASSWORD, Guarded
from tests.registry_steps import seen_device
from tests.services import NewSite, RedisServer, Script, eventually

RIGHT = ["metric", 1, 1, 1, {"bytes": 1048576.0, "seconds": 0.001, "wrong": 0.0}]
WRONG = ["metric", 1, 1, 1, {"bytes": 1048576.0, "seconds": 0.001, "wrong": 3.0}]
ALL_REDUCE = ("doctor", "--no-mindspore", "--json", "--all-reduce")


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("ERFNET_JOBS_HOST_NAME", "here")
    monkeypatch.setenv("ERFNET_JOBS_HOST_ADDRESS", "127.0.0.1")
    return Shell(tmp_path / "home", capsys)


@pytest.fixture
def ascend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AscendHost:
    host = AscendHost(tmp_path / "ascend", "910B", cards=4)
    for name, value in host.environ.items():
        monkeypatch.setenv(name, value)
    return host


def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script) -> None:
    """Have the ranks of the all-reduce do this."""
    (tmp_path / "script.json").write_text(json.dumps(script))
    monkeypatch.setenv(RANK_MODULE, SCRIPTED)
    monkeypatch.setenv(SCRIPT, str(tmp_path / "script.json"))


def said(called: Called, name: str) -> list[dict[str, Any]]:
    return [check for check in called.json["checks"] if check["name"] == name]


def test_services_that_are_guarded(
    shell: Shell,
    guarded_redis: Guarded,
    guarded_postgres: Guarded,
    postgres_server: PostgresServer,
    own_redis: RedisServer,
) -> None:
    import redis

    client = redis.Redis(unix_socket_path=str(own_redis.socket), password=PASSWORD)
    client.config_set("maxmemory", "100mb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    url = guarded_postgres.database_url(postgres_server.create("template_registry"))
    runs = shell.settings.runs
    with Registry(url) as registry, registry.write() as session:
        for name, storage in (("here", storage_id(runs)), ("near", storage_id(runs)), ("far", "another")):
            words = {"address": "127.0.0.1", "version": "1", "instance": "i"}
            register_host(session, name=name, storage_id=storage, devices=[seen_device(0)], **words)

    called = shell(
        "--database-url", url, "--broker-url", guarded_redis.broker_url, "doctor", "--no-mindspore", "--json"
    )

    assert called.code == 0
    assert "Redis 6" in said(called, "Redis")[0]["text"]
    assert [each["text"] for each in said(called, "Redis")[1:]] == ["maxmemory-policy allkeys-lru may drop messages"]
    assert said(called, "runs")[1]["text"] == f"storage {storage_id(runs)}, shared with near"
    assert [each["state"] for each in said(called, "registry")] == ["ok"]
    assert "other hosts cannot reach" in said(called, "address")[0]["text"]
    assert PASSWORD not in called.out + called.err
    wrong = shell(
        "--broker-url", guarded_redis.text("rediss://:no@{name}:{port}/0"), "doctor", "--no-mindspore", "--json"
    )
    assert wrong.code == 1
    assert "ssl_ca_certs" in said(wrong, "Redis")[0]["text"]


def test_a_clock_that_is_wrong(shell: Shell, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from erfnet_jobs.registry import events

    later = text("SELECT clock_timestamp() + interval '90 s'")
    monkeypatch.setattr(events, "now", lambda session: session.execute(later).scalar_one())
    found = said(shell("--database-url", postgres_url, "doctor", "--no-mindspore", "--json"), "registry")
    assert found[1]["text"] == "this host's clock is 90 s behind the registry's"


def test_a_host_whose_chips_have_troubles(shell: Shell, ascend: AscendHost) -> None:
    ascend.set_health(3, "Alarm", "80C98002")
    ascend.set_link(2, "DOWN")
    ascend.add_process(1, pid=4711)
    conf = ascend.hccn_conf.read_text()
    ascend.hccn_conf.write_text(conf.replace("address_0=192.168.100", "address_0=192.168.199"))

    called = shell("doctor", "--no-mindspore", "--json")

    assert called.code == 1
    texts = [(check["name"], check["state"], check["text"]) for check in called.json["checks"]]
    told = {name: [(state, text) for each, state, text in texts if each == name] for name, _, _ in texts}
    assert told["devices"][0] == ("ok", "4 x 910B3")
    assert any(state == "error" and "device 3 is in health alarm" in text for state, text in told["devices"])
    assert any(state == "warning" and "in use by 4711" in text for state, text in told["devices"])
    assert any(state == "warning" and "the file is stale" in text for state, text in told["devices"])
    assert told["links"] == [("error", "the link of device 2 is down: jobs over several hosts fail")]
    assert told["nodes"][0][0] == "ok"
    assert "61000-61127" in told["ports"][0][1]
    assert "rank table" in told
    assert [state for state, _ in told["versions"]] == ["ok", "ok"]


def test_a_tool_that_fails_is_one_error_with_what_to_do(shell: Shell, ascend: AscendHost) -> None:
    ascend.fail("dcmi")
    called = shell("doctor", "--no-mindspore", "--json")
    (found,) = said(called, "devices")
    assert called.code == 1
    assert (found["state"], found["text"].count("dcmi")) == ("error", 1)
    assert "4 Ascend devices" in found["text"]
    assert said(called, "links") == said(called, "rank table") == []


def test_all_reduce_leaves_out_what_others_have_and_gets_a_rank_table(
    shell: Shell, ascend: AscendHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ascend.add_process(1, pid=4711)
    ascend.set_health(3, "Alarm")
    play(tmp_path, monkeypatch, {"default": [["hello"], RIGHT, ["exit", 3]]})
    monkeypatch.setenv("ERFNET_JOBS_HOST_ADDRESS", "10.1.2.3")

    refused = said(shell(*ALL_REDUCE, "--devices", "0,1"), "all-reduce")
    found = said(shell(*ALL_REDUCE), "all-reduce")

    assert refused[-1]["state"] == "error"
    assert "device 1 is in use by process 4711" in refused[-1]["text"]
    assert "with a rank table of 1 server" in [check["text"] for check in found]
    assert "2 ranks on devices 0, 2 (Ascend)" in found[-1]["text"]
    (table,) = shell.settings.runs.glob("doctor-*/1/rank_table.json")
    (server,) = json.loads(table.read_bytes())["server_list"]
    assert [device["device_id"] for device in server["device"]] == ["0", "2"]
    assert (server["server_id"], server["pod_ip"]) == ("10.1.2.3", "127.0.0.1")


@pytest.mark.parametrize(
    ("script", "told", "remedy"),
    [
        (
            {"rank 0": [["hello"], RIGHT, ["done"]], "rank 1": [["hello"], WRONG, ["done"]]},
            "wrong sums on rank 1",
            "pairs",
        ),
        ({"default": [["hello"], ["done"]]}, "no rank reported a sum", "logs"),
        (
            {"rank 0": [["hello"], ["hang"]], "rank 1": [["hello"], ["print", "last words"], ["signal", "SIGKILL"]]},
            "rank 1 failed first",
            "logs/rank_1.log",
        ),
    ],
)
def test_an_all_reduce_that_fails(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script, told: str, remedy: str
) -> None:
    play(tmp_path, monkeypatch, script)
    called = shell(*ALL_REDUCE)
    found = said(called, "all-reduce")[-1]
    assert called.code == 1
    assert found["state"] == "error"
    assert told in found["text"]
    assert remedy in found["remedy"]
    assert ("last words" in found["text"]) == ("SIGKILL" in str(script))
    assert list(shell.settings.runs.glob("doctor-*/1/logs/rank_1.log"))


def test_devices_that_jobs_hold_are_refused(
    new_site: NewSite, sqlite_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = new_site(sqlite_url)
    site.script({"default": [["hello"], ["hang"]]})
    site.start_worker(devices=2)
    job = site.train()
    site.until(job, JobState.RUNNING)
    for name, value in site.environ.items():
        monkeypatch.setenv(name, value)
    called = Shell(site.home, capsys)(*ALL_REDUCE, "--devices", "0,1")
    assert f"is held by job {job}" in said(called, "all-reduce")[-1]["text"]
    assert called.code == 1
    site.cancel(job)
    site.until(job, JobState.CANCELLED)


def test_an_all_reduce_that_hangs_ends(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_reduce, "LIMIT_SECONDS", 1.0)
    play(tmp_path, monkeypatch, {"default": [["hello"], ["hang_deaf"]]})
    found = said(shell(*ALL_REDUCE), "all-reduce")[-1]
    assert found["state"] == "error"
    assert "time limit" in found["text"]
    assert "log" in found["remedy"]


def test_a_redis_user_who_may_not_ask_for_its_settings(shell: Shell, own_redis: RedisServer) -> None:
    own_redis.start()
    own_redis.client().execute_command("ACL", "SETUSER", "default", "-info")
    found = said(shell("--broker-url", own_redis.url, "doctor", "--no-mindspore", "--json"), "Redis")
    assert [check["state"] for check in found] == ["ok"]


def test_where_all_reduce_runs_needs_it(shell: Shell) -> None:
    assert shell("doctor", "--devices", "0,1").code == 2


@pytest.mark.mindspore
def test_two_real_ranks_sum_exactly(shell: Shell) -> None:
    called = shell(*ALL_REDUCE)
    found = said(called, "all-reduce")
    assert called.code == 0, found
    assert ["summed exactly" in check["text"] for check in found] == [True] * 3
    assert list(shell.settings.runs.iterdir()) == []
    mark = str(shell.settings.runs).encode()
    eventually(
        lambda: not [one for one in living() if mark in Path(f"/proc/{one.pid}/cmdline").read_bytes()], "all gone"
    )
