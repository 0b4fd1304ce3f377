"""Reading what a gang reports, and judging how it ends; step by step, for supervisors and for `run`. Stdlib only.

    gang.start()
    watch = GangWatch(gang, stuck_timeout=1800)
    while watch.result is None:
        for line in watch.step(timeout=1.0):     # returns early when a rank reports or dies
            ...                                  # line.rank, line.report (None: malformed), line.offset
        if wish_to_cancel:
            for line in watch.cancel(Outcome.CANCELLED, "cancelled by ..."):   # what was written up to the end
                ...

When `result` is set nothing of the gang is left but what `result.left` names, and all lines have been given. A step
takes `timeout`, or when it ends the gang some seconds more. Deaths are timed by a thread of the gang, so a caller that
steps late still blames the right rank.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from erfnet_jobs.launch.children import Death
from erfnet_jobs.launch.gang import GRACE, Gang
from erfnet_jobs.launch.landing import misplaced
from erfnet_jobs.launch.stillness import Stillness
from erfnet_jobs.launch.tail import tail
from erfnet_jobs.launch.verdict import (
    GangResult,
    Said,
    failure_of,
    first_to_fail,
    is_victim,
    landed_elsewhere,
    peers_lost,
    scheduler_failure,
    timed_out,
)
from erfnet_jobs.reports import CheckpointWritten, Done, Failed, Hello, MalformedReport, Report, decode, read_lines
from erfnet_jobs.states import Outcome

POLL_INTERVAL = 0.1
# Seconds that a rank has to end after it said that it failed.
EXIT_PATIENCE = 5.0
# Seconds in which the death shows that made another rank's collective fail, here or on another host.
VICTIM_PATIENCE = 1.0
# Seconds after this host's ranks are done in which those of other hosts may still need the scheduler.
SCHEDULER_PATIENCE = 3.0
LAST_LINES = 20
MAX_LINE = 1 << 20


@dataclass(frozen=True)
class ReportLine:
    """A whole line of a rank's file. `offset` is the byte after it; `report` is None where `problem` says why."""

    rank: int
    offset: int
    raw: bytes
    report: Report | None
    problem: str | None = None


