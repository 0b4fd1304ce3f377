"""A simulated kernel: one clock, the processes of all hosts, who of them runs, and signals. Wholly deterministic.

Workers and supervisors are greenlets that run the product's own `main` code. They give way only where the real ones
would wait or touch the world: before and after each transaction, where they sleep, when they start a process. So each
run of one of them goes on to the next such place, and SIGKILL can strike at any of them.
"""

import itertools
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from greenlet import getcurrent, greenlet

# No real process has such an id: what escapes the simulation finds nobody.
FIRST_PID = 10_000_000
ORPHAN_SECONDS = 1.0


class Killed(BaseException):
    """SIGKILL: nothing of the product catches it, and what unwinds can do nothing any more."""


@dataclass(eq=False)
class Process:
    """A process of a simulated host. `code` is as Popen's; a `paused` one got SIGSTOP; an `unkillable` one waits in the
    kernel; a `deaf` one ignores SIGTERM. `mark` is the attempt's; `parent` is whose end its lifeline notices."""

    pid: int
    host: str
    kind: str
    mark: str | None = None
    parent: "Process | None" = None
    body: greenlet | None = None
    code: int | None = None
    paused: bool = False
    deaf: bool = False
    unkillable: bool = False
    doomed: bool = False
    wake_at: float = 0.0
    orphaned_at: float | None = None
    in_transaction: bool = False
    faults: list[str] = field(default_factory=list)
    handlers: dict[int, Callable[[], None]] = field(default_factory=dict)
    signals: list[int] = field(default_factory=list)
    on_end: list[Callable[[], None]] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        return self.code is None

    def __str__(self) -> str:
        return f"{self.kind} {self.pid - FIRST_PID} of {self.host}"


class Kernel:
    """The clock in seconds, and all processes that ever were."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.processes: dict[int, Process] = {}
        self.current: Process | None = None
        self._pids = itertools.count(FIRST_PID)
        self._hub = getcurrent()

    def spawn(
        self,
        host: str,
        kind: str,
        main: Callable[[Process], int] | None = None,
        mark: str | None = None,
        parent: Process | None = None,
    ) -> Process:
        """A new process; one with `main` gets its turns from `run`."""
        process = Process(next(self._pids), host, kind, mark, parent, wake_at=self.clock)
        self.processes[process.pid] = process
        if main is not None:
            process.body = greenlet(lambda: self._main(process, main))
        return process

    def _main(self, process: Process, main: Callable[[Process], int]) -> None:
        try:
            code = main(process)
        except Killed:
            code = -signal.SIGKILL
        self._ended(process, code)

    def run(self, process: Process) -> None:
        """One turn: until it gives way next. What nobody in it catches comes out here."""
        if not process.alive or process.paused or process.body is None:
            return
        before, self.current = self.current, process
        try:
            process.body.switch()
        finally:
            self.current = before

    def me(self) -> Process:
        """The process whose turn it is; a dead one gets no further."""
        process = self.current
        assert process is not None, "only processes ask that"
        if process.doomed:
            raise Killed
        return process

    def give_way(self, seconds: float = 0.0) -> None:
        """Let others go on; the turn comes back, after `seconds` in a fair world."""
        process = self.me()
        if process.in_transaction:
            return
        process.wake_at = self.clock + seconds
        before = self.current
        self._hub.switch()
        self.current = before
        self.me()
        while process.signals:
            if handler := process.handlers.get(process.signals.pop(0)):
                handler()

    def send(self, process: Process, number: int) -> None:
        """A signal, as kill(2)."""
        if not process.alive:
            return
        if number == signal.SIGKILL:
            self._kill(process, number)
        elif number == signal.SIGSTOP:
            process.paused = True
        elif number == signal.SIGCONT:
            process.paused = False
        elif process.body is not None:
            process.signals.append(number)
            process.wake_at = self.clock
        elif not process.deaf:
            self._kill(process, number)

    def _kill(self, process: Process, number: int) -> None:
        if process.unkillable:
            return
        if process.body is not None and not process.body.dead:
            process.doomed = True
            if process.body:  # it has begun
                self._unwind(process)
        if process.alive:
            self._ended(process, -number)

    def _unwind(self, process: Process) -> None:
        assert process.body is not None
        if process.body is getcurrent():
            raise Killed
        before, self.current = self.current, process
        process.body.parent = getcurrent()
        try:
            process.body.throw(Killed)
        finally:
            self.current = before

    def exits(self, process: Process, code: int) -> None:
        """A process without a body ends by itself."""
        self._ended(process, code)

    def _ended(self, process: Process, code: int) -> None:
        process.code = code
        process.doomed = True
        for call in process.on_end:
            call()
        for child in self.living():
            if child.parent is process:
                child.orphaned_at = self.clock + ORPHAN_SECONDS

    def living(self, host: str | None = None, kind: str | None = None) -> Iterator[Process]:
        """The living processes, oldest first."""
        for process in list(self.processes.values()):
            if process.alive and host in (None, process.host) and kind in (None, process.kind):
                yield process

    def advance(self, seconds: float) -> None:
        """Let time pass; ranks whose supervisor is gone notice it."""
        self.clock += seconds
        for process in list(self.living()):
            if process.orphaned_at is not None and self.clock >= process.orphaned_at:
                self.send(process, signal.SIGKILL)

    def close(self) -> None:
        """End all bodies."""
        for process in list(self.living()):
            process.unkillable = False
            self.send(process, signal.SIGKILL)
