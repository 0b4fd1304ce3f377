"""The rounds of a worker: everything that a message may ask for, done whether or not one comes.

One thread does it all: beat, look after attempts, place, start. With each beat the worker asks the registry for its own
parts; what concerns all hosts it does in turn with the other workers (`workers.pace`); and all at once when there is
news.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from erfnet_jobs.client.draining import Drain, Drained
from erfnet_jobs.errors import AlreadyRunning, ErfnetJobsError
from erfnet_jobs.launch.gang import PLAN_NAME
from erfnet_jobs.local.systemd import Systemd
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.hosts import beat_host
from erfnet_jobs.registry.parts import HeldPart, held_parts
from erfnet_jobs.settings import Settings
from erfnet_jobs.states import PartState
from workers import reaper
from workers.aftermath import supervisor_ended
from workers.children import Supervisors
from workers.lookout import Lookout
from workers.news import News
from workers.own_devices import OwnDevices
from workers.pace import Pace, seconds_between_passes
from workers.placing import Sweep, pass_once
from workers.sender import Sender
from workers.start import claim_part, start_part
from workers.tally import Tally

log = logging.getLogger(__name__)

ROUND_SECONDS = 1.0
SHOWN_JOBS = 8


class Rounds:
    """The rounds of the worker of one host. `instance` tells this run of it from others."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        instance: str,
        news: News,
        devices: OwnDevices,
        clock: Callable[[], float] = time.monotonic,
        *,
        supervisors: Supervisors | None = None,
        tally: Tally | None = None,
        systemd: Systemd | None = None,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._instance = instance
        self._news = news
        self._devices = devices
        self._supervisors = supervisors or Supervisors()
        self._sender = Sender(settings)
        self._tally = tally or Tally()
        self._systemd = systemd or Systemd({})
        self._clock = clock
        self._lookout = Lookout(registry, settings, clock)
        self._passes = Pace(clock)
        self._sweep = Sweep()
        self._drain = Drain(settings.host_name, log.info) if news.draining else None
        self._parts: list[HeldPart] | None = None
        self._jobs: tuple[int, ...] = ()
        self._told = self._room = True
        self._next_beat = clock()
        self._trouble: str | None = None
        self._unexpected: str | None = None
        self._well = True

    def run(self) -> None:
        """Make rounds until told to stop, or the drained host is empty.

        Raises AlreadyRunning when another worker takes the host over.
        """
        while not self._news.stopping and not self._is_drained():
            self._round()
            # A round that hangs tells nobody that it is alive; one that the registry has failed does.
            self._systemd.alive(self._status())
            self._told |= self._news.wait(min(ROUND_SECONDS, self._settings.beat_interval))

    def _status(self) -> str:
        """What a person who looks at the service wants to know; 'now' would change too often to be told."""
        shown = ", ".join(map(str, self._jobs[:SHOWN_JOBS])) + (", …" if len(self._jobs) > SHOWN_JOBS else "")
        here = f"jobs here: {shown}" if self._jobs else "no job here"
        trouble = "; the registry does not answer" if self._trouble else ""
        return f"{self._devices.told}; {here}{'; draining' if self._news.draining else ''}{trouble}"

    def _round(self) -> None:
        self._well = True
        try:
            for step in (self._beat, self._nudge, self._reap, self._devices.renew, self._place, self._look_after_own):
                self._take(step)
        except AlreadyRunning:
            raise
        except ErfnetJobsError as error:
            # The registry, most likely; what runs goes on, and the next round tries again.
            if str(error) != self._trouble:
                log.error("%s", error)  # noqa: TRY400 - the message stands on its own
            self._trouble = str(error)
            self._well = False
        else:
            if self._trouble is not None:
                log.info("the registry answers again")
            self._trouble = None
        self._tally.round_ended(well=self._well)

    def _take(self, step: Callable[[], None]) -> None:
        """One step of a round; what nobody expected there must not keep the others from theirs."""
        try:
            step()
        except ErfnetJobsError:
            raise
        except Exception as error:
            if repr(error) != self._unexpected:
                log.exception("unexpected, in %s; the rounds go on", step.__name__)
            self._unexpected = repr(error)
            self._well = False

    def _is_drained(self) -> bool:
        if self._drain is None or self._trouble is not None:
            return False
        try:
            with self._registry.read() as session:
                state = self._drain.look(session)
        except ErfnetJobsError:
            return False  # the round that follows tells it
        if state is Drained.RESUMED:
            log.info("the host has been resumed: this worker goes on")
            self._drain, self._news.draining = None, False
        return state is Drained.EMPTY

    def _nudge(self) -> None:
        for key in self._news.cancelled():
            reaper.nudge(self._registry, key)

    def _beat(self) -> None:
        if self._clock() < self._next_beat:
            return
        with self._registry.write() as session:
            ours = beat_host(session, self._settings.host_name, self._instance)
            self._parts = held_parts(session, self._settings.host_name)
        if not ours:
            # Somebody has upgraded the registry: until that is mended, every round ends here.
            self._registry.check_version()
            raise AlreadyRunning(
                f"another worker has registered as host {self._settings.host_name!r}: stop one of them, "
                "or give them different names with ERFNET_JOBS_HOST_NAME"
            )
        self._next_beat = self._clock() + self._settings.beat_interval
        if self._lookout.is_due and self._lookout.look():
            self._news.tell()

    def _reap(self) -> None:
        for key, how in self._supervisors.ended().items():
            if supervisor_ended(self._registry, key, how, self._settings):
                log.warning("job %d, attempt %d is lost: its supervisor ended %s", key.job, key.attempt, how)
            # Only now: while the registry cannot be written, the next round is to try again.
            self._supervisors.forget(key)
            self._news.tell()

    def _place(self) -> None:
        self._room |= self._news.room()
        if self._news.stopping or not (self._room or self._passes.is_due):
            return
        settings, silent, began = self._settings, self._lookout.silent, self._tally.now()
        keys = pass_once(self._registry, settings.runs, silent, reserve_after=settings.reserve_after, sweep=self._sweep)
        self._tally.pass_ended(began, len({key.job for key in keys}))
        for key in keys:
            log.info("job %d, attempt %d: assigned to %s", key.job, key.attempt, key.host)
            if key.host != settings.host_name:
                self._sender.wake_start(key)
            else:
                self._told = True
        self._room = self._sweep.is_unfinished
        self._passes.again_within(seconds_between_passes(self._lookout.workers))

    def _look_after_own(self) -> None:
        if self._told:
            with self._registry.read() as session:
                self._parts = held_parts(session, self._settings.host_name)
        parts, self._parts = self._parts, None
        if parts is not None:
            self._jobs = tuple(sorted({part.key.job for part in parts}))
        for part in parts or ():
            try:
                self._look_after(part)
            except ErfnetJobsError:
                raise
            except Exception as error:
                log.exception("job %d, attempt %d: unexpected, it is given up", part.key.job, part.key.attempt)
                reaper.give_up(self._registry, part, error, self._settings)
        # The host of rank 0 tells nobody when its scheduler listens: parts that wait for that are looked at each round.
        self._told = any(part.state == PartState.ASSIGNED and part.first_rank > 0 for part in parts or ())

    def _look_after(self, part: HeldPart) -> None:
        if part.ended:
            # While its lease stands its supervisor is about to end it, or about to be declared lost.
            if not part.leased and reaper.clear_if_gone(self._registry, part):
                self._news.tell()
        elif loss := self._devices.loss(part):
            reaper.end_without_device(self._registry, part, loss, self._settings)
            self._news.tell()
        elif part.state == PartState.ASSIGNED:
            if part.cancelled:
                reaper.cancel_assigned(self._registry, part)
                self._news.tell()
            elif not self._news.stopping and (part.first_rank == 0 or _ready(part)):
                self._start(part)
        elif part.cancelled and part.leased and not reaper.nudge(self._registry, part.key):
            # Nobody is left to read the wish, and a lease takes long to be found standing still.
            supervisor_ended(self._registry, part.key, "without a word", self._settings)
            self._news.tell()

    def _start(self, part: HeldPart) -> None:
        claimed = claim_part(self._registry, part, self._settings)
        process = start_part(claimed, self._registry, self._settings) if claimed else None
        key = part.key
        if process is None:
            log.warning("job %d, attempt %d: not started here; the registry says why", key.job, key.attempt)
            self._news.tell()
            return
        self._supervisors.add(key, process)
        log.info("job %d, attempt %d: supervisor %d started", key.job, key.attempt, process.pid)


def _ready(part: HeldPart) -> bool:
    """Whether the host of rank 0 has started its part, and this host sees its plan."""
    try:
        return part.scheduler is not None and Path(part.run_dir, PLAN_NAME).exists()
    except OSError as error:
        log.warning("%s cannot be read here yet (%s)", part.run_dir, error.strerror)
        return False
