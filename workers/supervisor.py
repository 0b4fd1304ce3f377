"""The process that owns an attempt's ranks on one host: `python -m workers.supervisor RUN_DIR [HOST:PORT]`.

It starts the ranks first, with the standard library alone, and opens the registry then. It outlives its worker and
never needs Redis. Its ranks never outlive it: their lifelines end with it.
"""

import errno
import logging
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from erfnet_jobs.errors import DiskFull, ErfnetJobsError, RanksFailed
from erfnet_jobs.launch.gang import LOOPBACK, PLAN_NAME, Gang
from erfnet_jobs.launch.verdict import GangResult
from erfnet_jobs.launch.watch import GangWatch
from erfnet_jobs.plan import Plan, read_plan
from erfnet_jobs.settings import Settings, load_settings
from erfnet_jobs.states import Outcome

if TYPE_CHECKING:
    from workers.course import Course, Synced

log = logging.getLogger("workers.supervisor")

STEP_SECONDS = 0.2
# Between two round trips at least, whatever the ranks report.
PAUSE_SECONDS = 0.5
# Between two looks whether the other hosts of a gang go on: a rank that died there ends those here.
PEEK_SECONDS = 0.4
# Between two looks at a registry that does not answer.
RETRY_SECONDS = 1.0


class Supervisor:
    """One part of an attempt, from its ranks' start to its end in the registry."""

    def __init__(self, plan: Plan, settings: Settings, scheduler: tuple[str, int] | None) -> None:
        self._alone = all(place.host == settings.host_name for place in plan.ranks)
        address = LOOPBACK if self._alone else settings.host_address
        self._plan = plan
        self._settings = settings
        self._gang = Gang(plan, settings.host_name, scheduler=scheduler, address=address)
        self._stopping = False
        self._asked = False
        self._trouble: str | None = None
        self._synced_at = self._peeked_at = -float("inf")
        self._address_to_tell: tuple[str, int] | None = None

    def run(self) -> None:
        """Run the part to its end."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGUSR1, self._ask)
        try:
            failed = self._start()
            if self._gang.leads:
                self._address_to_tell = self._gang.scheduler
            course = self._open_registry()
            result = failed or self._follow(course)
            self._tell_end(course, result)
        finally:
            self._gang.kill(grace=0)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True

    def _start(self) -> GangResult | None:
        try:
            self._gang.start()
        except (OSError, ErfnetJobsError) as error:
            return _not_started(error, self._plan.run_dir)
        log.info("ranks started: %s, rank table: %s", self._gang.pids, self._plan.rank_table or "none")
        return None

    def _open_registry(self) -> "Course":
        from erfnet_jobs.registry.engine import Registry
        from workers.course import Course

        return Course(self._plan, self._settings, Registry(self._settings.resolved_database_url))

    def _follow(self, course: "Course") -> GangResult:
        settings = self._settings
        watch = GangWatch(self._gang, settings.stuck_timeout, compile_timeout=settings.compile_timeout)
        while watch.result is None:
            # Its lines are not kept: the records read the files themselves, from where the registry says.
            watch.step(STEP_SECONDS)
            if self._stopping:
                watch.cancel(Outcome.LOST, "its supervisor was told to stop")
            elif self._is_due(course):
                self._obey(watch, self._round_trip(partial(self._sync, course)))
            elif self._may_peek():
                self._obey(watch, self._round_trip(course.peek))
        return watch.result

    def _is_due(self, course: "Course") -> bool:
        """Every beat; sooner until the ranks are known to run, and when asked."""
        now = time.monotonic()
        interval = self._settings.beat_interval
        if not course.is_running:
            interval = min(interval, PAUSE_SECONDS)
        if now - self._synced_at < interval and not self._asked:
            return False
        self._asked = False
        self._synced_at = now
        return True

    def _may_peek(self) -> bool:
        """Between two beats, where other hosts have ranks too."""
        now = time.monotonic()
        if self._alone or now - max(self._synced_at, self._peeked_at) < PEEK_SECONDS:
            return False
        self._peeked_at = now
        return True

    def _sync(self, course: "Course") -> "Synced":
        if self._address_to_tell is not None:
            course.publish(self._address_to_tell)
            self._address_to_tell = None
        return course.sync()

    def _round_trip(self, ask: "Callable[[], Synced]") -> "Synced | None":
        """Ask the registry; None while it does not answer: the ranks go on."""
        try:
            synced = ask()
        except ErfnetJobsError as error:
            # Also while its disk is full, or somebody upgrades or restores it: ranks that run are worth waiting for it.
            self._note(str(error))
            return None
        except Exception as error:
            # Where that lasts, the lease stands still, and a worker ends the attempt.
            if repr(error) != self._trouble:
                log.exception("unexpected; the ranks go on")
            self._trouble = repr(error)
            return None
        self._note(None)
        return synced

    def _obey(self, watch: GangWatch, synced: "Synced | None") -> None:
        if synced is None:
            return
        if synced.wants_cancel:
            watch.cancel(Outcome.CANCELLED, "cancelled by the user")
        elif synced.is_over:
            watch.cancel(Outcome.LOST, "its lease is gone, or the attempt has ended on another host")

    def _tell_end(self, course: "Course", result: GangResult) -> None:
        log.info("the ranks have ended: %s%s", result.outcome, f" ({result.message})" if result.message else "")
        while not self._told(course, result):
            if self._stopping:
                log.warning("told to stop before the registry could be told the end: the attempt will count as lost")
                return
            time.sleep(RETRY_SECONDS)
        try:
            course.wake_workers()
        except ErfnetJobsError as error:
            log.warning("%s; workers look by themselves", error)

    def _told(self, course: "Course", result: GangResult) -> bool:
        try:
            course.end(result)
        except ErfnetJobsError as error:
            self._note(str(error))
            return False
        return True

    def _note(self, trouble: str | None) -> None:
        if trouble is not None and trouble != self._trouble:
            log.error("%s; the ranks go on", trouble)
        elif trouble is None and self._trouble is not None:
            log.info("the registry answers again")
        self._trouble = trouble


def _not_started(error: OSError | ErfnetJobsError, run_dir: str) -> GangResult:
    kind: type[ErfnetJobsError]
    if isinstance(error, ErfnetJobsError):
        kind, message = type(error), str(error)
    elif error.errno in {errno.ENOSPC, errno.EDQUOT}:
        kind = DiskFull
        message = f"no space left below {run_dir}: free some, or set ERFNET_JOBS_RUNS elsewhere"
    else:
        kind, message = RanksFailed, f"the ranks could not be started: {error}"
    return GangResult(Outcome.FAILED, error=kind.__name__, message=message, permanent=kind.permanent)


def main() -> None:
    """Supervise the part of this host in the run folder that is named."""
    line = "%(asctime)s %(levelname)-7s %(message)s"
    logging.basicConfig(level=logging.INFO, format=line, stream=sys.stderr)
    plan = read_plan(Path(sys.argv[1], PLAN_NAME))
    scheduler = None
    if len(sys.argv) > 2:
        host, _, port = sys.argv[2].rpartition(":")
        scheduler = (host, int(port))
    Supervisor(plan, load_settings(), scheduler).run()


if __name__ == "__main__":
    main()
