"""Any order of the steps of jobs' lives, with stale ones mixed in, against what must always hold."""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.errors import UsageError
from erfnet_jobs.jobs import Part
from erfnet_jobs.registry.attempts import (
    End,
    assign,
    beat,
    claim,
    clear_part,
    declare_lost,
    end_part,
    release,
    report_running,
)
from erfnet_jobs.registry.cancel import request_cancel
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.migrate import upgrade
from erfnet_jobs.registry.tables import Attempt, Event, Job, JobDependency, Lease, Placement
from erfnet_jobs.states import PLACED, TERMINAL, TRANSITIONS, JobState, Outcome, PartState
from tests.registry_steps import ACTOR, HOSTS, SCHEDULER, add_hosts, submit

DEVICES = (0, 1)
JOBS = st.integers(0, 2)  # which of the jobs so far, counted around
HOST = st.sampled_from(HOSTS)
PARTS = st.integers(0, 3)
STALE = st.sampled_from((*[0] * 12, -1, 1, 5))  # how far an attempt's number is off
ENDS = st.sampled_from(
    (
        End(Outcome.SUCCEEDED, "done"),
        End(Outcome.SUCCEEDED, "done"),
        End(Outcome.FAILED, "failed", rank=0, exit_code=1),
        End(Outcome.FAILED, "bad data", permanent=True, rank=0, exit_code=3),
        End(Outcome.CANCELLED, "cancelled"),
        End(Outcome.STUCK, "said nothing"),
    )
)


def _snapshot(session: Session) -> dict[str, dict[Any, Any]]:
    """The newest state of everything, by key."""
    return {
        "job": {j.id: (j.state, j.attempt, j.reason) for j in session.scalars(select(Job))},
        "attempt": {(a.job_id, a.number): a.outcome for a in session.scalars(select(Attempt))},
        "part": {
            (p.job_id, p.attempt, p.host_name): (p.state, tuple(json.loads(p.devices)))
            for p in session.scalars(select(Placement))
        },
        "lease": {(x.job_id, x.attempt, x.host_name): x.counter for x in session.scalars(select(Lease))},
    }


