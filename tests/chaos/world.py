"""A world of simulated hosts around one real registry: their workers, supervisors and ranks, and what befalls them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, literal, select

from erfnet_jobs import broker, errors
from erfnet_jobs.ascend.devices import ASCEND_CHIP, HEALTHY, Device, HostDevices
from erfnet_jobs.ascend.environment import from_environ
from erfnet_jobs.broker import Broker, host_queue
from erfnet_jobs.jobs import Request
from erfnet_jobs.launch import gang, watch
from erfnet_jobs.launch.gang import PLAN_NAME
from erfnet_jobs.launch.scripted_rank import ScriptedRank, default_steps
from erfnet_jobs.plan import read_plan
from erfnet_jobs.registry import engine, events, hosts
from erfnet_jobs.registry.cancel import request_cancel
from erfnet_jobs.registry.devices import set_cordon
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.events import Actor
from erfnet_jobs.registry.hosts import set_drained
from erfnet_jobs.registry.jobs import submit_job
from erfnet_jobs.registry.tables import Device as Chip
from erfnet_jobs.registry.tables import UtcTime
from erfnet_jobs.reports import Failed
from erfnet_jobs.settings import Settings, load_settings
from erfnet_jobs.states import JobKind
from erfnet_jobs.train_spec import TrainSpec
from tests.chaos.doubles import (
    ChaosRegistry,
    DeathWatch,
    Processes,
    Queues,
    Tasks,
    Time,
    WorkerNews,
    namespace,
)
from tests.chaos.kernel import Kernel, Process
from tests.layout import empty_dataset
from workers import __main__ as worker_main
from workers import aftermath, course, lookout, own_devices, pace, reaper, rounds, start, supervisor
from workers.app import queues_of
from workers.tasks import register_tasks

ALICE = Actor("alice", "shell")
USERS_REASON = "a user's"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
BEAT = 5.0
LEASE_TIMEOUT = 30.0
START_TIMEOUT = 60.0
STUCK_TIMEOUT = 90.0


class Rank:
    """A rank that plays the default script of its plan, a step at a time; `None` of a step: it hangs."""

    def __init__(self, kernel: Kernel, process: Process, plan_path: Path, environ: Mapping[str, str]) -> None:
        self._kernel = kernel
        self.process = process
        plan = read_plan(plan_path)
        self.script = ScriptedRank(plan, from_environ(environ))
        self.steps = default_steps(plan, self.script.rank)
        self.device = plan.ranks[self.script.rank].device
        self.hangs = False
        process.on_end.append(self.script.reports.close)

    def act(self) -> None:
        """The next step; after the last one it ends."""
        if not self.process.alive or self.process.paused or self.hangs:
            return
        if not self.steps:
            self._kernel.exits(self.process, 0)
        else:
            self.script.play([self.steps.pop(0)])

    def fail(self, error: type[errors.ErfnetJobsError]) -> None:
        """As the rank program does: say why, and end."""
        self.script.reports.write(Failed(error.__name__, "the simulation", error.exit_code, error.permanent))
        self._kernel.exits(self.process, error.exit_code)


class World:
    """Simulated hosts around the registry at `database_url`, in a folder."""

    def __init__(self, folder: Path, database_url: str, host_devices: Mapping[str, int]) -> None:
        self.kernel = Kernel()
        self.queues = Queues()
        self.devices = {host: dict.fromkeys(range(count), HEALTHY) for host, count in host_devices.items()}
        self.ranks: dict[int, Rank] = {}
        self.registry = Registry(database_url)
        self.data = empty_dataset(folder / "data")
        self._consumers: dict[int, Tasks] = {}
        self.clock_error = 0.0
        self.gone: str | None = None
        self._healthy: set[int] = set()
        self._patch = pytest.MonkeyPatch()
        self._settings = {host: self._settings_of(host, folder, database_url) for host in host_devices}
        self._install()

    def _settings_of(self, host: str, folder: Path, database_url: str) -> Settings:
        home = folder / host
        home.mkdir()
        values = {
            "home": home,
            "runs": folder / "runs",
            "host_name": host,
            "host_address": "127.0.0.1",
            "broker_url": "redis://nowhere",
            "database_url": database_url,
            "beat_interval": BEAT,
            "lease_timeout": LEASE_TIMEOUT,
            "start_timeout": START_TIMEOUT,
            "stuck_timeout": STUCK_TIMEOUT,
            "compile_timeout": STUCK_TIMEOUT,
            "retry_delay": 1e-6,
        }
        return load_settings(environ={f"ERFNET_JOBS_{name.upper()}": str(value) for name, value in values.items()})

    # What stands in for the operating system.

    def _install(self) -> None:
        self._install_processes()
        self._install_time()
        self._install_worker()

    def _install_processes(self) -> None:
        kernel, put = self.kernel, self._patch.setattr
        own = Processes(kernel, self._supervise)
        own.on_start = self._rank_started  # type: ignore[method-assign]  # its docstring says so
        replaced = {
            "kill_marked": own.kill_marked,
            "processes_with_mark": own.left,
            "has_mark": own.has_mark,
            "processes_in_groups": own.in_groups,
            "signal_group": own.signal_group,
            "wait_until_gone": own.wait_until_gone,
            "start_child": own.start_child,
            "new_lifeline": lambda: (-1, -1),
            "fresh_port": lambda _address: 4000,
            "DeathWatch": lambda: DeathWatch(kernel),
        }
        for module in (aftermath, course, gang, own_devices, reaper, rounds, start, supervisor, watch):
            for name in replaced.keys() & vars(module).keys():
                put(module, name, replaced[name])
        signals = namespace(signal, signal=own.on_signal, pidfd_send_signal=own.send)
        own_os = namespace(os, getpid=own.getpid, pidfd_open=own.pidfd_open, close=lambda _fd: None)
        put(reaper, "signal", signals)
        put(reaper, "os", own_os)
        put(course, "os", own_os)
        put(supervisor, "signal", signals)
        put(start, "subprocess", namespace(subprocess, Popen=own.start_supervisor))
        put(ScriptedRank, "_step_print", lambda _rank, _text: None)

    def _install_time(self) -> None:
        put, clock = self._patch.setattr, Time(self.kernel)
        for module in list(sys.modules.values()):
            name = getattr(module, "__name__", "")
            if name.startswith(("workers", "erfnet_jobs.launch")) and getattr(module, "time", None) is time:
                put(module, "time", clock)
        put(rounds.Rounds.__init__, "__defaults__", (clock.monotonic,))
        put(lookout.Lookout.__init__, "__defaults__", (clock.monotonic,))
        put(pace.Pace.__init__, "__defaults__", (clock.monotonic, lambda: 1.0))
        put(events, "datetime", namespace(datetime, now=lambda _zone: self.wall_clock()))
        put(events, "func", namespace(func, clock_timestamp=lambda: literal(self.wall_clock(), UtcTime())))
        # Nobody needs shorter steps than a beat here.
        put(supervisor, "STEP_SECONDS", BEAT)
        put(watch, "POLL_INTERVAL", BEAT)
        put(rounds, "ROUND_SECONDS", BEAT)

    def wall_clock(self) -> datetime:
        """What the registry's clock shows."""
        return EPOCH + timedelta(seconds=self.kernel.clock + self.clock_error)

    def _install_worker(self) -> None:
        kernel, put, world = self.kernel, self._patch.setattr, self

        class OwnRegistry(ChaosRegistry):
            pass

        class SimulatedBroker(Broker):
            def send(self, task: str, args: tuple[Any, ...], queue: str) -> None:
                world.queues.send(task, args, queue)

        class Sender:
            def __init__(self, _settings: Settings) -> None:
                """Without a thread."""

            def wake_start(self, key: Any) -> None:
                if not world.queues.away:
                    world.queues.send(broker.START_TASK, (key.job, key.attempt), host_queue(key.host))

        OwnRegistry.kernel, OwnRegistry.shared = kernel, self.registry
        self.own_registry = OwnRegistry
        put(engine, "Registry", OwnRegistry)
        put(worker_main, "Registry", OwnRegistry)
        put(worker_main, "News", partial(WorkerNews, kernel))
        put(worker_main, "Consumer", self._consumer)
        put(worker_main, "_stop_on_signals", self._stop_on_signals)
        put(worker_main, "_watch_of", lambda *_arguments: self)
        put(own_devices, "host_devices", lambda _settings, _count: self._look())
        put(hosts, "_refuse_second_host", lambda _session, _name: None)
        put(rounds, "Sender", Sender)
        put(broker, "Broker", SimulatedBroker)

    def _look(self) -> HostDevices:
        chips = self.devices[self.kernel.me().host]
        return HostDevices(
            tuple(Device(number, ASCEND_CHIP, "chip", chips[number], "910B") for number in sorted(chips))
        )

    def looks(self) -> list[HostDevices]:
        """In place of the watch that looks again and again at the host's devices; what is as before is left out."""
        me = self.kernel.me()
        healthy = all(health == HEALTHY for health in self.devices[me.host].values())
        if healthy and me.pid in self._healthy:
            return []
        (self._healthy.add if healthy else self._healthy.discard)(me.pid)
        return [self._look()]

    def _consumer(self, settings: Settings, news: Any) -> Any:
        tasks, me = Tasks(), self.kernel.me()
        register_tasks(tasks, settings.host_name, news)

        class Consumer:
            def start(_self) -> None:  # noqa: N805 - the world is self here
                self._consumers[me.pid] = tasks

        return Consumer()

    def _stop_on_signals(self, news: Any) -> None:
        self.kernel.me().handlers[signal.SIGTERM] = news.stop

    def _work(self, process: Process) -> int:
        settings = self._settings[process.host]
        try:
            worker_main.run_worker(settings, None)
        except errors.ErfnetJobsError as error:
            return error.exit_code
        return 0

    def _supervise(self, command: Sequence[str], env: Mapping[str, str]) -> int:
        folder, *address = command[command.index(start.SUPERVISOR) + 1 :]
        plan = read_plan(Path(folder, PLAN_NAME))
        scheduler = None
        if address:
            host, _, port = address[0].rpartition(":")
            scheduler = (host, int(port))
        supervisor.Supervisor(plan, load_settings(environ=env), scheduler).run()
        return 0

    def _rank_started(self, process: Process, command: Sequence[str], environ: Mapping[str, str]) -> None:
        if process.kind == "rank":
            self.ranks[process.pid] = Rank(self.kernel, process, Path(command[-1]), environ)

    # What people and the world do.

    def submit(self, cards: int, **request: Any) -> int:
        """A small training; its id."""
        spec = TrainSpec(str(self.data), cards=cards, epochs=(2, 1, 1, 1))
        with self.registry.write() as session:
            job = submit_job(session, Request(spec, **request), ALICE).id
        self._tell(lambda sender: sender.wake_place(job, JobKind.TRAIN))
        return job

    def cancel(self, job: int) -> None:
        """As the command does: a wish, and messages to all hosts it may be on."""
        with self.registry.write() as session:
            request_cancel(session, job, ALICE)
        for host in self.devices:
            self._tell(lambda sender, host=host: sender.wake_cancel(job, 1, host))

    def drain(self, host: str, drained: bool) -> None:
        with self.registry.write() as session:
            set_drained(session, host, drained, ALICE)

    def cordon(self, host: str, device: int, reason: str | None) -> None:
        with self.registry.write() as session:
            set_cordon(session, host, [device], reason, ALICE)

    def _tell(self, say: Any) -> None:
        if not self.queues.away:
            say(broker.Broker("redis://nowhere"))

    def deliver(self, message: tuple[str, str, tuple[Any, ...]], host: str) -> None:
        """To the worker of that host, if it lives and consumes the queue."""
        queue, task, args = message
        for worker in self.kernel.living(host, "worker"):
            if queue in queues_of(host) and worker.pid in self._consumers:
                self._consumers[worker.pid].by_name[task](*args)

    def start_worker(self, host: str) -> None:
        """Start one; where one runs already, the second ends by itself."""
        process = self.kernel.spawn(host, "worker", self._work)
        process.on_end.append(lambda: self._consumers.pop(process.pid, None))

    def power_cut(self, host: str) -> None:
        """All processes of a host are gone at once, whatever they wait for."""
        for process in self.kernel.living(host):
            process.unkillable = False
            self.kernel.send(process, signal.SIGKILL)

    # Whose turn it is.

    def bodies(self) -> list[Process]:
        """The living workers and supervisors that are not stopped."""
        return [process for process in self.kernel.living() if process.body is not None and not process.paused]

    def living_ranks(self) -> list[Rank]:
        return [rank for rank in self.ranks.values() if rank.process.alive]

    def round_of(self, process: Process) -> None:
        """All turns of a process until it sleeps."""
        process.wake_at = self.kernel.clock
        for _ in range(500):
            if not process.alive or process.wake_at > self.kernel.clock:
                return
            self.kernel.run(process)
        raise AssertionError(f"{process} never sleeps")

    def fair_round(self, acts: int = 2) -> None:
        """Everybody gets what a beat's time is enough for; then that time has passed."""
        for process in self.bodies():
            self.round_of(process)
        for rank in self.living_ranks():
            for _ in range(acts):
                rank.act()
        self.kernel.advance(BEAT)

    def heal(self) -> None:
        """The end of all faults: everything is up, and nobody keeps anything from anybody."""
        self.own_registry.away = self.queues.away = False
        self.queues.messages.clear()
        for process in self.kernel.living():
            process.paused = process.unkillable = process.deaf = False
            process.faults.clear()
        for rank in self.living_ranks():
            rank.hangs = False
        for host, chips in self.devices.items():
            self.drain(host, False)
            for number in chips:
                chips[number] = HEALTHY
        with self.registry.read() as session:
            users = session.execute(select(Chip.host_name, Chip.id).where(Chip.cordoned == USERS_REASON)).all()
        for host, number in users:
            self.cordon(host, number, None)

    def start_missing_workers(self) -> None:
        """What systemd does."""
        for host in sorted(self.devices.keys() - {self.gone}):
            if not any(self.kernel.living(host, "worker")):
                self.start_worker(host)

    def close(self) -> None:
        """End everything, and put the real operating system back."""
        self.kernel.close()
        self._patch.undo()
        self.registry.close()
