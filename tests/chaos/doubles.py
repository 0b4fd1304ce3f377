"""What stands in for the operating system in the product's modules: processes, signals, time and the queues.

Everything above them is the product's own: `run_worker`, its rounds, `Supervisor`, `Gang`, `GangWatch`, records.
"""

import os
import signal as signals
import time as real_time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy.orm import Session

from erfnet_jobs.ascend.environment import ATTEMPT_MARK
from erfnet_jobs.errors import BrokerUnreachable, RegistryUnreachable
from erfnet_jobs.launch.children import Child, Death
from erfnet_jobs.registry.engine import Registry
from tests.chaos.kernel import Kernel, Killed, Process
from workers.news import News


class Time:
    """In place of the module `time`."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.sleep = kernel.give_way
        # What ranks write carries the real time, and deaths are compared with it.
        self.time = real_time.time

    def monotonic(self) -> float:
        return self._kernel.clock


class Popen:
    """A started process as its parent sees it."""

    def __init__(self, process: Process) -> None:
        self.pid = process.pid
        self._process = process

    def poll(self) -> int | None:
        return self._process.code

    def wait(self, timeout: float | None = None) -> int:
        assert self._process.code is not None, "a wait would last for ever"
        return self._process.code


class Processes:
    """The functions through which the product sees, starts and ends processes."""

    def __init__(self, kernel: Kernel, supervise: Callable[[Sequence[str], Mapping[str, str]], int]) -> None:
        self._kernel = kernel
        self._supervise = supervise

    def start_supervisor(self, command: Sequence[str], *, env: Mapping[str, str], **_options: Any) -> Popen:
        """In place of subprocess.Popen in the worker."""
        kernel = self._kernel
        host = kernel.me().host
        process = kernel.spawn(host, "supervisor", lambda _: self._supervise(command, env), env[ATTEMPT_MARK])
        kernel.give_way()
        return Popen(process)

    def start_child(
        self,
        rank: int | None,
        command: Sequence[str],
        environ: Mapping[str, str],
        log: Path,
        cwd: Path,
        lifeline: tuple[int, int],
    ) -> Child:
        """A rank or MindSpore's scheduler; `world` lets ranks play their scripts."""
        kernel, me = self._kernel, self._kernel.me()
        log.touch()
        process = kernel.spawn(me.host, "scheduler" if rank is None else "rank", None, environ[ATTEMPT_MARK], me)
        self.on_start(process, command, environ)
        return _Child(rank, Popen(process), -1, -1)  # type: ignore[arg-type]  # ours, not subprocess's

    def on_start(self, process: Process, command: Sequence[str], environ: Mapping[str, str]) -> None:
        """To be replaced: a rank has been started."""

    def left(self, mark: str) -> list[int]:
        """In place of processes_with_mark."""
        me = self._kernel.me()
        return [process.pid for process in self._kernel.living(me.host) if process.mark == mark and process is not me]

    def kill_marked(self, mark: str, _timeout: float = 0.0) -> list[int]:
        for pid in self.left(mark):
            self._kernel.send(self._kernel.processes[pid], signals.SIGKILL)
        return self.left(mark)

    def has_mark(self, pid: int, mark: str) -> bool:
        process = self._kernel.processes.get(pid)
        return process is not None and process.alive and process.mark == mark

    def in_groups(self, groups: Sequence[int]) -> list[int]:
        self._kernel.me()
        return [pid for pid in groups if self._kernel.processes[pid].alive]

    def signal_group(self, group: int, number: int) -> None:
        self._kernel.me()
        self._kernel.send(self._kernel.processes[group], number)

    def wait_until_gone(self, left: Callable[[], list[int]], timeout: float) -> list[int]:
        if left() and timeout > 0:
            self._kernel.give_way(timeout)
        return left()

    def pidfd_open(self, pid: int) -> int:
        process = self._kernel.processes.get(pid)
        if process is None or not process.alive:
            raise ProcessLookupError(pid)
        return pid

    def getpid(self) -> int:
        return self._kernel.me().pid

    def send(self, pid: int, number: int) -> None:
        self._kernel.me()
        self._kernel.send(self._kernel.processes[pid], number)

    def on_signal(self, number: int, handler: Callable[[int, Any], None]) -> None:
        """In place of signal.signal."""
        self._kernel.me().handlers[number] = lambda: handler(number, None)


