"""A worker on a scripted Ascend host, with scripted ranks: cards that break, are lost, are silent or used by others."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from erfnet_jobs.registry.hosts import DeviceSummary, get_host
from erfnet_jobs.registry.logs import host_events
from erfnet_jobs.states import JobState, Outcome
from tests.ascend_host import AscendHost
from tests.services import NewSite, Site, eventually

RUNNING, SUCCEEDED = JobState.RUNNING, JobState.SUCCEEDED
HANG = [["hello"], ["hang"]]


class AscendSite:
    """A site whose worker finds the chips of a scripted host."""

    def __init__(self, site: Site, host: AscendHost) -> None:
        self.site = site
        self.host = host
        start: Callable[..., None] = site.start_worker
        start(devices=None)

    def device(self, number: int) -> DeviceSummary:
        found: DeviceSummary = self.site.ask(lambda session: get_host(session, "here").devices[number])
        return found

    def events(self) -> list[str]:
        rows = self.site.ask(lambda session: host_events(session, "here", 50))
        return [row.text for row in reversed(rows) if row.kind == "device"]

    def devices_of(self, job: int) -> list[tuple[int, ...]]:
        return [tuple(one.id for one in self.site.ask(lambda s: get_host(s, "here")).devices if one.job == job)]


@pytest.fixture
def ascend(new_site: NewSite, sqlite_url: str, site_folder: Path) -> AscendSite:
    host = AscendHost(site_folder, "910B", cards=3)
    return AscendSite(new_site(sqlite_url, device_interval=0.3, **host.settings), host)


@pytest.fixture
def stranger() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def test_a_card_that_breaks_in_the_middle_of_a_job(ascend: AscendSite) -> None:
    site, host = ascend.site, ascend.host
    site.script({"attempt 1": HANG})
    job = site.train(cards=2, max_attempts=2)
    site.until(job, RUNNING)
    assert ascend.devices_of(job) == [(0, 1)]
    host.set_health(1, "Critical", "80E01801")

    site.until(job, SUCCEEDED)

    first, second = site.attempts(job)
    assert (first.outcome, first.error, first.permanent) == (Outcome.FAILED, "DeviceLost", False)
    assert first.reason == "device 1 of here: critical (error code 80E01801), so the attempt was ended"
    assert second.outcome == Outcome.SUCCEEDED
    assert ascend.events() == ["device 1: ok -> critical (error code 80E01801); no job gets it"]
    eventually(site.idle, "no process of the first attempt is left")
    assert not ascend.device(1).usable
    host.set_health(1, "OK")
    eventually(lambda: ascend.device(1).usable, "the card is mended")


def test_a_card_of_another_host_ends_the_whole_gang(new_site: NewSite, postgres_url: str, site_folder: Path) -> None:
    left, right = (
        AscendSite(new_site(postgres_url, host=name, device_interval=0.3, **host.settings), host)
        for name in ("left", "right")
        for host in [AscendHost(site_folder / f"chips-{name}", "910B", cards=1)]
    )
    left.site.script({"attempt 1": HANG})
    job = left.site.train(cards=2, max_attempts=2)
    left.site.until(job, RUNNING)
    right.host.set_health(0, "Alarm", "80C98002")

    eventually(lambda: left.site.attempts(job)[0].outcome, "the attempt has ended")
    assert left.site.attempts(job)[0].reason == (
        "device 0 of right: alarm (error code 80C98002), so the attempt was ended"
    )
    eventually(lambda: not left.site.ranks() + right.site.ranks(), "no rank is left on either host", deadline=10)
    right.host.set_health(0, "OK")
    left.site.until(job, SUCCEEDED)


def test_a_card_that_is_lost_and_comes_back(ascend: AscendSite) -> None:
    site, host = ascend.site, ascend.host
    site.script({"attempt 1": HANG})
    job = site.train(cards=1, max_attempts=2)
    site.until(job, RUNNING)
    host.lose(0)

    site.until(job, SUCCEEDED)

    assert "device 0 of here: gone" in (site.attempts(job)[0].reason or "")
    assert (ascend.device(0).present, ascend.device(0).usable) == (False, False)
    host.bring_back()
    eventually(lambda: ascend.device(0).usable, "the card is back")
    assert ascend.events() == ["device 0: ok -> gone; no job gets it", "device 0: gone -> ok"]


def test_a_tool_that_hangs_ends_no_job(new_site: NewSite, sqlite_url: str, site_folder: Path) -> None:
    host = AscendHost(site_folder, "910B", cards=3)
    site = new_site(sqlite_url, device_interval=0.3, tool_timeout=2, **host.settings)
    ascend = AscendSite(site, host)
    go = site.folder / "go"
    site.script({"default": [["hello"], ["wait_for", str(go)], ["done"]]})
    host.hang()
    eventually(host.processes, "a call hangs")
    job = site.train(cards=1)
    site.until(job, RUNNING)
    eventually(lambda: not ascend.device(2).usable, "nobody knows the devices' health any more")
    assert ascend.device(2).health == "unknown"
    waiting = site.train(cards=1)
    eventually(lambda: site.job(waiting).reason, "the pass has looked at the second job")
    go.touch()
    site.until(job, SUCCEEDED)
    assert site.job(waiting).state == JobState.QUEUED
    assert len(site.attempts(job)) == 1
    host.heal()
    site.until(waiting, SUCCEEDED)


def test_a_device_that_others_use_gets_no_job(ascend: AscendSite, stranger: "subprocess.Popen[bytes]") -> None:
    site, host = ascend.site, ascend.host
    host.add_process(0, stranger.pid, "python3")
    eventually(lambda: ascend.device(0).busy, "the process is seen")
    assert ascend.device(0).busy == f"process {stranger.pid} (python3)"
    site.script({"default": HANG})
    job = site.train(cards=2)
    site.until(job, RUNNING)
    assert ascend.devices_of(job) == [(1, 2)]
    environs = [dict(entry.split("=", 1) for entry in _environ(pid) if "=" in entry) for pid in site.ranks()]
    assert {found["ASCEND_RT_VISIBLE_DEVICES"] for found in environs} == {"1,2"}
    assert {found["ERFNET_JOBS_DEVICE_TARGET"] for found in environs} == {"Ascend"}
    for number, pid in zip((1, 2), site.ranks(), strict=True):
        host.add_process(number, pid)
    host.remove_processes(0)
    eventually(lambda: ascend.device(0).usable, "the device is free again")
    assert (ascend.device(1).busy, ascend.device(2).busy) == (None, None)
    site.cancel(job)
    site.until(job, JobState.CANCELLED)


def test_health_warning_runs_or_not_as_the_setting_says(new_site: NewSite, sqlite_url: str, site_folder: Path) -> None:
    host = AscendHost(site_folder, "910B", cards=2)
    host.set_health(0, "Warning", "80CB8009")
    strict = AscendSite(new_site(sqlite_url, warning_runs=False, device_interval=0.3, **host.settings), host)
    assert [strict.device(number).usable for number in range(2)] == [False, True]
    assert (strict.device(0).health, strict.device(0).error_code) == ("warning", "80CB8009")
    job = strict.site.train(cards=1)
    strict.site.until(job, SUCCEEDED)
    assert strict.site.attempts(job)[0].number == 1


def _environ(pid: int) -> list[str]:
    return os.fsdecode(Path(f"/proc/{pid}/environ").read_bytes()).split("\0")
