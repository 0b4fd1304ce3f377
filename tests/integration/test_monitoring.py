"""The registry's figures for Prometheus: right, monotone, bounded, and cheap."""

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from sqlalchemy import Engine, delete, update

from erfnet_jobs.ascend.devices import HostDevices
from erfnet_jobs.ascend.health import DeviceStates
from erfnet_jobs.jobs import Part
from erfnet_jobs.registry.attempts import End, assign, beat, claim, end_part, report_running
from erfnet_jobs.registry.devices import set_cordon, store_devices
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.hosts import set_drained
from erfnet_jobs.registry.tables import Host, Job
from erfnet_jobs.settings import Settings, load_settings
from erfnet_jobs.states import Outcome
from tests.registry_steps import ACTOR, SCHEDULER, WELL, add_hosts, failed, gang_on_two_hosts, seen_device, submit
from tests.services import eventually
from tests.statements import recorded
from workers.metrics.fresh import Fresh
from workers.metrics.of_registry import OfRegistry
from workers.metrics.of_worker import OfDevices
from workers.metrics.registry_reader import LAG, RegistryReader
from workers.own_devices import FirstLook, OwnDevices

# A few statements that return little, however many jobs there are: see test_registry_plans for how they are found.
MOST_STATEMENTS = 13


def samples(collector: Collector) -> dict[str, float]:
    """What Prometheus reads of a collector, by name and labels."""
    shown = CollectorRegistry(auto_describe=False)
    shown.register(collector)
    return {
        sample.name.removeprefix("erfnet_jobs_")
        + "".join(f"[{value}]" for _, value in sorted(sample.labels.items())): (sample.value)
        for family in text_string_to_metric_families(generate_latest(shown).decode())
        for sample in family.samples
    }


class Watched:
    """A registry with two hosts, and what the worker of the first one tells Prometheus of it."""

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self.registry, self.settings = registry, settings
        self.clock = 0.0
        with registry.write() as session:
            add_hosts(session)
        self.reader = RegistryReader(settings, registry, lambda: self.clock)

    def look(self) -> dict[str, float]:
        """All samples; each look reads anew."""
        return samples(OfRegistry(Fresh(self.reader.read, patience=30)))

    def run(self, job: int, attempt: int = 1, end: End | None = None, host: str = "a") -> None:
        """An attempt, up to its running or its end."""
        with self.registry.write() as session:
            assert assign(session, job, attempt - 1, [Part(host, (0,), 0)], "/runs")
            assert claim(session, job, attempt, host, SCHEDULER)
            report_running(session, job, attempt, host)
            if end is not None:
                assert end_part(session, job, attempt, host, end, 0)

    def submit(self, count: int = 1, **request: int) -> list[int]:
        with self.registry.write() as session:
            return [submit(session, **request) for _ in range(count)]