class _Child(Child):
    def release(self) -> None:
        self.process.wait()

    def release_killed(self) -> None:
        self.release()


class DeathWatch:
    """As the launcher's, without its thread: asked, it looks."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._children: dict[int, Child] = {}
        self._deaths: list[Death] = []

    def start(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

    def add(self, child: Child) -> None:
        self._children[child.process.pid] = child

    def deaths(self) -> list[Death]:
        self._kernel.me()
        for pid, child in list(self._children.items()):
            code = self._kernel.processes[pid].code
            if code is not None:
                del self._children[pid]
                exit_code, number = (code, None) if code >= 0 else (None, -code)
                self._deaths.append(Death(child.rank, real_time.monotonic(), exit_code, number))
        return list(self._deaths)

    def wait(self, known: int, timeout: float) -> bool:
        if len(self.deaths()) <= known and timeout > 0:
            self._kernel.give_way(timeout)
        return len(self.deaths()) > known


class WorkerNews(News):
    """The news of a simulated worker: it waits by the simulated clock."""

    def __init__(self, kernel: Kernel, *, draining: bool) -> None:
        super().__init__(draining=draining)
        self._kernel = kernel
        self._owner = kernel.me()
        self._owner.on_end.append(lambda: os.close(self._fd))

    def tell(self, *, room: bool = True) -> None:
        super().tell(room=room)
        self._owner.wake_at = self._kernel.clock

    def wait(self, seconds: float) -> bool:
        self._kernel.give_way(0.0 if self._poll.poll(0) else seconds)
        return super().wait(0)


class ChaosRegistry(Registry):
    """The registry of one process, which may be killed before and after each transaction, and whose writes may fail.

    Faults: 'away' (nothing is sent), 'before' and 'after' (the answer is lost before or after the commit), 'die' (the
    process is killed before the commit).
    """

    kernel: Kernel
    shared: Registry
    away = False

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        # Compiling the statements for each process anew would take a third of a run.
        self._engine, self._write_engine = self.shared._engine, self.shared._write_engine

    def close(self) -> None:
        """Others use the connections still."""

    def _fault(self) -> str | None:
        me = self.kernel.me()
        if type(self).away:
            return "away"
        return me.faults.pop(0) if me.faults else None

    @contextmanager
    def read(self) -> Any:
        me = self.kernel.me()
        self.kernel.give_way()
        if type(self).away:
            raise RegistryUnreachable("the simulated registry is away")
        me.in_transaction = True
        try:
            with super().read() as session:
                yield session
        finally:
            me.in_transaction = False

    @contextmanager
    def write(self) -> Any:
        me = self.kernel.me()
        self.kernel.give_way()
        fault = self._fault()
        if fault == "away":
            raise RegistryUnreachable("the simulated registry is away")
        me.in_transaction = True
        try:
            with super().write() as session:
                yield session
                self._fail(session, fault)
        finally:
            me.in_transaction = False
        if fault == "after":
            raise RegistryUnreachable("the simulated registry's answer was lost after the commit")
        self.kernel.give_way()

    def _fail(self, session: Session, fault: str | None) -> None:
        session.flush()
        if fault == "before":
            raise RegistryUnreachable("the simulated registry went away before the commit")
        if fault == "die":
            self.kernel.me().doomed = True
            raise Killed


class Queues:
    """Redis: what was sent and not delivered. It promises nothing."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str, tuple[Any, ...]]] = []
        self.away = False

    def send(self, task: str, args: tuple[Any, ...], queue: str) -> None:
        if self.away:
            raise BrokerUnreachable("the simulated broker is away")
        self.messages.append((queue, task, args))


class Tasks:
    """In place of a Celery app: keeps the functions of tasks by name."""

    def __init__(self) -> None:
        self.by_name: dict[str, Callable[..., None]] = {}

    def task(self, *, name: str, **_options: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
        def keep(function: Callable[..., None]) -> Callable[..., None]:
            self.by_name[name] = function
            return function

        return keep


def namespace(module: Any, **replaced: Any) -> SimpleNamespace:
    """A module with some of its names replaced, for one importer only."""
    return SimpleNamespace(**{**vars(module), **replaced})
