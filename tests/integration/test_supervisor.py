"""Supervisors: a lease that is gone, being told to stop, a registry that is away, processes that will not die."""

import os
import signal
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from erfnet_jobs.jobs import Request
from erfnet_jobs.launch.processes import processes_with_mark
from erfnet_jobs.registry.devices import cordon
from erfnet_jobs.registry.hosts import get_host
from erfnet_jobs.registry.parts import held_parts
from erfnet_jobs.registry.tables import Checkpoint, Lease
from erfnet_jobs.specs import EvalSpec
from erfnet_jobs.states import JobState, Outcome, PartState
from tests.services import NewSite, Site, eventually
from workers.reaper import clear_if_gone, cordon_reason, mark_of

RUNNING, SUCCEEDED, FAILED = JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED
HANG = [["hello"], ["hang"]]


def test_without_its_lease_it_kills_its_ranks_and_writes_nothing_more(site: Site) -> None:
    go = site.folder / "go"
    # Deaf to SIGTERM, the rank has seconds in which it writes on.
    site.script({"attempt 1": [["hello"], ["wait_for", str(go)], ["checkpoint", 1, 1, 1], ["hang_deaf"]]})
    job = site.train(max_attempts=1)
    site.until(job, RUNNING)
    site.stop_worker()
    (supervisor,) = site.supervisors()

    with site.registry.write() as session:
        session.execute(delete(Lease))
    go.touch()
    eventually(lambda: not site.supervisors() and not site.ranks(), "supervisor and rank are gone")

    assert site.ask(lambda session: session.scalars(select(Checkpoint)).all()) == []
    assert site.job(job).state == RUNNING
    assert site.attempts(job)[0].outcome is None
    # Its devices it gives back, as nothing of it is left on them.
    assert site.ask(lambda session: held_parts(session, "here")) == []
    assert supervisor not in site.processes()


def test_told_to_stop_it_ends_its_ranks_and_the_job_is_tried_again(site: Site) -> None:
    site.script({"attempt 1": [["hello"], ["checkpoint", 1, 1, 1], ["hang"]]})
    job = site.train(cards=2)
    site.until(job, RUNNING)

    os.kill(site.supervisors()[0], signal.SIGTERM)
    site.until(job, SUCCEEDED)

    first, second = site.attempts(job)
    assert (first.outcome, first.reason) == (Outcome.LOST, "its supervisor was told to stop")
    assert second.resumed_from is not None


def test_the_registry_may_be_away_while_ranks_run(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url)
    site.start_worker()
    go = site.folder / "go"
    site.script({"default": [["hello"], ["wait_for", str(go)], ["checkpoint", 1, 1, 1], ["progress", 0.5], ["done"]]})
    job = site.train()
    site.until(job, RUNNING)
    attempt = Path(site.attempts(job)[0].run_dir)

    with site.registry.write() as session:
        session.connection().exec_driver_sql("ALTER TABLE lease RENAME TO lease_away")
    log = attempt / "logs" / "supervisor.log"
    eventually(lambda: "the ranks go on" in log.read_text(), "the supervisor has noticed")
    go.touch()
    eventually(lambda: not site.ranks(), "the rank is done")
    assert len(site.supervisors()) == 1
    with site.registry.write() as session:
        session.connection().exec_driver_sql("ALTER TABLE lease_away RENAME TO lease")
    site.until(job, SUCCEEDED)

    assert len(site.attempts(job)) == 1
    assert len(site.ask(lambda session: session.scalars(select(Checkpoint)).all())) == 1


STOPPED = ["signal", "SIGSTOP"]


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([["progress", 0.5, 1, 1], STOPPED], "for 2 s: a collective or a device hangs"),
        ([["phase", "compile"], STOPPED], "for 5 s in phase 'compile', before the first step: it hangs, or"),
    ],
)
def test_what_stands_still_is_stuck_and_tried_again(
    new_site: NewSite, sqlite_url: str, steps: list[list[object]], words: str
) -> None:
    site = new_site(sqlite_url, stuck_timeout=2, compile_timeout=5)
    site.start_worker()
    site.script({"rank 0 attempt 1": [["hello"], ["checkpoint", 1, 1, 1], *steps], "rank 1 attempt 1": HANG})
    job = site.train(cards=2)

    site.until(job, SUCCEEDED)

    first, second = site.attempts(job)
    assert (first.outcome, second.outcome) == (Outcome.STUCK, Outcome.SUCCEEDED)
    assert words in (first.reason or "")
    assert f"the logs of all ranks are in {first.run_dir}/logs" in (first.reason or "")
    assert second.resumed_from is not None


