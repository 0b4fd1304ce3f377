"""What must hold after each step, asked of the registry's rows and of the simulated processes.

A trigger in the database writes down each change of a job's state or attempt, so that none of them is missed.
"""

import json
from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection, text

from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.metrics import metric_series
from erfnet_jobs.registry.retries import tries_of
from erfnet_jobs.registry.summaries import wrong_summaries
from erfnet_jobs.states import PLACED, TERMINAL, TRANSITIONS, JobState, Outcome, PartState
from tests.chaos.kernel import Process
from tests.chaos.world import World

CHANGES = "CREATE TABLE chaos_change (job INTEGER, before TEXT, after TEXT, old INTEGER, new INTEGER)"
SQLITE_TRIGGER = """
CREATE TRIGGER chaos_changes AFTER UPDATE ON job WHEN OLD.state != NEW.state OR OLD.attempt != NEW.attempt
BEGIN INSERT INTO chaos_change VALUES (NEW.id, OLD.state, NEW.state, OLD.attempt, NEW.attempt); END
"""
POSTGRES_FUNCTION = """
CREATE FUNCTION chaos_note() RETURNS trigger AS $$ BEGIN
INSERT INTO chaos_change VALUES (NEW.id, OLD.state, NEW.state, OLD.attempt, NEW.attempt); RETURN NULL; END
$$ LANGUAGE plpgsql
"""
POSTGRES_TRIGGER = """
CREATE TRIGGER chaos_changes AFTER UPDATE ON job FOR EACH ROW
WHEN (OLD.state != NEW.state OR OLD.attempt != NEW.attempt) EXECUTE FUNCTION chaos_note()
"""


def install_triggers(registry: Registry) -> None:
    """Have the database note the changes of jobs."""
    statements = [SQLITE_TRIGGER] if registry.sqlite else [POSTGRES_FUNCTION, POSTGRES_TRIGGER]
    with registry.write() as session:
        for statement in [CHANGES, *statements]:
            session.connection().exec_driver_sql(statement)