class Life(RuleBasedStateMachine):
    """Two hosts with two devices each, and whatever jobs come."""

    template: Path

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="erfnet-life-")
        path = Path(self.folder.name, "registry.sqlite")
        shutil.copy(self.template, path)
        self.registry = Registry(f"sqlite:///{path}")
        with self.registry.write() as session:
            add_hosts(session)
        self.jobs: list[int] = []
        self.wished: set[int] = set()
        self.before = self.now()

    def teardown(self) -> None:
        self.registry.close()
        self.folder.cleanup()

    def now(self) -> dict[str, dict[Any, Any]]:
        with self.registry.read() as session:
            return _snapshot(session)

    def job(self, index: int) -> int:
        return self.jobs[index % len(self.jobs)] if self.jobs else 1

    def part(self, pick: int, off: int) -> tuple[int, int, str]:
        """A part that holds devices, if there is one, under a number that is `off`."""
        open_parts = sorted(key for key, part in self.before["part"].items() if part[0] != PartState.ENDED)
        job, number, host = (
            open_parts[pick % len(open_parts)] if open_parts else (self.job(pick), 1, HOSTS[pick % len(HOSTS)])
        )
        return job, number + off, host

    def newest(self, job: int) -> int:
        return int(self.before["job"].get(job, ("", 0, ""))[1])

    def _step(self, job: int, number: int, call: Any) -> Any:
        """Take a step of an attempt; a stale one must leave all jobs and outcomes alone."""
        with self.registry.write() as session:
            result = call(session)
        if number != self.newest(job):
            after = self.now()
            assert after["job"] == self.before["job"]
            assert after["attempt"] == self.before["attempt"]
        return result

    @rule(after=st.sets(JOBS, max_size=2), attempts=st.integers(1, 3))
    def submit(self, after: set[int], attempts: int) -> None:
        needs = tuple({self.job(index) for index in after}) if self.jobs else ()
        states = {JobState(self.before["job"][need][0]) for need in needs}
        doomed = bool(states & (TERMINAL - {JobState.SUCCEEDED}))
        with self.registry.write() as session:
            if doomed:
                with pytest.raises(UsageError):
                    submit(session, needs, attempts)
                return
            self.jobs.append(submit(session, needs, attempts))
        assert self.jobs == sorted(set(self.jobs))

    def _free(self, host: str) -> tuple[int, ...]:
        open_parts = ((key, part) for key, part in self.before["part"].items() if part[0] != PartState.ENDED)
        held = {device for key, (_, devices) in open_parts for device in devices if key[2] == host}
        return tuple(device for device in DEVICES if device not in held)

    @rule(index=JOBS, off=STALE, both=st.booleans())
    def assign(self, index: int, off: int, both: bool) -> None:
        job = self.job(index)
        hosts = [host for host in HOSTS if self._free(host)][: 2 if both else 1]
        if not hosts:
            return
        parts = [Part(host, self._free(host)[:1], rank) for rank, host in enumerate(hosts)]
        number = self.newest(job) + off
        may = self.before["job"].get(job, ("",))[0] == JobState.QUEUED and off == 0
        assert self._step(job, number, lambda session: assign(session, job, number, parts, "/runs")) == may

    @rule(second_host=st.booleans())
    def begin_gang(self, second_host: bool) -> None:
        """A new gang over both hosts, of which one or both have begun."""
        free = [self._free(host) for host in HOSTS]
        if not all(free):
            return
        parts = [Part(host, devices[:1], rank) for rank, (host, devices) in enumerate(zip(HOSTS, free, strict=True))]
        with self.registry.write() as session:
            job = submit(session)
        self.jobs.append(job)
        self.check_steps()
        with self.registry.write() as session:
            assert assign(session, job, 0, parts, "/runs")
        self.check_steps()
        for host in HOSTS if second_host else HOSTS[:1]:
            with self.registry.write() as session:
                assert claim(session, job, 1, host, SCHEDULER)
            self.check_steps()

    @rule(pick=PARTS, off=STALE)
    def claim(self, pick: int, off: int) -> None:
        job, number, host = self.part(pick, off)
        claimed = self._step(job, number, lambda session: claim(session, job, number, host, SCHEDULER))
        if claimed:
            assert self.before["part"][job, number, host][0] == PartState.ASSIGNED
            assert self.before["attempt"][job, number] is None
            assert (job, number, host) not in self.before["lease"]

    @rule(index=JOBS, off=STALE)
    def start(self, index: int, off: int) -> None:
        """Both hosts claim and say that they run: what happens most."""
        job = self.job(index)
        number = self.newest(job) + off
        for host in HOSTS:
            with self.registry.write() as session:
                claim(session, job, number, host, SCHEDULER)
        self.check_steps()
        for host in HOSTS:
            if (job, number, host) in self.now()["lease"]:
                self._step(job, number, lambda session, host=host: report_running(session, job, number, host))

    @rule(pick=PARTS, off=STALE)
    def beat(self, pick: int, off: int) -> None:
        job, number, host = self.part(pick, off)
        pulse = self._step(job, number, lambda session: beat(session, job, number, host, 42))
        assert pulse.held == ((job, number, host) in self.before["lease"])
        assert pulse.going == (self.before["attempt"].get((job, number), "none") is None)

    @rule(pick=PARTS, off=STALE, end=ENDS)
    def end_part(self, pick: int, off: int, end: End) -> None:
        job, number, host = self.part(pick, off)
        held = (job, number, host) in self.before["lease"]
        if not held and (job, number, host) in self.before["part"]:
            return  # a supervisor ends its part once, and it had a lease when it began
        assert self._step(job, number, lambda session: end_part(session, job, number, host, end, 0)) == held

    @rule(pick=PARTS, off=STALE, late=st.integers(0, 1))
    def declare_lost(self, pick: int, off: int, late: int) -> None:
        job, number, host = self.part(pick, off)
        counter = self.before["lease"].get((job, number, host))
        going = self.before["attempt"].get((job, number), "none") is None
        seen = (counter or 0) - late
        lost = self._step(job, number, lambda session: declare_lost(session, job, number, host, seen, "silent", 0))
        assert lost == (going and counter is not None and late == 0)

    @rule(host=HOST)
    def clear(self, host: str) -> None:
        """The host shows that nothing is left of parts whose lease is gone."""
        for job, number, name in self.before["part"]:
            started = self.before["part"][job, number, name][0] in {PartState.STARTING, PartState.RUNNING}
            if name == host and started and (job, number, name) not in self.before["lease"]:
                with self.registry.write() as session:
                    clear_part(session, job, number, host)

    @rule(pick=PARTS, off=STALE, state=st.sampled_from([PartState.ASSIGNED, PartState.STARTING]))
    def release(self, pick: int, off: int, state: PartState) -> None:
        job, number, host = self.part(pick, off)
        going = self.before["attempt"].get((job, number), "none") is None
        late = going and self.before["part"].get((job, number, host), ("none",))[0] == state
        assert self._step(job, number, lambda session: release(session, job, number, host, state, "late", 0)) == late

    @rule(index=JOBS)
    def cancel(self, index: int) -> None:
        if not self.jobs:
            return
        job = self.job(index)
        state = JobState(self.before["job"][job][0])
        with self.registry.write() as session:
            now = request_cancel(session, job, ACTOR)
        idle = state in {JobState.WAITING, JobState.QUEUED, JobState.ASSIGNED}
        assert now == (JobState.CANCELLED if idle else state)
        if now not in TERMINAL:
            self.wished.add(job)

    @invariant()
    def check_steps(self) -> None:
        after = self.now()
        for job, (state, attempt, reason) in self.before["job"].items():
            now, number, why = after["job"][job]
            assert now == state or JobState(now) in TRANSITIONS[JobState(state)]
            assert number in {attempt, attempt + 1}
            assert job not in self.wished or now in {JobState.STARTING, JobState.RUNNING, JobState.CANCELLED}
            assert state not in TERMINAL or (now, number, why) == (state, attempt, reason)
        for key, outcome in self.before["attempt"].items():
            assert outcome is None or after["attempt"][key] == outcome
        self.before = after
        _check_parts(after)
        _check_attempts(after)
        self._check_dependents()

    def _check_dependents(self) -> None:
        with self.registry.read() as session:
            needs: dict[int, set[JobState]] = {}
            for row in session.scalars(select(JobDependency)):
                needs.setdefault(row.job_id, set()).add(JobState(self.before["job"][row.needs_job_id][0]))
            ends = Counter(
                (event.job_id, event.kind) for event in session.scalars(select(Event)) if event.kind in TERMINAL
            )
        unhappy = TERMINAL - {JobState.SUCCEEDED}
        for job, (state, _, _) in self.before["job"].items():
            met = needs.get(job, set()) <= {JobState.SUCCEEDED}
            assert (state == JobState.WAITING) <= (not met and not needs[job] & unhappy)
            assert (state in PLACED | {JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED}) <= met
            assert (state == JobState.SKIPPED) <= bool(needs.get(job, set()) & unhappy)
        ended = {(job, state) for job, (state, _, _) in self.before["job"].items() if state in TERMINAL}
        assert ends == Counter(ended)


