"""Placement passes on real databases: one at a time, and silent where nothing changes."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import select, text

from erfnet_jobs.jobs import Request
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.hosts import list_hosts, register_host, set_drained, stop_host
from erfnet_jobs.registry.jobs import get_job, submit_job
from erfnet_jobs.registry.queue import queued_jobs
from erfnet_jobs.registry.tables import Job, JobDependency, Placement
from erfnet_jobs.train_spec import TrainSpec
from tests.registry_steps import ACTOR, seen_device
from tests.services import eventually
from workers.placing import BEHIND, DETAILED, pass_once

NOBODY: frozenset[str] = frozenset()
RUNS = Path("/runs")


def add_host(registry: Registry, name: str, count: int, storage: str = "s") -> None:
    devices = [seen_device(number) for number in range(count)]
    with registry.write() as session:
        register_host(session, name=name, address="", storage_id=storage, version="1", instance=name, devices=devices)


def submit(registry: Registry, cards: int = 1, **request: object) -> int:
    with registry.write() as session:
        return submit_job(session, Request(TrainSpec("/data", cards=cards), **request), ACTOR).id  # type: ignore[arg-type]


def reason(registry: Registry, job: int) -> str | None:
    with registry.read() as session:
        return get_job(session, job).reason


def test_a_pass_places_what_fits_and_tells_the_others(registry: Registry) -> None:
    first, wide, last = submit(registry), submit(registry, 2), submit(registry)
    assert pass_once(registry, RUNS, NOBODY) == []
    assert "no worker is up" in (reason(registry, first) or "")

    add_host(registry, "a", 2)
    (placed,) = pass_once(registry, RUNS, NOBODY)

    assert (placed.job, placed.attempt, placed.host) == (first, 1, "a")
    assert reason(registry, wide) == "needs 2 free devices on one host: 1 of 2 free on a"
    assert reason(registry, last) == f"waits for devices of a behind job {wide}"
    with registry.read() as session:
        (host,) = list_hosts(session)
        assert (host.free, host.devices[0].job) == ({1}, first)


def test_hosts_that_are_drained_stopped_or_silent_get_nothing(registry: Registry) -> None:
    add_host(registry, "a", 1)
    job = submit(registry)
    assert pass_once(registry, RUNS, frozenset({"a"})) == []
    with registry.write() as session:
        set_drained(session, "a", drained=True, actor=ACTOR)
    assert pass_once(registry, RUNS, NOBODY) == []
    with registry.write() as session:
        set_drained(session, "a", drained=False, actor=ACTOR)
        stop_host(session, "a", "a")
    assert pass_once(registry, RUNS, NOBODY) == []
    add_host(registry, "a", 1)
    assert [key.job for key in pass_once(registry, RUNS, NOBODY)] == [job]


def test_a_pass_without_news_writes_nothing(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    add_host(registry, "a", 1)
    jobs = [submit(registry) for _ in range(DETAILED + 3)]
    assert len(pass_once(registry, RUNS, NOBODY)) == 1
    assert [reason(registry, job) for job in jobs[-2:]] == [BEHIND, BEHIND]
    monkeypatch.delattr(Registry, "write")

    assert pass_once(registry, RUNS, NOBODY) == []


def test_files_of_jobs_before_it_bind_a_job(postgres_url: str) -> None:
    with Registry(postgres_url) as registry:
        add_host(registry, "a", 1, storage="x")
        add_host(registry, "b", 4, storage="y")
        maker = submit(registry)
        job = submit(registry, after=(maker,))
        with registry.write() as session:
            row = session.get_one(Job, maker)
            row.state, row.storage_id = "succeeded", "y"
            session.get_one(Job, job).state = "queued"
            assert session.scalars(select(JobDependency.needs_job_id)).all() == [maker]

        assert [(key.job, key.host) for key in pass_once(registry, RUNS, NOBODY)] == [(job, "b")]


def test_passes_side_by_side_never_give_a_device_twice(registry: Registry) -> None:
    add_host(registry, "a", 3)
    for _ in range(6):
        submit(registry)
    start = threading.Barrier(4)
    faults: list[BaseException] = []

    def run() -> None:
        try:
            start.wait()
            for _ in range(3):
                pass_once(registry, RUNS, NOBODY)
        except BaseException as error:  # noqa: BLE001 - told below
            faults.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not faults
    with registry.read() as session:
        assert sorted(session.scalars(select(Placement.devices)).all()) == ["[0]", "[1]", "[2]"]
        assert len(queued_jobs(session)) == 3


def test_a_pass_that_meets_changes_of_the_same_jobs_waits_in_no_circle(postgres_url: str) -> None:
    with Registry(postgres_url) as registry:
        add_host(registry, "a", 1)
        low = submit(registry)
        high = submit(registry, priority=5)
        told = threading.Event()
        faults: list[BaseException] = []

        def place() -> None:
            told.set()
            try:
                pass_once(registry, RUNS, NOBODY)
            except BaseException as error:  # noqa: BLE001 - told below
                faults.append(error)

        passing = threading.Thread(target=place)
        with registry.write() as session:
            get_job(session, low, lock=True)
            passing.start()
            told.wait()
            eventually(lambda: waits_for_a_lock(registry), "the pass waits for the first job")
            get_job(session, high, lock=True)
        passing.join()

        assert not faults
        assert reason(registry, high) == "assigned to a"


def waits_for_a_lock(registry: Registry) -> object:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with registry.read() as session:
        return session.scalar(waiting)