class Checks:
    """Asserts the invariants again and again, and remembers what may not change any more."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._attempts: dict[int, int] = {}
        self._outcomes: dict[tuple[int, int], str] = {}
        self._written: Mapping[tuple[int, int], int] = {}

    def after_step(self) -> None:
        """All of them."""
        self._processes()
        with self._world.registry.read() as session:
            connection = session.connection()
            self._changes(connection)
            self._devices(connection)
            self._attempts_and_jobs(connection)
            self._fenced(connection)
            self._events(connection)
            assert not wrong_summaries(session), wrong_summaries(session)

    def _processes(self) -> None:
        """No device has live ranks of two attempts."""
        on_device: dict[tuple[str, int], Process] = {}
        for rank in self._world.living_ranks():
            other = on_device.setdefault((rank.process.host, rank.device), rank.process)
            assert other is rank.process, f"{other} and {rank.process} are on device {rank.device}"

    def _changes(self, connection: Connection) -> None:
        rows = connection.execute(text("SELECT job, before, after, old, new FROM chaos_change")).all()
        for job, before, after, old, new in rows:
            states = JobState(before), JobState(after)
            assert before == after or states[1] in TRANSITIONS[states[0]], f"job {job}: {before} -> {after}"
            assert new == old or (new == old + 1 and after == JobState.ASSIGNED), f"job {job}: attempt {old} -> {new}"

    def _devices(self, connection: Connection) -> None:
        """No device is held twice; live ranks are on devices that their attempt holds."""
        held: dict[tuple[str, int], tuple[int, int]] = {}
        rows = connection.execute(text("SELECT job_id, attempt, host_name, devices, state FROM placement"))
        for job, attempt, host, devices, state in rows:
            if state == PartState.ENDED:
                continue
            for device in json.loads(devices):
                other = held.setdefault((host, device), (job, attempt))
                assert other == (job, attempt), f"{other} and {(job, attempt)} hold device {device} of {host}"
        for rank in self._world.living_ranks():
            owner = held.get((rank.process.host, rank.device))
            plan = rank.script.plan
            assert owner == (plan.job, plan.attempt), f"{rank.process} is on a device that {owner} holds"

    def _attempts_and_jobs(self, connection: Connection) -> None:
        jobs = {row.id: row for row in connection.execute(text("SELECT id, state, attempt, cancel_requested FROM job"))}
        numbers: dict[int, list[int]] = {}
        for job, number, outcome in connection.execute(
            text("SELECT job_id, number, outcome FROM attempt ORDER BY job_id, number")
        ):
            numbers.setdefault(job, []).append(number)
            known = self._outcomes.get((job, number))
            assert known in (None, outcome), f"job {job}, attempt {number}: {known} became {outcome}"
            if outcome is not None:
                self._outcomes[job, number] = outcome
            else:
                assert jobs[job].attempt == number, f"job {job}: attempt {number} goes on beside {jobs[job].attempt}"
                assert jobs[job].state in PLACED, f"job {job} is {jobs[job].state}, attempt {number} goes on"
        for job, row in jobs.items():
            found = numbers.get(job, [])
            assert found == list(range(1, row.attempt + 1)), f"job {job} has attempts {found}, not {row.attempt}"
            assert row.attempt >= self._attempts.get(job, 0)
            self._attempts[job] = row.attempt
            outcome = self._outcomes.get((job, row.attempt))
            if row.state in PLACED:
                assert outcome is None, f"job {job} is {row.state}, its attempt {outcome}"
            if row.state == JobState.SUCCEEDED:
                assert outcome == Outcome.SUCCEEDED, f"job {job} is succeeded, its attempt {outcome}"
            if outcome == Outcome.SUCCEEDED:
                # A wish to cancel that came before the success counts.
                cancelled = row.state == JobState.CANCELLED and row.cancel_requested
                assert cancelled or row.state == JobState.SUCCEEDED, f"job {job} is {row.state}, its attempt succeeded"

    def _fenced(self, connection: Connection) -> None:
        """An attempt that had ended before the step has no more rows after it."""
        rows = connection.execute(
            text(
                "SELECT job_id, attempt, count(*) FROM (SELECT job_id, attempt FROM metric "
                "UNION ALL SELECT job_id, attempt FROM checkpoint) AS written GROUP BY job_id, attempt"
            )
        )
        written = {(job, attempt): count for job, attempt, count in rows}
        for key, count in self._written.items():
            assert written.get(key, 0) == count, f"attempt {key} has ended and went on writing"
        self._written = {key: written.get(key, 0) for key in self._outcomes}

    def _events(self, connection: Connection) -> None:
        rows = connection.execute(text("SELECT job_id, attempt, kind FROM event WHERE job_id IS NOT NULL")).all()
        kinds = Counter((job, kind) for job, _, kind in rows)
        states = connection.execute(text("SELECT id, state, attempt FROM job")).all()
        for job, state, attempt in states:
            assert kinds[job, "submitted"] == 1
            assert kinds[job, "assigned"] == attempt, f"job {job}: {kinds[job, 'assigned']} assigned, not {attempt}"
            for end in TERMINAL:
                assert kinds[job, str(end)] == (state == end), f"job {job} is {state}: {kinds[job, str(end)]} {end}"
        ends = Counter((job, attempt) for job, attempt, kind in rows if kind.startswith("attempt "))
        assert ends == Counter(self._outcomes.keys()), "each attempt's end stands once in the log"

    def at_rest_without(self, gone: str) -> None:
        """A host stays away: what fits on the others has ended, and nothing is to run where nobody is."""
        room = sum(len(chips) for host, chips in self._world.devices.items() if host != gone)
        with self._world.registry.read() as session:
            connection = session.connection()
            assert not connection.execute(text("SELECT * FROM lease")).all()
            for job in connection.execute(text("SELECT id, state, cards, host_name, reason FROM job")):
                too_big = job.cards > room or job.host_name == gone
                waits = job.state == JobState.WAITING or (job.state == JobState.QUEUED and too_big)
                assert job.state in TERMINAL or waits, f"without {gone} job {job.id} is {job.state}: {job.reason}"

    def at_rest(self) -> None:
        """After all faults have ended and time has passed: nothing is held, left or forgotten."""
        left = [process for process in self._world.kernel.living() if process.kind != "worker"]
        assert not left, f"left: {', '.join(map(str, left))}"
        with self._world.registry.read() as session:
            connection = session.connection()
            held = connection.execute(text("SELECT * FROM placement WHERE state != 'ended'")).all()
            assert not held, f"devices are held still: {held}"
            assert not connection.execute(text("SELECT * FROM lease")).all()
            cordoned = connection.execute(text("SELECT * FROM device WHERE cordoned IS NOT NULL AND present")).all()
            assert not cordoned, f"cordoned still: {cordoned}"
            for job in connection.execute(text("SELECT id, state, attempt, max_attempts, reason FROM job")):
                assert job.state in TERMINAL, f"job {job.id} is {job.state}: {job.reason}"
                if job.state == JobState.SUCCEEDED:
                    self._whole_curve(connection, job.id)
                elif job.state == JobState.FAILED:
                    tries = tries_of(session, job.id)
                    permanent = self._permanent(connection, job.id, job.attempt)
                    assert permanent or not tries.another(job.max_attempts), f"job {job.id} was given up: {job.reason}"

    def _permanent(self, connection: Connection, job: int, attempt: int) -> bool:
        found = text("SELECT permanent FROM attempt WHERE job_id = :job AND number = :attempt")
        return bool(connection.execute(found, {"job": job, "attempt": attempt}).scalar_one())

    def _whole_curve(self, connection: Connection, job: int) -> None:
        """The values of a training that succeeded: each epoch of each stage, no gap and no double."""
        with self._world.registry.read() as session:
            series = [(value.stage, value.epoch) for value in metric_series(session, job, "loss")]
        assert series == [(1, 1), (1, 2), (2, 1), (3, 1), (4, 1)], f"job {job}: {series}"
