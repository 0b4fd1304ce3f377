"""Placement passes on real databases: one at a time, and silent where nothing changes."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, text, update

from erfnet_jobs.client.rows import HostsSeen
from erfnet_jobs.jobs import Part, Request
from erfnet_jobs.placement.reasons import KEPT
from erfnet_jobs.registry.attempts import end_attempt
from erfnet_jobs.registry.devices import cordon
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.hosts import list_hosts, register_host, set_drained, stop_host
from erfnet_jobs.registry.jobs import end_job, get_job, submit_job
from erfnet_jobs.registry.parts import parts_of_attempt
from erfnet_jobs.registry.queue import QueuedJob, queue_window
from erfnet_jobs.registry.tables import Host, Job, JobDependency, Placement
from erfnet_jobs.specs import ExportSpec
from erfnet_jobs.states import JobState
from erfnet_jobs.train_spec import TrainSpec
from tests.registry_steps import ACTOR, failed, seen_device
from tests.services import eventually
from tests.statements import recorded
from workers import placing
from workers.placing import BEHIND, DEPTH, DETAILED, WINDOW, Sweep, pass_once

NOBODY: frozenset[str] = frozenset()
RUNS = Path("/runs")


def add_host(registry: Registry, name: str, count: int, storage: str = "s") -> None:
    devices = [seen_device(number) for number in range(count)]
    with registry.write() as session:
        register_host(session, name=name, address="", storage_id=storage, version="1", instance=name, devices=devices)


def submit(registry: Registry, cards: int = 1, **request: Any) -> int:
    with registry.write() as session:
        return submit_job(session, Request(TrainSpec("/data", cards=cards), **request), ACTOR).id


def reason(registry: Registry, job: int) -> str | None:
    with registry.read() as session:
        return get_job(session, job).reason


def test_a_pass_places_what_fits_and_tells_the_others(registry: Registry) -> None:
    first, wide = submit(registry), submit(registry, 2)
    assert pass_once(registry, RUNS, NOBODY) == []
    assert "none is registered" in (reason(registry, first) or "")

    add_host(registry, "a", 2)
    (placed,) = pass_once(registry, RUNS, NOBODY)

    assert (placed.job, placed.attempt, placed.host) == (first, 1, "a")
    assert reason(registry, wide) == "needs 2 free devices on one host: 1 of 2 free on a"
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
        assert len(queue_window(session, None, 9)) == 3


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


def age(registry: Registry, job: int, seconds: float) -> None:
    with registry.write() as session:
        row = session.get_one(Job, job)
        row.created_at -= timedelta(seconds=seconds)


def test_a_wide_job_that_has_waited_keeps_what_is_free(registry: Registry) -> None:
    add_host(registry, "a", 2)
    first, wide = submit(registry), submit(registry, 2)
    pass_once(registry, RUNS, NOBODY, reserve_after=60)
    age(registry, wide, 61)
    last = submit(registry)

    assert pass_once(registry, RUNS, NOBODY, reserve_after=60) == []
    assert reason(registry, wide) == f"needs 2 free devices on one host: 1 of 2 free on a{KEPT}"
    assert reason(registry, last) == f"waits for devices of a behind job {wide}"
    with registry.write() as session:
        end_attempt(session, first, 1, failed(permanent=True), 0)
    assert [key.job for key in pass_once(registry, RUNS, NOBODY, reserve_after=60)] == [wide]


def test_a_job_waits_since_the_ones_before_it_have_ended(registry: Registry) -> None:
    before = submit(registry)
    job = submit(registry, after=(before,))
    age(registry, job, 1000)
    with registry.write() as session:
        session.get_one(Job, before).state = "running"
        end_job(session, before, 0, [JobState.RUNNING], JobState.SUCCEEDED, "done")
    with registry.read() as session:
        (found,) = queue_window(session, None, 9)
    assert 0 <= found.waited < 500


def test_windows_follow_the_order_of_the_queue(registry: Registry) -> None:
    jobs = [submit(registry, priority=number % 3) for number in range(12)]
    with registry.read() as session:
        found: list[QueuedJob] = []
        while window := queue_window(session, found[-1].key if found else None, 5):
            found += window
    assert [job.id for job in found] == sorted(jobs, key=lambda job: (-((job - jobs[0]) % 3), job))


def test_what_could_be_placed_is_found_behind_thousands_that_could_not(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The windows are as in life, in twentieths: 300 jobs want a drained host, and one behind them a free one."""
    monkeypatch.setattr(placing, "WINDOW", WINDOW // 20)
    monkeypatch.setattr(placing, "DEPTH", DEPTH // 20)
    add_host(registry, "a", 1)
    with registry.write() as session:
        set_drained(session, "a", drained=True, actor=ACTOR)
        request = Request(TrainSpec("/data"), host="a")
        stuck = [submit_job(session, request, ACTOR).id for _ in range(300)]
        asked = [submit_job(session, Request(TrainSpec("/data")), ACTOR).id for _ in range(3)]
        later = [submit_job(session, request, ACTOR).id for _ in range(60)]
        at = now(session)
        host = Host(name="b", address="", storage_id="s", version="1", instance="b", registered_at=at, seen_at=at)
        host.present = host.usable = host.free = "0-1"
        session.add(host)
    sweep = Sweep()
    placed = []
    for _ in range((363 - 250) // 25 + 1):
        placed += pass_once(registry, RUNS, NOBODY, sweep=sweep)

    assert [key.job for key in placed] == asked[:2]
    assert (
        reason(registry, stuck[0])
        == reason(registry, later[-1])
        == "waits for host a (drained: 'erfnet-jobs hosts resume a')"
    )
    assert reason(registry, asked[2]) == BEHIND


def test_questions_do_not_grow_with_the_queue(postgres_url: str) -> None:
    with Registry(postgres_url) as registry, recorded(Engine) as statements:
        add_host(registry, "a", 0, storage="x")
        add_host(registry, "b", 0, storage="y")
        first = submit(registry)
        numbers = []
        for more in (1, 30):
            with registry.write() as session:
                for _ in range(more):
                    submit_job(session, Request(ExportSpec(f"{first}:best"), after=(first,)), ACTOR)
                session.execute(update(Job).values(state="queued"))
            pass_once(registry, RUNS, NOBODY)
            statements.clear()
            pass_once(registry, RUNS, NOBODY)
            numbers.append(len(statements))
    assert numbers[0] == numbers[1] < 10


def test_310_devices_are_not_for_training_and_pinned_devices_keep_their_order(registry: Registry) -> None:
    chips = [seen_device(number, "ascend", "310P", "310P") for number in range(2)]
    with registry.write() as session:
        register_host(session, name="a", address="", storage_id="s", version="1", instance="a", devices=chips)
    job = submit(registry, 2)
    assert pass_once(registry, RUNS, NOBODY) == []
    assert "310 and 310P take no training, evaluation, export or infer" in (reason(registry, job) or "")

    add_host(registry, "a", 3)
    with registry.write() as session:
        session.get_one(Job, job).pinned = '[["a", [2, 0]]]'
    pass_once(registry, RUNS, NOBODY)
    with registry.read() as session:
        assert parts_of_attempt(session, job, 1) == [("a", (2, 0), 0)]


def test_status_tells_what_each_job_waits_for(postgres_url: str) -> None:
    with Registry(postgres_url) as registry:
        add_host(registry, "a", 4)
        add_host(registry, "b", 2)
        add_host(registry, "c", 2)
        with registry.write() as session:
            cordon(session, "a", [3], "hot")
            set_drained(session, "b", drained=True, actor=ACTOR)
        running = submit(registry, host="a")
        pass_once(registry, RUNS, NOBODY)
        told = {
            submit(registry, 4, host="a"): "waits for devices that get no jobs now, see 'erfnet-jobs hosts': 3 of a",
            submit(registry, 3, host="a"): "needs 3 free devices on one host: 2 of 3 free on a",
            submit(registry, 2, host="b"): "waits for host b (drained: 'erfnet-jobs hosts resume b')",
            submit(
                registry, host="c"
            ): "waits for host c (its worker is not heard of: start it with 'erfnet-jobs up' there)",
            submit(registry, 1, host="a", devices=(0,)): "waits for device 0 of a: held by other jobs",
            submit(registry, after=(running,)): f"waits for job {running}",
            submit(registry, 9): "no registered host can run it: it wants 9 devices: "
            "the hosts (and their devices) are a (4), b (2), c (2)",
        }
        pass_once(registry, RUNS, frozenset({"c"}))

        assert {job: reason(registry, job) for job in told} == told
        with registry.read() as session:
            seen = HostsSeen(30.0)
            pinned = Request(TrainSpec("/data", cards=2), pinned=(Part("c", (1,), 0), Part("a", (0,), 1)))
            assert [host["name"] for host in seen.fitting(session, pinned)] == ["a", "c"]
