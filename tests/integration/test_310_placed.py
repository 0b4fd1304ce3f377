"""310-infer jobs on scripted Ascend hosts, with scripted ranks: where they run, and what ends them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.jobs import Request
from erfnet_jobs.plan import read_plan
from erfnet_jobs.registry.parts import held_parts
from erfnet_jobs.states import JobState, Outcome
from tests.ascend_host import AscendHost
from tests.scripted_lite import install
from tests.services import NewSite, Site, eventually

FAMILIES = ("310", "310P")
RUNNING, SUCCEEDED, QUEUED = JobState.RUNNING, JobState.SUCCEEDED, JobState.QUEUED
HANG = [["hello"], ["hang"]]
NewHost = Callable[[str], tuple[Site, AscendHost]]


@pytest.fixture
def new_host(new_site: NewSite, sqlite_url: str, site_folder: Path) -> NewHost:
    """A site whose worker runs on the chips of a family."""

    def make(family: str) -> tuple[Site, AscendHost]:
        chips = AscendHost(site_folder, family)
        site = new_site(sqlite_url, device_interval=0.3, infer_310=install(site_folder / "bin").infer, **chips.settings)
        site.start_worker(devices=None)
        return site, chips

    return make


def infer(site: Site, devices: tuple[int, ...] | None = None, allow_cpu: bool = False, **request: Any) -> int:
    """Submit pictures for a model."""
    model = site.folder / "ERFNet.mindir"
    model.write_bytes(b"a model")
    spec = Infer310Spec(images=str(site.data), model=str(model), allow_cpu=allow_cpu)
    return site.submit(Request(spec, devices=devices, **request))


def environ_of(pid: int) -> dict[str, str]:
    entries = os.fsdecode(Path(f"/proc/{pid}/environ").read_bytes()).split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def devices_held(site: Site) -> dict[int, tuple[int, ...]]:
    return {part.key.job: part.devices for part in site.ask(lambda session: held_parts(session, "here"))}


@pytest.mark.parametrize("family", FAMILIES)
def test_two_jobs_run_beside_each_other_each_on_its_device(new_host: NewHost, family: str) -> None:
    site, _ = new_host(family)
    site.script({"default": HANG})
    first, second = infer(site), infer(site, devices=(3,))
    for job in (first, second):
        site.until(job, RUNNING)

    assert devices_held(site) == {first: (0,), second: (3,)}
    found = {environ["ASCEND_RT_VISIBLE_DEVICES"]: environ for environ in map(environ_of, site.ranks())}
    assert found.keys() == {"0", "3"}
    assert {environ["ERFNET_JOBS_DEVICE_TARGET"] for environ in found.values()} == {"Ascend"}
    assert not [name for environ in found.values() for name in environ if name.startswith(("MS_", "RANK_"))]
    plan = read_plan(Path(site.attempts(second)[0].run_dir, "plan.json"))
    assert ([place.device for place in plan.ranks], plan.device_target, plan.rank_table) == ([3], "Ascend", None)
    third = infer(site, devices=(3,))
    eventually(lambda: "device 3 of here: held" in (site.job(third).reason or ""), "the third waits for its device")
    site.cancel(second)
    site.until(second, JobState.CANCELLED)
    site.until(third, RUNNING)
    for job in (first, third):
        site.cancel(job)
        site.until(job, JobState.CANCELLED)
    eventually(site.idle, "nothing is left")


def test_a_310_that_is_lost_ends_the_attempt_and_another_takes_the_job(new_host: NewHost) -> None:
    site, chips = new_host("310P")
    site.script({"attempt 1": HANG})
    job = infer(site)
    site.until(job, RUNNING)
    chips.lose(0)

    site.until(job, SUCCEEDED)

    first, second = site.attempts(job)
    assert (first.outcome, first.error, first.permanent) == (Outcome.FAILED, "DeviceLost", False)
    assert [place.device for place in read_plan(Path(second.run_dir, "plan.json")).ranks] == [1]


def test_a_310_host_takes_nothing_else(new_host: NewHost) -> None:
    site, _ = new_host("310")
    training, job = site.train(), infer(site)

    site.until(job, SUCCEEDED)

    eventually(lambda: "310 and 310P take no training" in (site.job(training).reason or ""), "the training waits")
    assert site.job(training).state == QUEUED


def test_cpu_slots_only_for_jobs_that_allow_them(new_site: NewSite, sqlite_url: str, site_folder: Path) -> None:
    site = new_site(sqlite_url, infer_310=install(site_folder / "bin").infer)
    site.start_worker()
    strict, lenient = infer(site), infer(site, allow_cpu=True)

    site.until(lenient, SUCCEEDED)

    eventually(lambda: "or --allow-cpu" in (site.job(strict).reason or ""), "the other job waits for a 310")
    assert site.job(strict).state == QUEUED
    plan = read_plan(Path(site.attempts(lenient)[0].run_dir, "plan.json"))
    assert plan.device_target == "CPU"


def test_a_host_without_the_program_gets_no_such_job_until_its_worker_finds_it(
    new_site: NewSite, sqlite_url: str, site_folder: Path
) -> None:
    site = new_site(sqlite_url, infer_310=site_folder / "bin" / "erfnet_infer")
    site.start_worker()
    job = infer(site, allow_cpu=True)
    told = "no erfnet_infer was found on here: build it there with 'make infer310' and start the worker again"
    eventually(lambda: told in (site.job(job).reason or ""), "the job waits for a host with the program")
    assert site.job(job).state == QUEUED

    assert install(site_folder / "bin").infer == site.settings.infer_310
    site.stop_worker()
    site.start_worker()

    site.until(job, SUCCEEDED)


def test_a_program_that_is_gone_since_the_worker_started_fails_the_job_for_good(
    new_site: NewSite, sqlite_url: str, site_folder: Path
) -> None:
    program = install(site_folder / "bin").infer
    site = new_site(sqlite_url, infer_310=program)
    site.start_worker()
    program.unlink()
    job = infer(site, allow_cpu=True)

    ended = site.until(job, JobState.FAILED)

    (attempt,) = site.attempts(job)
    assert (attempt.error, attempt.permanent) == ("MissingDependency", True)
    assert (ended.reason or "").startswith(f"host here: {program} (ERFNET_JOBS_INFER_310) is")
    assert "make infer310" in (ended.reason or "")
    assert (ended.reason or "").endswith("or name another host with --host")
    eventually(site.idle, "nothing was started")