@pytest.fixture
def watched(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    home = tmp_path_factory.mktemp("home")
    return Watched(registry, load_settings({"home": home, "host_name": "a"}, {}))


def test_jobs_and_hosts_are_counted(watched: Watched) -> None:
    first, second = watched.submit(2)
    with watched.registry.write() as session:
        submit(session, after=(first,))
        set_drained(session, "b", True, ACTOR)
    watched.run(second)
    with watched.registry.write() as session:
        session.execute(update(Job).where(Job.id == second).values(images_per_second=12.5))

    seen = watched.look()

    assert seen["registry_up"] == 1
    assert (seen["registry_jobs[export][queued]"], seen["registry_jobs[export][waiting]"]) == (1, 1)
    assert (seen["registry_jobs[export][running]"], seen["registry_jobs[train][queued]"]) == (1, 0)
    assert 0 < seen["registry_oldest_queued_seconds[export]"] < 60
    assert (seen["registry_hosts[up]"], seen["registry_hosts_drained"]) == (2, 1)
    assert (seen["worker_images_per_second[export]"], seen["worker_supervisors"]) == (12.5, 1)
    with watched.registry.write() as session:
        session.get_one(Host, "a").seen_at = now(session) - timedelta(days=1)
        session.get_one(Host, "b").stopped_at = now(session)
    seen = watched.look()
    assert [seen[f"registry_hosts[{state}]"] for state in ("up", "away", "stopped")] == [0, 1, 1]
    assert seen["registry_hosts_away_with_jobs"] == 1


def test_devices_of_the_own_host_are_told(watched: Watched) -> None:
    (job,) = watched.submit()
    with watched.registry.write() as session:
        store_devices(session, "a", [seen_device(0), seen_device(1), seen_device(2)])
        store_devices(session, "b", [seen_device(0)])
        set_cordon(session, "a", [2], "broken fan", ACTOR)
    watched.run(job)
    seen = watched.look()
    assert [seen[f"device_usable[{number}]"] for number in range(3)] == [1, 1, 0]
    assert [seen[f"device_held[{number}]"] for number in range(3)] == [1, 0, 0]
    assert seen["worker_free_devices"] == 1
    with watched.registry.write() as session:
        set_drained(session, "a", True, ACTOR)
    assert watched.look()["worker_free_devices"] == 0


def test_attempts_are_counted_from_the_beginning_and_go_on(watched: Watched) -> None:
    old, lost, late = watched.submit(3)
    watched.run(old, end=failed())
    key = "registry_attempts_total[export][{}]".format
    assert watched.look()[key("failed")] == 1
    watched.run(old, 2, WELL)
    watched.run(lost, end=End(Outcome.LOST, "gone"))
    for _ in range(3):  # nothing is counted twice, also not when the old events are left behind
        seen = watched.look()
        assert [seen[key(outcome)] for outcome in ("failed", "succeeded", "lost")] == [1, 1, 1]
        watched.clock += LAG
    assert watched.reader._counted == frozenset()
    watched.run(late, end=WELL)
    assert watched.look()[key("succeeded")] == 2
    # A worker that starts now begins with the same numbers; waits begin anew.
    watched.reader = RegistryReader(watched.settings, watched.registry)
    seen = watched.look()
    assert [seen[key(outcome)] for outcome in ("failed", "succeeded", "lost")] == [1, 2, 1]
    assert seen["registry_job_wait_seconds_count[export]"] == 0


def test_the_wait_of_a_job_is_that_before_its_first_start(watched: Watched) -> None:
    watched.look()
    (job,) = watched.submit()
    watched.run(job, end=failed())
    watched.run(job, 2)
    seen = watched.look()
    assert (
        seen["registry_job_wait_seconds_count[export]"],
        seen["registry_job_wait_seconds_bucket[export][60.0]"],
    ) == (1, 1)
    assert 0 <= seen["registry_job_wait_seconds_sum[export]"] < 60


@pytest.mark.parametrize("known", [True, False])
def test_what_a_transaction_holds_back_is_counted_once_when_it_ends(
    postgres_url: str, tmp_path: Path, known: bool
) -> None:
    """Its events have their numbers before it ends; a later transaction may end first."""
    with Registry(postgres_url) as registry:
        watched = Watched(registry, load_settings({"home": tmp_path, "host_name": "a"}, {}))
        early, late = watched.submit(2)
        watched.run(late)
        watched.run(early, host="b")
        if known:
            watched.look()
        with registry.write() as held_back:
            assert end_part(held_back, late, 1, "a", WELL, 0)
            with registry.write() as session:
                assert end_part(session, early, 1, "b", WELL, 0)
            for _ in range(3):
                assert watched.look()["registry_attempts_total[export][succeeded]"] == 1
        for _ in range(2):
            assert watched.look()["registry_attempts_total[export][succeeded]"] == 2
            watched.clock += LAG


def test_a_gang_over_two_hosts_is_at_both_and_its_images_at_one(watched: Watched) -> None:
    with watched.registry.write() as session:
        session.execute(delete(Host))
        job = gang_on_two_hosts(session, started=True, running=True)
        session.execute(update(Job).where(Job.id == job).values(images_per_second=8.0))
    for host, images in (("a", 8.0), ("b", 0.0)):
        settings = replace(watched.settings, host_name=host)
        watched.reader = RegistryReader(settings, watched.registry)
        seen = watched.look()
        assert (seen["worker_supervisors"], seen["worker_images_per_second[train]"]) == (1, images)


def test_a_chip_may_be_gone_and_a_slot_may_not(watched: Watched) -> None:
    known = {0: seen_device(0), 1: replace(seen_device(1), present=False)}
    for kind, expected in (
        ("cpu", {"device_health[0][ok]"}),
        ("ascend", {"device_health[0][ok]", "device_health[1][gone]"}),
    ):
        seen = {number: replace(one, device=replace(one.device, kind=kind)) for number, one in known.items()}
        first = FirstLook(DeviceStates(seen, warning_runs=True), HostDevices(()))
        collector = OfDevices(OwnDevices(watched.settings, watched.registry, first, None))
        assert samples(collector).keys() == expected


def test_the_age_of_a_lease_is_timed_here_and_not_while_the_registry_is_away(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, elsewhere = watched.submit(2)
    watched.run(job)
    watched.run(elsewhere, host="b")
    assert watched.look()["worker_lease_age_seconds"] == 0
    watched.clock = 20.0
    assert watched.look()["worker_lease_age_seconds"] == 20
    with watched.registry.write() as session:
        assert beat(session, job, 1, "a", 1).held
    assert watched.look()["worker_lease_age_seconds"] == 0
    watched.clock = 40.0
    with monkeypatch.context() as away:
        away.setattr(watched.registry, "read", lambda: 1 / 0)
        assert watched.look() == {"registry_up": 0}
    assert watched.look()["worker_lease_age_seconds"] == 0
    watched.clock = 60.0
    with watched.registry.write() as session:
        assert end_part(session, job, 1, "a", WELL, 0)
    seen = watched.look()
    assert (seen["worker_lease_age_seconds"], seen["worker_supervisors"]) == (0, 0)


def test_neither_series_nor_statements_grow_with_jobs(watched: Watched) -> None:
    jobs = watched.submit(20)
    for job in jobs[:9]:
        watched.run(job, end=WELL)
    few = watched.look()
    with recorded(Engine) as statements:
        watched.look()
    assert len(statements) <= MOST_STATEMENTS
    _multiply(watched.registry, jobs[-1], 1000)
    watched.run(jobs[10], end=failed())
    with recorded(Engine) as later:
        many = watched.look()
    assert many.keys() == few.keys()
    assert len(later) == len(statements)
    assert many["registry_jobs[export][queued]"] > 1000


def _multiply(registry: Registry, job: int, times: int) -> None:
    """So many more jobs as one of them."""
    with registry.write() as session:
        found = session.get_one(Job, job)
        row = {column.name: getattr(found, column.name) for column in Job.__table__.columns if column.name != "id"}
        session.add_all(Job(**row) for _ in range(times))


def test_one_question_at_a_time_and_never_again_within_seconds() -> None:
    clock, asked = [0.0], []
    fresh = Fresh(lambda: asked.append(None) or len(asked), keep=5, patience=30, clock=lambda: clock[0])
    assert [fresh.get(), fresh.get()] == [1, 1]
    clock[0] = 5.0
    assert fresh.get() == 2


def test_what_hangs_is_not_waited_for_and_what_breaks_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    go, clock = threading.Event(), [0.0]
    hanging = Fresh(lambda: go.wait(60), patience=0.01)
    assert [hanging.get(), hanging.get()] == [None, None]
    go.set()
    eventually(hanging.get, "the answer has come")

    broken: Fresh[float] = Fresh(lambda: 1 / 0, patience=30, clock=lambda: clock[0])
    assert broken.get() is None
    clock[0] += 10
    assert broken.get() is None
    assert caplog.text.count("a figure for Prometheus is missing: division by zero") == 1
