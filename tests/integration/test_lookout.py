"""The look-out of a worker among many, by a clock of the test's own."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from erfnet_jobs.registry.attempts import beat
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.suspects import find_suspects
from erfnet_jobs.registry.tables import Host, Lease
from erfnet_jobs.settings import Settings, load_settings
from erfnet_jobs.states import JobState
from tests.registry_steps import gang_on_two_hosts
from workers import lookout as lookout_module
from workers.lookout import Lookout
from workers.pace import Pace, seconds_between_looks

MANY = 1000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(load_settings(environ={"ERFNET_JOBS_HOME": str(tmp_path)}), retry_delay=60)


def pulses(registry: Registry, seconds: float) -> None:
    """All that beat have last done so that many seconds ago, by the registry's clock."""
    with registry.write() as session:
        at = now(session) - timedelta(seconds=seconds)
        session.execute(update(Lease).values(beaten_at=at))
        session.execute(update(Host).values(seen_at=at))


@pytest.fixture
def job(registry: Registry) -> int:
    with registry.write() as session:
        return gang_on_two_hosts(session, started=True, running=True)


def test_only_old_pulses_are_read_also_those_from_the_future(registry: Registry, job: int) -> None:
    def seen(seconds: float) -> tuple[int, int, int]:
        pulses(registry, seconds)
        with registry.read() as session:
            found = find_suspects(session, 4, 30)
        assert not found.late
        return len(found.leases), len(found.hosts), len(found.old), found.live

    assert seen(1) == (0, 0, 0, 2)
    assert seen(20) == (2, 2, 0, 0)
    assert seen(60) == (2, 2, 2, 0)
    assert seen(-60) == (2, 2, 2, 0)
    with registry.write() as session:
        session.execute(update(Lease).values(beaten_at=None))
        assert {key.job for key in find_suspects(session, 1e6, 1e6).leases} == {job}


@pytest.mark.parametrize("phase", [0.0, 3.0, 7.0])
def test_what_stands_still_is_lost_within_45_s_however_many_workers_there_are(
    registry: Registry, settings: Settings, job: int, phase: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker, which takes itself for one of a thousand, and beats every 2 s."""
    seldom = seconds_between_looks(MANY, settings.beat_interval, settings.lease_timeout)
    monkeypatch.setattr(lookout_module, "seconds_between_looks", lambda *_: seldom)
    monkeypatch.setattr(lookout_module, "Pace", lambda clock: Pace(clock, lambda: 0.999))
    clock = 0.0
    lookout = Lookout(registry, settings, lambda: clock)

    def look() -> bool:
        return lookout.is_due and lookout.look()

    pulses(registry, 0)
    while clock < phase:
        assert not look()
        clock += settings.beat_interval
    killed = clock
    while True:
        pulses(registry, clock - killed)
        if look():
            break
        clock += settings.beat_interval
        assert clock - killed <= 45
    assert clock - killed > settings.lease_timeout
    with registry.read() as session:
        assert get_job(session, job).state == JobState.QUEUED


def test_a_look_out_that_begins_gives_nothing_to_hosts_that_died_before(
    registry: Registry, settings: Settings, job: int
) -> None:
    pulses(registry, 60)
    lookout = Lookout(registry, settings, lambda: 0.0)
    assert not lookout.look()
    assert lookout.silent == {"a", "b"}
    with registry.read() as session:
        assert get_job(session, job).state == JobState.RUNNING
    pulses(registry, 1)
    assert not lookout.look()
    assert not lookout.silent


def test_what_is_late_is_released_also_where_leases_may_stand_still_for_long(
    registry: Registry, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout_module, "seconds_between_looks", lambda _, *times: seconds_between_looks(MANY, *times))
    monkeypatch.setattr(lookout_module, "Pace", lambda clock: Pace(clock, lambda: 0.999))
    with registry.write() as session:
        job = gang_on_two_hosts(session, started=False)
    clock = 0.0
    lookout = Lookout(registry, replace(settings, start_timeout=10, lease_timeout=600), lambda: clock)
    while not (lookout.is_due and lookout.look()):
        pulses(registry, 0)
        clock += settings.beat_interval
        assert clock <= 10 + 2 * settings.beat_interval
    with registry.read() as session:
        assert get_job(session, job).state == JobState.QUEUED


def test_a_pulse_that_goes_on_is_never_lost_whatever_its_clock_says(
    registry: Registry, settings: Settings, job: int
) -> None:
    """The registry's clock has been set back by an hour: all look old, and their counters go on."""
    clock = 0.0
    lookout = Lookout(registry, settings, lambda: clock)
    for _ in range(60):
        with registry.write() as session:
            for host in ("a", "b"):
                assert beat(session, job, 1, host, 1).held
        pulses(registry, -3600)
        assert not lookout.look()
        clock += settings.beat_interval
    assert lookout.is_due
    with registry.read() as session:
        assert get_job(session, job).state == JobState.RUNNING
        assert len(session.scalars(select(Lease)).all()) == 2