class Patience:
    """Lasts for some seconds from when it is first asked for."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end: float | None = None

    def lasts(self) -> bool:
        """Whether to wait still."""
        if self._end is None:
            self._end = time.monotonic() + self._seconds
        return time.monotonic() < self._end


class GangWatch:
    """Watches a started gang. Times are seconds.

    `stuck_timeout`: how long neither this host's ranks nor rank 0 may report anything; `compile_timeout`: the same
    before the first step and while rank 0 compiles (None: no longer). `grace`: between SIGTERM and SIGKILL when it ends
    the gang.
    """

    def __init__(
        self, gang: Gang, stuck_timeout: float, grace: float = GRACE, *, compile_timeout: float | None = None
    ) -> None:
        self.gang = gang
        self.result: GangResult | None = None
        self._stillness = Stillness(stuck_timeout, stuck_timeout if compile_timeout is None else compile_timeout)
        self._grace = grace
        self._offsets = dict.fromkeys({0, *gang.ranks}, 0)
        self._done: set[int] = set()
        self._said: dict[int, Said] = {}
        self._misplaced: GangResult | None = None
        self._has_checkpoints = gang.plan.resume is not None
        self._started_at = time.monotonic()
        self._exit_patience = Patience(EXIT_PATIENCE)
        self._victim_patience = Patience(VICTIM_PATIENCE)
        self._scheduler_patience = Patience(SCHEDULER_PATIENCE)

    def step(self, timeout: float) -> list[ReportLine]:
        """New lines of all ranks, as soon as there are any, a process dies, or `timeout` seconds have passed."""
        if self.result is not None:
            return []
        deadline = time.monotonic() + timeout
        while True:
            # Deaths first: what a dead rank wrote is then all there to read.
            deaths = self.gang.deaths()
            lines = list(self._new_lines())
            verdict = self._judge(deaths)
            if verdict is not None:
                return lines + self._finish(verdict)
            remaining = deadline - time.monotonic()
            if lines or remaining <= 0:
                return lines
            self.gang.wait_for_death(len(deaths), min(remaining, POLL_INTERVAL))

    def cancel(self, outcome: Outcome, message: str) -> list[ReportLine]:
        """End the gang now with this outcome, and give the lines still unread; nothing where it has ended already."""
        if self.result is not None:
            return []
        return self._finish(GangResult(outcome, message=message))

    def _new_lines(self) -> Iterator[ReportLine]:
        for rank in self.gang.ranks:
            path = self.gang.plan.report_path(rank)
            while block := self._read(rank, path):
                for line in block:
                    self._note(line)
                yield from block
        if not self.gang.leads:
            self._hear_rank_0()

    def _hear_rank_0(self) -> None:
        """Rank 0 alone tells of progress; on other hosts the ranks are silent for as long as they work."""
        while block := self._read(0, self.gang.plan.report_path(0)):
            for line in block:
                self._stillness.hear(line.report)
                self._has_checkpoints |= isinstance(line.report, CheckpointWritten)

    def _read(self, rank: int, path: Path) -> list[ReportLine]:
        start = self._offsets[rank]
        raw_lines, end = read_lines(path, start, MAX_LINE)
        self._offsets[rank] = end
        if not raw_lines and path.exists() and path.stat().st_size - start >= MAX_LINE:
            self._offsets[rank] = start + MAX_LINE
            return [ReportLine(rank, start + MAX_LINE, b"", None, f"no line ends within {MAX_LINE} bytes")]
        lines = []
        for raw in raw_lines:
            start += len(raw) + 1
            if raw:
                lines.append(self._line(rank, start, raw))
        return lines

    def _line(self, rank: int, offset: int, raw: bytes) -> ReportLine:
        try:
            report = decode(raw)
        except MalformedReport as error:
            return ReportLine(rank, offset, raw, None, str(error))
        return ReportLine(rank, offset, raw, report)

    def _note(self, line: ReportLine) -> None:
        rank, report = line.rank, line.report
        self._stillness.hear(report)
        self._has_checkpoints |= isinstance(report, CheckpointWritten)
        if isinstance(report, Hello) and self._misplaced is None and (text := misplaced(self.gang.plan, report)):
            self._misplaced = landed_elsewhere(rank, text)
        if isinstance(report, Done):
            self._done.add(rank)
        if isinstance(report, Failed):
            self._said.setdefault(rank, Said(float(json.loads(line.raw)["at"]), report))

    def _judge(self, deaths: list[Death]) -> GangResult | None:
        if self._misplaced is not None:
            return self._misplaced
        dead = {death.rank: death for death in deaths}
        rank = first_to_fail(deaths, self._said, frozenset(self._done))
        if rank is not None:
            return self._failure(rank, dead)
        if set(self.gang.ranks) <= set(dead):
            return None if self._scheduler_is_needed(dead) else GangResult(Outcome.SUCCEEDED)
        scheduler = dead.get(None)
        if scheduler is not None and not scheduler.is_clean and len(self._done) < len(self.gang.ranks):
            return scheduler_failure(scheduler)
        limit = self.gang.plan.time_limit
        if limit is not None and time.monotonic() - self._started_at > limit:
            return timed_out(limit, kept=self._has_checkpoints)
        if still := self._stillness.verdict:
            logs = Path(self.gang.plan.run_dir, "logs")
            return GangResult(Outcome.STUCK, message=f"{still}; the logs of all ranks are in {logs}")
        return None

    def _failure(self, rank: int, dead: Mapping[int | None, Death]) -> GangResult | None:
        """The failure of a rank; None for some seconds where the rank is about to end, or is to blame for nothing."""
        said, death, run_dir = self._said.get(rank), dead.get(rank), self.gang.plan.run_dir
        if death is None and self._exit_patience.lasts():
            return None
        if is_victim(death, said):
            return None if self._victim_patience.lasts() else peers_lost(rank, death, said, run_dir)
        return failure_of(rank, death, said, rank in self._done, run_dir)

    def _scheduler_is_needed(self, dead: Mapping[int | None, Death]) -> bool:
        """Whether ranks of other hosts may need the scheduler of this one, whose own ranks are done."""
        runs_here = None in self.gang.pids and None not in dead
        alone = len(self.gang.ranks) == self.gang.plan.world_size
        return runs_here and not alone and self._scheduler_patience.lasts()

    def _finish(self, verdict: GangResult) -> list[ReportLine]:
        if verdict.outcome is Outcome.SUCCEEDED:
            self.gang.end_scheduler()
        left = self.gang.kill(self._grace)
        lines = list(self._new_lines())
        log = self._log_of(verdict)
        self.result = replace(
            verdict,
            left=tuple(left),
            log_path=str(log),
            last_lines=() if verdict.outcome is Outcome.SUCCEEDED else tuple(tail(log, LAST_LINES)),
        )
        return lines

    def _log_of(self, verdict: GangResult) -> Path:
        if verdict.failed_rank is None and verdict.outcome is Outcome.FAILED:
            return self.gang.scheduler_log
        rank = self.gang.ranks[0] if verdict.failed_rank is None else verdict.failed_rank
        return self.gang.plan.log_path(rank)
