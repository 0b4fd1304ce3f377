"""The rounds of a worker, made in this process: what nobody expected costs one job, and never the rounds."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from erfnet_jobs.errors import NotFound
from erfnet_jobs.jobs import Part
from erfnet_jobs.registry.attempts import assign
from erfnet_jobs.registry.checkpoints import get_checkpoint
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.hosts import get_host
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.parts import HeldPart, held_parts
from erfnet_jobs.states import JobState, Outcome
from tests.registry_steps import add_hosts, submit_gang
from tests.services import NewSite, Site
from tests.statements import recorded
from workers import rounds as rounds_module
from workers.news import News
from workers.own_devices import OwnDevices, first_look
from workers.registration import address_note
from workers.rounds import Rounds


@pytest.fixture
def idle_site(new_site: NewSite, sqlite_url: str) -> Site:
    """A host whose worker has registered and gone."""
    site = new_site(sqlite_url)
    site.start_worker()
    site.stop_worker()
    return site


def make_rounds(site: Site, clock: Callable[[], float] = time.monotonic) -> Rounds:
    instance = site.ask(lambda session: get_host(session, "here").instance)
    devices = OwnDevices(site.settings, site.registry, first_look(site.settings, site.registry, 2), None)
    return Rounds(site.settings, site.registry, instance, News(), devices, clock)


def test_a_part_that_cannot_be_looked_after_is_given_up_and_the_others_go_on(
    idle_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = idle_site.train(max_attempts=1), idle_site.train(max_attempts=1)
    started: list[int] = []

    def start(_rounds: Rounds, part: HeldPart) -> None:
        if part.key.job == bad:
            raise OSError(116, "Stale file handle")
        started.append(part.key.job)

    monkeypatch.setattr(Rounds, "_start", start)
    rounds = make_rounds(idle_site)
    rounds._round()

    assert started == [good]
    (attempt,) = idle_site.attempts(bad)
    assert (attempt.outcome, attempt.error) == (Outcome.FAILED, "OSError")
    assert "Stale file handle" in (idle_site.job(bad).reason or "")
    assert [part.key.job for part in idle_site.ask(lambda session: held_parts(session, "here"))] == [good]


def test_a_step_that_breaks_does_not_keep_the_others_from_theirs(
    idle_site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rounds_module, "pass_once", lambda *_, **__: 1 / 0)
    rounds = make_rounds(idle_site)
    looked: list[object] = []
    monkeypatch.setattr(rounds, "_look_after_own", lambda: looked.append(None))

    rounds._round()
    rounds._round()

    assert len(looked) == 2
    assert caplog.text.count("Traceback") == 1


def test_an_idle_worker_asks_with_its_beats_and_passes_only(idle_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of 40 workers, by a clock of its own; a message has it look at once."""
    clock = 0.0
    rounds = make_rounds(idle_site, lambda: clock)
    rounds._round()
    rounds._told = False
    monkeypatch.setattr(rounds._lookout, "workers", 40)
    monkeypatch.setattr(rounds._lookout, "look", lambda: False)
    monkeypatch.setattr(rounds._passes, "again_within", lambda _: None)
    rounds._passes._next = 1e9
    with recorded(Engine) as statements:
        clock += idle_site.settings.beat_interval / 2
        rounds._round()
        assert not statements
        clock += idle_site.settings.beat_interval
        rounds._round()
        assert [statement.split()[0] for statement, _ in statements] == ["UPDATE", "SELECT"]
        statements.clear()
        rounds._news.tell(room=False)
        rounds._told |= rounds._news.wait(0)
        rounds._round()
        assert len(statements) == 1
        statements.clear()
        rounds._news.tell()
        rounds._told |= rounds._news.wait(0)
        rounds._round()
        assert "FROM job" in statements[0][0]


def test_a_part_that_waits_for_rank_0_is_looked_at_each_round(new_site: NewSite, postgres_url: str) -> None:
    site = new_site(postgres_url)
    site.start_worker()
    site.stop_worker()
    with site.registry.write() as session:
        add_hosts(session, "a")
        job = submit_gang(session)
        assert assign(session, job, 0, [Part("a", (0,), 0), Part("here", (0,), 1)], "/runs/1")
    rounds = make_rounds(site)
    rounds._round()

    assert rounds._told


def test_a_worker_that_is_told_to_stop_places_and_starts_nothing_more(idle_site: Site) -> None:
    assigned, queued = idle_site.train(), idle_site.train()
    with idle_site.registry.write() as session:
        run_dir = str(idle_site.settings.runs / str(assigned) / "1")
        assert assign(session, assigned, 0, [Part("here", (0,), 0)], run_dir)
    rounds = make_rounds(idle_site)
    rounds._news.stop()

    rounds._round()

    assert [idle_site.job(job).state for job in (assigned, queued)] == [JobState.ASSIGNED, JobState.QUEUED]
    assert not idle_site.supervisors()


def test_an_address_that_others_cannot_reach_is_told(new_site: NewSite, postgres_url: str, sqlite_url: str) -> None:
    several, one = new_site(postgres_url), new_site(sqlite_url, host="one")
    assert "ERFNET_JOBS_HOST_ADDRESS" in (address_note(several.settings, several.registry) or "")
    assert address_note(one.settings, one.registry) is None
    reachable = replace(several.settings, host_address="192.0.2.1")
    assert address_note(reachable, several.registry) is None


def test_ids_that_no_database_holds_are_unknown(registry: Registry) -> None:
    with registry.read() as session:
        for question in (get_job, get_checkpoint):
            with pytest.raises(NotFound):
                question(session, 2**63)
