"""What users are told of a host whose worker was killed, stopped or drained: nobody is left there to say it."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from erfnet_jobs.client import Client
from erfnet_jobs.local.deadline import wait_until
from erfnet_jobs.local.down import Running, take_down
from erfnet_jobs.local.up import bring_up
from erfnet_jobs.local.worker_process import running_worker
from erfnet_jobs.registry.devices import store_devices
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.hosts import get_host, stop_host
from erfnet_jobs.registry.tables import Host
from erfnet_jobs.settings import load_settings
from tests.cli_calls import Shell, redis_of
from tests.layout import empty_dataset
from tests.registry_steps import seen_device


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    found = Shell(tmp_path / "home", capsys)
    with redis_of(found.settings):
        found.add_host()
        yield found


def silence(shell: Shell, seconds: float) -> None:
    with shell.registry() as registry, registry.write() as session:
        session.get_one(Host, "h1").seen_at = now(session) - timedelta(seconds=seconds)


def test_a_host_that_is_not_heard_of_is_said_to_be_so(shell: Shell, tmp_path: Path) -> None:
    train = ("submit", "train", "--data", empty_dataset(tmp_path / "data"), "--no-eval")
    assert shell("hosts").out.splitlines()[1].split()[:2] == ["h1", "up"]
    assert "no host takes jobs" not in shell(*train).err

    silence(shell, 7530)

    away = "no host takes jobs now: h1 (its worker is not heard of: start it with 'erfnet-jobs up' there)"
    assert "not heard of for 2h05m" in shell("hosts").out
    assert shell("hosts", "--json").json[0]["state"] == "silent"
    assert away in shell(*train).err
    assert away in shell("status", 1).err
    assert away in shell("status").err
    planned = shell(*train, "--dry-run")
    assert away in planned.err
    assert "h1: 2 of 2 devices free; its worker is not heard of" in planned.out
    shell("hosts", "drain", "h1")
    assert ", drained  " in shell("hosts").out


def test_of_a_drained_host_it_is_said_how_to_resume_it(shell: Shell, tmp_path: Path) -> None:
    shell("hosts", "drain", "h1")
    called = shell("submit", "train", "--data", empty_dataset(tmp_path / "data"), "--no-eval")
    assert "no host takes jobs now: h1 (drained: 'erfnet-jobs hosts resume h1')" in called.err
    with shell.registry() as registry, registry.write() as session:
        assert stop_host(session, "h1", "i")
    assert "stopped, drained" in shell("hosts").out
    assert "its worker was stopped: start it with 'erfnet-jobs up' there, and drained:" in shell("status", 1).err


def test_a_dry_run_tells_what_placement_would_decide(shell: Shell, tmp_path: Path) -> None:
    chips = [seen_device(number, "ascend", "910A", "910A") for number in range(8)]
    with shell.registry() as registry, registry.write() as session:
        store_devices(session, "h1", chips)
    shell("hosts", "cordon", "h1:0,1,3,4", "--reason", "hot")

    train = ("submit", "train", "--data", empty_dataset(tmp_path / "data"), "--no-eval", "--cards", "4")
    planned = shell(*train, "--dry-run")

    assert "h1: 4 of 4 devices free" in planned.out
    why = "waits for devices that get no jobs now, see 'erfnet-jobs hosts': 0-1,3-4 of h1"
    assert f"If it were the next job: it {why}." in planned.out
    assert shell(*train, "--dry-run", "--json").json["now"] == {"parts": [], "reason": why}
    refused = shell(*train[:-1], "3").err.strip()
    assert refused.endswith("so 3 do not: ask for 1, 2, 4 or 8")
    shell("hosts", "uncordon", "h1:4")
    assert "it would get devices 4,5,6,7 of h1 now." in shell(*train, "--dry-run").out


def test_down_marks_a_worker_that_was_killed_as_stopped(tmp_path: Path) -> None:
    settings = replace(load_settings({"home": tmp_path / "home"}, {}), beat_interval=0.3)
    try:
        bring_up(settings, 1, lambda _text: None)
        running = running_worker(settings)
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)
        assert wait_until(lambda: running_worker(settings) is None, 10)

        assert take_down(settings, Running.REFUSE, lambda _text: None) == ["Redis"]

        with Client(settings) as client, client.registry.read() as session:
            assert client.hosts()[0]["state"] == "stopped"
            instance = get_host(session, settings.host_name).instance
        with client.registry.write() as session:
            assert not stop_host(session, settings.host_name, instance)
    finally:
        take_down(settings, Running.CANCEL, lambda _text: None)


def test_another_worker_of_the_host_is_not_marked_as_stopped(shell: Shell) -> None:
    with shell.registry() as registry, registry.write() as session:
        assert not stop_host(session, "h1", "the one before")
        assert stop_host(session, "h1", "i")