def test_long_work_that_tells_its_phases_is_not_stuck(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url, stuck_timeout=3, compile_timeout=3)
    site.start_worker()
    building = [step for done in range(5) for step in (["phase", "build data", done, 5], ["busy", 0.8])]
    validating = [step for done in range(5) for step in (["phase", "validate", done, 5], ["busy", 0.8])]
    site.script({"default": [["hello"], *building, ["progress", 0.5, 1, 1], *validating, ["done"]]})
    job = site.train()

    site.until(job, SUCCEEDED)

    assert len(site.attempts(job)) == 1


def test_a_start_that_hangs_is_released(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url, start_timeout=3)
    site.start_worker()
    site.script({"attempt 1": [["hang_deaf"]]})
    job = site.train()

    site.until(job, SUCCEEDED)
    eventually(site.idle, "nothing is left")

    first = site.attempts(job)[0]
    assert (first.outcome, first.reason) == (Outcome.TIMED_OUT, "its part on here did not start within 3 s")


def test_devices_are_cordoned_while_processes_are_left(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.script({"attempt 1": [["hello"], ["hang"]]})
    job = site.train(max_attempts=1)
    site.until(job, RUNNING)
    site.stop_worker()
    (part,) = site.ask(lambda session: held_parts(session, "here"))

    with monkeypatch.context() as patch:
        # Only a kernel that waits for a device keeps a process from SIGKILL, and that cannot be made here.
        patch.setattr("workers.reaper.kill_marked", lambda mark, timeout: [4711])
        assert not clear_if_gone(site.registry, part)
    host = site.ask(lambda session: get_host(session, "here"))
    assert [device.cordoned for device in host.devices] == [cordon_reason(part.key), None]
    assert site.ask(lambda session: held_parts(session, "here"))[0].state == PartState.RUNNING

    with site.registry.write() as session:
        cordon(session, "here", [1], "smells of smoke")
    assert clear_if_gone(site.registry, part)
    assert not processes_with_mark(mark_of(part))
    host = site.ask(lambda session: get_host(session, "here"))
    assert [device.cordoned for device in host.devices] == [None, "smells of smoke"]


def checkpoints(site: Site, attempt: int = 1) -> list[Checkpoint]:
    of_attempt = select(Checkpoint).where(Checkpoint.attempt == attempt).order_by(Checkpoint.id)
    return list(site.ask(lambda session: session.scalars(of_attempt).all()))


def test_a_registry_without_space_kills_nobody(new_site: NewSite, database_url: str) -> None:
    site = new_site(database_url)
    site.start_worker()
    go = site.folder / "go"
    site.script({"default": [["hello"], ["wait_for", str(go)], ["checkpoint", 1, 1, 1], ["done"]]})
    job = site.train()
    site.until(job, RUNNING)
    log = Path(site.attempts(job)[0].run_dir, "logs", "supervisor.log")

    full = FULL_SQLITE if site.registry.sqlite else FULL_POSTGRESQL
    with site.registry.write() as session:
        for statement in full:
            session.connection().exec_driver_sql(statement)
    eventually(lambda: "no space is left for the registry" in log.read_text(), "the supervisor has noticed")
    go.touch()
    eventually(lambda: "the ranks have ended: succeeded" in log.read_text(), "the ranks are done")
    with site.registry.write() as session:
        session.connection().exec_driver_sql(f"DROP TRIGGER no_space{'' if site.registry.sqlite else ' ON lease'}")
    site.until(job, SUCCEEDED)

    assert len(site.attempts(job)) == len(checkpoints(site)) == 1
    assert "Traceback" not in log.read_text()


FULL_SQLITE = (
    "CREATE TRIGGER no_space BEFORE UPDATE ON lease BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
)
FULL_POSTGRESQL = (
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$",
    "CREATE TRIGGER no_space BEFORE UPDATE ON lease FOR EACH ROW EXECUTE FUNCTION refuse()",
)


def test_what_a_killed_supervisor_did_not_store_is_stored(new_site: NewSite, sqlite_url: str) -> None:
    # It beats so seldom that it stores nothing after the hello; the worker's own looks are not so slow.
    site = new_site(sqlite_url, beat_interval=60, lease_timeout=300, start_timeout=300)
    site.start_worker()
    go, written = site.folder / "go", site.folder / "written"
    steps = [["hello"], ["wait_for", str(go)], ["checkpoint", 1, 1, 7], ["touch", str(written)], ["hang"]]
    site.script({"attempt 1": steps})
    job = site.train(max_attempts=2)
    site.until(job, RUNNING)
    go.touch()
    eventually(written.exists, "the checkpoint is reported")
    assert checkpoints(site) == []

    os.kill(site.supervisors()[0], signal.SIGKILL)
    site.until(job, SUCCEEDED)

    (stored,) = checkpoints(site)
    assert site.attempts(job)[1].resumed_from == stored.id


@pytest.mark.parametrize("also_worker", [False, True])
def test_a_checkpoint_that_left_the_disk_untold_is_not_offered(
    new_site: NewSite, sqlite_url: str, also_worker: bool
) -> None:
    site = new_site(sqlite_url, lease_timeout=2)
    site.start_worker()
    site.script({"attempt 1": [["hello"], ["checkpoint", 1, 1, 7], ["checkpoint", 1, 2, 7], ["hang"]]})
    job = site.train(max_attempts=2)
    eventually(lambda: len(checkpoints(site)) == 2, "the checkpoints are registered")
    if also_worker:
        site.stop_worker(signal.SIGKILL)
    Path(checkpoints(site)[0].path).unlink()
    os.kill(site.supervisors()[0], signal.SIGKILL)
    if also_worker:
        site.start_worker()
    site.until(job, SUCCEEDED)
    eventually(site.idle, "nothing is held")

    assert [row.removed_at is None for row in checkpoints(site)] == [False, True]
    site.script({})
    evaluation = site.submit(Request(EvalSpec((f"{job}:all",), str(site.data), network="encoder")))
    site.until(evaluation, SUCCEEDED)


def test_a_file_name_that_is_no_utf_8_is_told(site: Site) -> None:
    site.script({"default": [["hello"], ["fail", "BadData", "label 77 in caf\udce9.png"]]})
    job = site.train()

    ended = site.until(job, FAILED)

    (attempt,) = site.attempts(job)
    assert (attempt.error, attempt.permanent) == ("BadData", True)
    assert ended.reason == "label 77 in caf?.png"


def test_an_end_that_cannot_be_told_whole_is_told_bare(site: Site) -> None:
    go = site.folder / "go"
    site.script({"default": [["hello"], ["wait_for", str(go)], ["exit", 3]]})
    job = site.train()
    site.until(job, RUNNING)
    reports = Path(site.attempts(job)[0].run_dir, "reports", "rank_0.jsonl")
    log = Path(site.attempts(job)[0].run_dir, "logs", "rank_0.log")

    # What cannot be read as a file: the supervisor's storing meets an OSError that nobody expected.
    log.unlink()
    log.mkdir()
    go.touch()
    site.until(job, FAILED)

    (attempt,) = site.attempts(job)
    assert (attempt.outcome, attempt.failed_rank, attempt.exit_code) == (Outcome.FAILED, 0, 3)
    assert reports.exists()


def test_a_damaged_checkpoint_is_passed_over(site: Site) -> None:
    go = site.folder / "go"
    steps = [["hello"], ["checkpoint", 1, 1, 7], ["checkpoint", 1, 2, 7], ["wait_for", str(go)], ["signal", "SIGKILL"]]
    site.script({"attempt 1": steps})
    job = site.train()
    eventually(lambda: len(checkpoints(site)) == 2, "the checkpoints are registered")
    older, newest = checkpoints(site)
    damaged = bytearray(Path(newest.path).read_bytes())
    damaged[0] ^= 1
    Path(newest.path).write_bytes(damaged)

    go.touch()
    site.until(job, SUCCEEDED)

    assert site.attempts(job)[1].resumed_from == older.id


def test_an_address_that_cannot_be_bound_is_told(new_site: NewSite, postgres_url: str) -> None:
    # 192.0.2.0/24 is for documentation (RFC 5737): no host has such an address.
    sites = [new_site(postgres_url, host=name, host_address="192.0.2.1") for name in ("left", "right")]
    for one in sites:
        one.start_worker(devices=1)
    job = sites[0].train(cards=2, max_attempts=1)

    ended = sites[0].until(job, FAILED)

    (attempt,) = sites[0].attempts(job)
    assert (attempt.outcome, attempt.error) == (Outcome.FAILED, "RanksFailed")
    assert "192.0.2.1" in (ended.reason or "")
