"""Anything in any order: workers, supervisors, messages and faults over a real registry, in simulated hosts.

`make chaos` makes a thousand random runs on SQLite, and some on PostgreSQL; `make test` a few. What a failure prints
repeats it: the steps, and CHAOS_SEED.
"""

import logging
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from erfnet_jobs import errors
from erfnet_jobs.registry.migrate import upgrade
from tests.chaos.checks import Checks, install_triggers
from tests.chaos.kernel import Process
from tests.chaos.world import LEASE_TIMEOUT, START_TIMEOUT, USERS_REASON, World
from tests.chaos_runs import SEED, chaos_runs
from tests.conftest import PostgresServer

Item = TypeVar("Item")
STEPS = 30
SLICES = 20
REST_ROUNDS = 150
ANY = st.integers(0, 63)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV)


class Unexpected(logging.Handler):
    """Keeps what the product logged with a traceback: what nobody expected."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []
        self._format = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.found.append(self._format.format(record))


class AnyOrder(RuleBasedStateMachine):
    """One random run; a subclass says where the registry comes from."""

    new_database: ClassVar[Any]

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")  # noqa: S108 - a new folder in it; a disk's fsync takes most of a run's time
        self.folder = Path(tempfile.mkdtemp(prefix="ej-chaos-", dir=memory if memory.is_dir() else None))
        self.unexpected = Unexpected()
        logging.getLogger("workers").addHandler(self.unexpected)
        self.jobs: list[int] = []

    @initialize(
        hosts=st.lists(st.integers(1, 4), min_size=1, max_size=3),
        cards=st.lists(st.integers(1, 12), min_size=1, max_size=6),
        rounds=st.integers(0, 4),
        gone=st.none() | ANY,
    )
    def site(self, hosts: Sequence[int], cards: Sequence[int], rounds: int, gone: int | None) -> None:
        self.gone = gone
        devices = {f"host{number}": count for number, count in enumerate(hosts)}
        self.world = World(self.folder, type(self).new_database(self.folder), devices)
        install_triggers(self.world.registry)
        self.checks = Checks(self.world)
        for host in devices:
            self.world.start_worker(host)
        self.world.fair_round()
        for count in cards:
            self.jobs.append(self.world.submit(1 + (count - 1) % sum(hosts)))
        for _ in range(rounds):
            self.world.fair_round(acts=1)

    @property
    def hosts(self) -> list[str]:
        return list(self.world.devices)

    def _living(self, *kinds: str) -> list[Process]:
        return [process for process in self.world.kernel.living() if process.kind in kinds]

    def _one(self, items: Sequence[Item], number: int) -> Item | None:
        return items[number % len(items)] if items else None

    # The world goes on.

    @rule(times=st.sampled_from((1, 2, 4, 8, 14)), acts=st.integers(0, 2))
    def all_go_on(self, times: int, acts: int) -> None:
        for _ in range(times):
            self.world.fair_round(acts)

    @precondition(lambda self: self.world.bodies())
    @rule(which=ANY, turns=st.integers(1, 6))
    def one_goes_on(self, which: int, turns: int) -> None:
        if process := self._one(self.world.bodies(), which):
            for _ in range(turns):
                self.world.kernel.run(process)

    @precondition(lambda self: self.world.bodies())
    @rule(which=ANY)
    def one_round(self, which: int) -> None:
        if process := self._one(self.world.bodies(), which):
            self.world.round_of(process)

    @precondition(lambda self: self.world.living_ranks())
    @rule(which=ANY, times=st.integers(1, 8))
    def rank_works(self, which: int, times: int) -> None:
        if rank := self._one(self.world.living_ranks(), which):
            for _ in range(times):
                rank.act()

    @rule(seconds=st.sampled_from((1.0, LEASE_TIMEOUT / 2 - 1, LEASE_TIMEOUT + 1, START_TIMEOUT + 1)))
    def time_passes(self, seconds: float) -> None:
        self.world.kernel.advance(seconds)

    @rule(seconds=st.sampled_from((-3600.0, -1.0, 1.0, 3600.0)))
    def clock_of_the_registry_jumps(self, seconds: float) -> None:
        self.world.clock_error += seconds

    # People.

    @rule(
        cards=st.integers(1, 12),
        priority=st.integers(-1, 1),
        max_attempts=st.integers(1, 3),
        after=st.none() | ANY,
        limit=st.sampled_from((None, None, 20.0)),
        pinned=st.none() | ANY,
        devices=st.booleans(),
    )
    def submit(
        self,
        cards: int,
        priority: int,
        max_attempts: int,
        after: int | None,
        limit: float | None,
        pinned: int | None,
        devices: bool,
    ) -> None:
        sizes = {host: len(found) for host, found in self.world.devices.items()}
        host = None if pinned is None else self._one(self.hosts, pinned)
        cards = 1 + (cards - 1) % (sizes[host] if host else sum(sizes.values()))
        needs = None if after is None else self._one(self.jobs, after)
        exactly = tuple(range(cards)) if host and devices else None
        try:
            job = self.world.submit(
                cards,
                priority=priority,
                max_attempts=max_attempts,
                after=(needs,) if needs else (),
                host=host,
                devices=exactly,
                time_limit=limit,
            )
        except errors.UsageError:  # what it comes after has failed
            return
        self.jobs.append(job)

    @precondition(lambda self: self.jobs)
    @rule(which=ANY)
    def cancel(self, which: int) -> None:
        if job := self._one(self.jobs, which):
            self.world.cancel(job)

    @rule(which=ANY, drained=st.booleans())
    def drain(self, which: int, drained: bool) -> None:
        self.world.drain(self.hosts[which % len(self.hosts)], drained)

    @rule(which=ANY, device=ANY, on=st.booleans())
    def cordon(self, which: int, device: int, on: bool) -> None:
        host = self.hosts[which % len(self.hosts)]
        self.world.cordon(host, device % len(self.world.devices[host]), USERS_REASON if on else None)

    # Messages.

    @precondition(lambda self: self.world.queues.messages)
    @rule(which=ANY, host=ANY)
    def deliver(self, which: int, host: int) -> None:
        if message := self._one(self.world.queues.messages, which):
            self.world.queues.messages.remove(message)
            self.world.deliver(message, self.hosts[host % len(self.hosts)])

    @precondition(lambda self: self.world.queues.messages)
    @rule(which=ANY)
    def deliver_to_all(self, which: int) -> None:
        if message := self._one(self.world.queues.messages, which):
            for host in self.hosts:
                self.world.deliver(message, host)

    @precondition(lambda self: self.world.queues.messages)
    @rule(which=ANY)
    def drop(self, which: int) -> None:
        if message := self._one(self.world.queues.messages, which):
            self.world.queues.messages.remove(message)

    @rule(away=st.booleans())
    def redis(self, away: bool) -> None:
        self.world.queues.away = away

    # Faults.

    @precondition(lambda self: self.world.bodies())
    @rule(which=ANY, fault=st.sampled_from(("away", "before", "after", "die")))
    def next_write_fails(self, which: int, fault: str) -> None:
        if process := self._one(self.world.bodies(), which):
            process.faults.append(fault)

    @rule(away=st.booleans())
    def registry(self, away: bool) -> None:
        self.world.own_registry.away = away

    @precondition(lambda self: self._living("worker"))
    @rule(which=ANY, restart=st.booleans())
    def worker_dies(self, which: int, restart: bool) -> None:
        if process := self._one(self._living("worker"), which):
            self.world.kernel.send(process, signal.SIGKILL)
            if restart:
                self.world.start_worker(process.host)

    @precondition(lambda self: self._living("worker"))
    @rule(which=ANY)
    def worker_is_told_to_stop(self, which: int) -> None:
        if process := self._one(self._living("worker"), which):
            self.world.kernel.send(process, signal.SIGTERM)

    @rule(which=ANY)
    def worker_starts(self, which: int) -> None:
        self.world.start_worker(self.hosts[which % len(self.hosts)])

    @precondition(lambda self: self._living("supervisor"))
    @rule(which=ANY, number=st.sampled_from((signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1)))
    def supervisor_gets_a_signal(self, which: int, number: int) -> None:
        if process := self._one(self._living("supervisor"), which):
            self.world.kernel.send(process, number)

    @precondition(lambda self: self.world.bodies())
    @rule(which=ANY)
    def stop(self, which: int) -> None:
        if process := self._one(self.world.bodies(), which):
            self.world.kernel.send(process, signal.SIGSTOP)

    @precondition(lambda self: self._living("supervisor"))
    @rule(which=ANY, acts=st.integers(0, 3), rounds=st.sampled_from((2, 8, 14)))
    def supervisor_is_stopped_for_a_while(self, which: int, acts: int, rounds: int) -> None:
        if process := self._one(self._living("supervisor"), which):
            self._stopped_meanwhile([process], acts, rounds)

    @rule(which=ANY, acts=st.integers(0, 3), rounds=st.sampled_from((2, 8, 14)), ranks=st.booleans())
    def host_is_stopped_for_a_while(self, which: int, acts: int, rounds: int, ranks: bool) -> None:
        """Without its ranks: what supervises them and could kill them stands still."""
        processes = self.world.kernel.living(self.hosts[which % len(self.hosts)])
        self._stopped_meanwhile([each for each in processes if ranks or each.body], acts, rounds)

    def _stopped_meanwhile(self, processes: Sequence[Process], acts: int, rounds: int) -> None:
        for process in processes:
            self.world.kernel.send(process, signal.SIGSTOP)
        for _ in range(rounds):
            self.world.fair_round(acts)
        for process in processes:
            self.world.kernel.send(process, signal.SIGCONT)

    @precondition(lambda self: any(process.paused for process in self.world.kernel.living()))
    @rule(which=ANY)
    def go_on(self, which: int) -> None:
        if process := self._one([each for each in self.world.kernel.living() if each.paused], which):
            self.world.kernel.send(process, signal.SIGCONT)

    @rule(which=ANY)
    def power_cut(self, which: int) -> None:
        self.world.power_cut(self.hosts[which % len(self.hosts)])

    @precondition(lambda self: self._living("rank", "scheduler"))
    @rule(which=ANY, number=st.sampled_from(SIGNALS))
    def rank_dies(self, which: int, number: int) -> None:
        if process := self._one(self._living("rank", "scheduler"), which):
            self.world.kernel.send(process, number)

    @precondition(lambda self: self.world.living_ranks())
    @rule(which=ANY, error=st.sampled_from((errors.BadData, errors.RanksFailed, errors.DiskFull)))
    def rank_fails(self, which: int, error: type[errors.ErfnetJobsError]) -> None:
        if rank := self._one(self.world.living_ranks(), which):
            rank.fail(error)

    @precondition(lambda self: self.world.living_ranks())
    @rule(which=ANY, how=st.sampled_from(("hangs", "deaf", "unkillable")))
    def rank_goes_bad(self, which: int, how: str) -> None:
        if rank := self._one(self.world.living_ranks(), which):
            rank.hangs = True
            if how != "hangs":
                setattr(rank.process, how, True)

    @rule(which=ANY, device=ANY, health=st.sampled_from(("ok", "warning", "alarm", "critical", "unknown")))
    def device_is(self, which: int, device: int, health: str) -> None:
        chips = self.world.devices[self.hosts[which % len(self.hosts)]]
        chips[device % len(chips)] = health

    @precondition(lambda self: any(process.unkillable for process in self.world.kernel.living()))
    @rule()
    def kernel_lets_go(self) -> None:
        for process in self.world.kernel.living():
            process.unkillable = False

    # What must hold.

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "world"):
            self.checks.after_step()
            assert not self.unexpected.found, self.unexpected.found[0]

    def teardown(self) -> None:
        try:
            if hasattr(self, "world") and sys.exc_info()[0] is None:
                self.comes_to_rest()
        finally:
            logging.getLogger("workers").removeHandler(self.unexpected)
            if hasattr(self, "world"):
                self.world.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def comes_to_rest(self) -> None:
        """Nothing that was queued is forgotten, once everybody is left in peace."""
        self.world.heal()
        if self.gone is not None and len(self.hosts) > 1:
            gone = self.world.gone = self.hosts[self.gone % len(self.hosts)]
            self.world.power_cut(gone)
            self._until(lambda: self.checks.at_rest_without(gone))
            self.world.gone = None
        self._until(self.checks.at_rest)

    def _until(self, holds: Callable[[], None]) -> None:
        """Fair rounds until that holds, for as long as may be."""
        for number in range(REST_ROUNDS):
            self.world.start_missing_workers()
            self.world.fair_round(acts=4)
            if number % 5 == 4 and _is_so(holds):
                break
        self.holds()
        holds()


def _is_so(holds: Callable[[], None]) -> bool:
    try:
        holds()
    except AssertionError:
        return False
    return True


def run_any_order(
    machine: type[AnyOrder], first_seed: int, runs: int, steps: int, phases: Sequence[Phase] = tuple(Phase)
) -> None:
    """Random runs that `first_seed` repeats."""
    options = settings(
        max_examples=runs,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=False,
        phases=phases,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    # Hypothesis has no types for this call.
    run_state_machine_as_test(seed(first_seed)(machine), settings=options)  # type: ignore[no-untyped-call]


def machine_on(new_database: Callable[[Path], str]) -> type[AnyOrder]:
    """Runs each of which gets a registry of its own from `new_database`, which may put it into the folder."""

    class Machine(AnyOrder):
        pass

    Machine.new_database = staticmethod(new_database)
    return Machine


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> type[AnyOrder]:
    """Runs over copies of one migrated SQLite file."""
    template = tmp_path_factory.mktemp("template") / "registry.sqlite"
    upgrade(f"sqlite:///{template}")

    def new_database(folder: Path) -> str:
        shutil.copy(template, folder / "registry.sqlite")
        return f"sqlite:///{folder / 'registry.sqlite'}"

    return machine_on(new_database)


@pytest.fixture(scope="module")
def on_postgresql(postgres_server: PostgresServer) -> type[AnyOrder]:
    """Runs over databases of one PostgreSQL."""
    return machine_on(lambda _folder: postgres_server.create("template_registry"))


def test_some_runs_in_any_order_keep_the_invariants(on_sqlite: type[AnyOrder]) -> None:
    run_any_order(on_sqlite, SEED, runs=16, steps=STEPS)


@pytest.mark.chaos
@pytest.mark.parametrize("part", range(SLICES))
def test_a_thousand_runs_in_any_order_keep_the_invariants(on_sqlite: type[AnyOrder], part: int) -> None:
    run_any_order(on_sqlite, SEED + part, -(-chaos_runs(1000) // SLICES), STEPS)


@pytest.mark.chaos
def test_runs_on_postgresql_in_any_order_keep_the_invariants(on_postgresql: type[AnyOrder]) -> None:
    run_any_order(on_postgresql, SEED, chaos_runs(50), STEPS)