def _check_parts(now: dict[str, dict[Any, Any]]) -> None:
    """Devices are held once; a lease stands for a part that has started."""
    held: Iterable[tuple[str, int]] = [
        (host, device)
        for (_, _, host), (state, devices) in now["part"].items()
        if state != PartState.ENDED
        for device in devices
    ]
    assert max(Counter(held).values(), default=0) <= 1
    for key in now["lease"]:
        assert now["part"][key][0] in {PartState.STARTING, PartState.RUNNING}


def _check_attempts(now: dict[str, dict[Any, Any]]) -> None:
    """A job is placed exactly as long as its newest attempt goes on, and no older one does."""
    assert Counter(job for job, _ in now["attempt"]) == Counter({j: row[1] for j, row in now["job"].items() if row[1]})
    for job, (state, attempt, _) in now["job"].items():
        outcomes = [now["attempt"][job, number] for number in range(1, attempt + 1)]
        assert None not in outcomes[:-1]
        assert (state in PLACED) == (bool(outcomes) and outcomes[-1] is None)
        if outcomes and outcomes[-1] is not None:
            assert not [key for key, part in now["part"].items() if key[0] == job and part[0] == PartState.ASSIGNED]


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module", autouse=True)
def _template(tmp_path_factory: pytest.TempPathFactory) -> None:
    Life.template = tmp_path_factory.mktemp("life") / "registry.sqlite"
    upgrade(f"sqlite:///{Life.template}")
