"""One placement pass: the queue and the hosts into a pure decision, and the decision into the registry.

A pass reads a row of each host, and of the queue a bounded part. The first WINDOW jobs always; in their order as many
more as DEPTH while devices are free that none of those could use; and one window further down, at a place that moves on
from pass to pass. So whatever stands before it in the queue, a job that could be placed is found within
(length of the queue - DEPTH) / WINDOW + 1 passes of any worker.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from sqlalchemy.orm import Session

from erfnet_jobs.client.demands import demands_of
from erfnet_jobs.placement import Decision, HostState
from erfnet_jobs.placement.decide import RESERVE_AFTER, Placing
from erfnet_jobs.registry.attempts import assign
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.parts import PartKey
from erfnet_jobs.registry.queue import QueuedJob, QueueKey, lock_jobs, lock_pass, queue_window, set_reasons
from erfnet_jobs.registry.summaries import HostRow, host_rows

WINDOW = 500
DEPTH = 5000
# A transaction is to be short: what is left for the next pass follows at once.
MOST_PLACED = 100
MOST_REASONS = 1000
# Those further behind are told that they wait, and not each change of what is free.
DETAILED = 20
BEHIND = "in the queue: the devices are busy with the jobs before it"


@dataclass
class Sweep:
    """What one pass of a worker leaves to its next: where in the queue it looks beside the beginning.

    `is_unfinished`: another worker's pass was at work, or more is to be placed than one transaction should hold.
    """

    after: QueueKey | None = None
    is_unfinished: bool = False


@dataclass
class _Seen:
    """What a pass has read, in the order of the queue, and what was decided about it."""

    queue: dict[int, QueuedJob] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    next_sweep: QueueKey | None = None

    def placed(self) -> list[Decision]:
        return list(islice((decision for decision in self.decisions if decision.parts), MOST_PLACED))

    def reasons(self) -> dict[int, str]:
        """The waiting jobs whose reason has changed."""
        waiting = (decision for decision in self.decisions if not decision.parts)
        shown = (
            (decision.job, BEHIND if decision.crowded and rank >= DETAILED else decision.reason)
            for rank, decision in enumerate(waiting)
        )
        changed = ((job, reason) for job, reason in shown if self.queue[job].reason != reason)
        return dict(islice(changed, MOST_REASONS))


def pass_once(
    registry: Registry,
    runs: Path,
    silent: frozenset[str],
    *,
    reserve_after: float = RESERVE_AFTER,
    sweep: Sweep | None = None,
) -> list[PartKey]:
    """Place what can be placed now, at most MOST_PLACED jobs; the parts that were assigned.

    `silent` are hosts whose worker's pulse stands still. Nothing is locked or written while nothing changes.
    """
    sweep = sweep if sweep is not None else Sweep()
    with registry.read() as session:
        seen = _decide(session, silent, reserve_after, sweep.after)
    if not seen.placed() and not seen.reasons():
        sweep.after, sweep.is_unfinished = seen.next_sweep, False
        return []
    with registry.write() as session:
        sweep.is_unfinished = not lock_pass(session)
        if sweep.is_unfinished:
            return []
        seen = _decide(session, silent, reserve_after, sweep.after)
        placed, reasons = seen.placed(), seen.reasons()
        lock_jobs(session, [*reasons, *(decision.job for decision in placed)])
        parts = _assign(session, seen.queue, placed, runs)
        set_reasons(session, reasons)
    sweep.after, sweep.is_unfinished = seen.next_sweep, len(placed) == MOST_PLACED
    return parts


def _decide(session: Session, silent: frozenset[str], reserve_after: float, swept: QueueKey | None) -> _Seen:
    seen = _Seen()
    first = queue_window(session, None, WINDOW)
    if not first:
        return seen
    hosts = [_state(row, silent) for row in host_rows(session)]
    placing = Placing(hosts, reserve_after)
    for window in _windows(session, first, placing, swept, seen):
        demands = demands_of(session, window, hosts)
        seen.queue.update((job.id, job) for job in window)
        seen.decisions += [placing.decide(demand) for demand in demands]
    return seen


def _windows(
    session: Session, window: list[QueuedJob], placing: Placing, swept: QueueKey | None, seen: _Seen
) -> Iterator[list[QueuedJob]]:
    """The windows that a pass reads; each has been decided when the next one is asked for."""
    yield window
    while len(window) == WINDOW and len(seen.queue) < DEPTH and not placing.room.is_used_up:
        window = queue_window(session, window[-1].key, WINDOW)
        yield window
    if len(window) < WINDOW:
        return
    last = window[-1].key
    window = queue_window(session, max(last, swept or last, key=lambda key: key.rank), WINDOW)
    yield window
    seen.next_sweep = window[-1].key if len(window) == WINDOW else None


def _state(row: HostRow, silent: frozenset[str]) -> HostState:
    return HostState.of_summary(
        row.name, row.address, row.storage, row.closed(silent), infers_310=row.infers_310, **vars(row.summary)
    )


def _assign(session: Session, queue: dict[int, QueuedJob], placed: Sequence[Decision], runs: Path) -> list[PartKey]:
    keys = []
    for decision in placed:
        number = queue[decision.job].attempt + 1
        run_dir = str(runs / str(decision.job) / str(number))
        if assign(session, decision.job, number - 1, decision.parts, run_dir):
            keys += [PartKey(decision.job, number, part.host) for part in decision.parts]
    return keys
