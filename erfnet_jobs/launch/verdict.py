"""How a gang's part ended, and which rank was the first to fail: pure decisions. Stdlib only."""

import signal as signals
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from erfnet_jobs.errors import DiskFull, PeersLost, RankMisplaced, RanksFailed, from_exit_code
from erfnet_jobs.launch.children import Death
from erfnet_jobs.reports import Failed
from erfnet_jobs.states import Outcome


@dataclass(frozen=True)
class GangResult:
    """How the ranks of one host ended.

    `failed_rank` is the rank that failed first (None: no rank, or the scheduler); `exit_code` or `signal` is how it
    ended, both None where it was ended by us. `error` is a class name of `erfnet_jobs.errors`, or of what a rank did
    not expect; `message` stands on its own. `permanent`: another attempt cannot help. `last_lines` are of the log at
    `log_path`. `left` are the ids of processes that could not be ended.
    """

    outcome: Outcome
    failed_rank: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    error: str | None = None
    message: str | None = None
    permanent: bool = False
    last_lines: tuple[str, ...] = ()
    log_path: str | None = None
    left: tuple[int, ...] = ()


@dataclass(frozen=True)
class Said:
    """A `Failed` report and when the rank wrote it (seconds of its host's monotonic clock)."""

    at: float
    report: Failed


def is_victim(death: Death | None, said: Said | None) -> bool:
    """Whether a rank most likely failed because another one was gone before.

    It said so (a collective's error), or it ended by SIGTERM: that is how MindSpore 2.10 ends a rank whose cluster has
    lost another one for MS_NODE_TIMEOUT (measured on the CPU). We send none before there is a verdict.
    """
    if said is not None:
        return said.report.error == PeersLost.__name__
    return death is not None and death.signal == signals.SIGTERM


def first_to_fail(deaths: Iterable[Death], said: Mapping[int, Said], done: frozenset[int]) -> int | None:
    """The rank that failed first, or None if none has.

    A rank fails when it writes `Failed`, else when it dies otherwise than with 0 after `Done`. Where a rank says why
    before it dies, the others often die sooner: what counts is when it said so. Of equal times the first death counts.
    Victims of another rank come after all others, whenever they failed.
    """
    dead = {death.rank: death for death in deaths}
    failures = {rank: entry.at for rank, entry in said.items()}
    for death in dead.values():
        if death.rank is not None and not (death.is_clean and death.rank in done):
            failures.setdefault(death.rank, death.at)
    order = {rank: (is_victim(dead.get(rank), said.get(rank)), at) for rank, at in failures.items()}
    return min(order, key=order.__getitem__) if order else None


def describe_end(exit_code: int | None, signal: int | None) -> str:
    """'with exit code 3', 'by SIGKILL (out of memory?)'."""
    if signal is None:
        return f"with exit code {exit_code}"
    name = signals.Signals(signal).name if signal in set(signals.Signals) else f"signal {signal}"
    return f"by {name}" + (" (out of memory, or killed by hand)" if signal == signals.SIGKILL else "")


def failure_of(rank: int, death: Death | None, said: Said | None, done: bool, run_dir: str) -> GangResult:
    """The result of a part whose rank `rank` failed first; log and last lines are still to be added.

    A rank that cannot report, as on a full disk, still tells by its exit code what it was.
    """
    exit_code = death.exit_code if death else None
    signal = death.signal if death else None
    if said is not None:
        report = said.report
        return GangResult(
            Outcome.FAILED,
            rank,
            report.exit_code if exit_code is None and signal is None else exit_code,
            signal,
            report.error,
            report.message,
            report.permanent,
        )
    error = from_exit_code(exit_code) if exit_code else RanksFailed
    how = describe_end(exit_code, signal)
    when = "after its work was done" if done else "without saying why"
    if error is DiskFull:
        why = f"no space left below {run_dir}: free some, or set ERFNET_JOBS_RUNS to another disk"
    elif error is not RanksFailed:
        why = f"that is {error.__name__}; its log has what it printed last"
    else:
        why = "its log has what it printed last"
    message = f"rank {rank} ended {how} {when}: {why}"
    return GangResult(Outcome.FAILED, rank, exit_code, signal, error.__name__, message, error.permanent)


def peers_lost(rank: int, death: Death | None, said: Said | None, run_dir: str) -> GangResult:
    """The result of a part where all that failed are victims: what was there first happened elsewhere, or unseen."""
    if said is not None:
        how = f"rank {rank} lost the others ({said.report.message})"
    else:
        how = f"rank {rank} ended by SIGTERM, as MindSpore ends ranks that have not heard of another one for long"
    message = f"{how}: which rank or host went first was not seen; the logs of all ranks are in {run_dir}/logs"
    exit_code, signal = (death.exit_code, death.signal) if death else (None, None)
    return GangResult(Outcome.LOST, None, exit_code, signal, PeersLost.__name__, message)


def scheduler_failure(death: Death) -> GangResult:
    """The result of a part whose scheduler died before its ranks were done."""
    how = describe_end(death.exit_code, death.signal)
    message = f"MindSpore's scheduler ended {how} before the ranks were done: its log has what it printed last"
    return GangResult(Outcome.FAILED, None, death.exit_code, death.signal, RanksFailed.__name__, message)


def timed_out(limit: float, *, kept: bool) -> GangResult:
    """The result of a part that ran longer than its time limit (seconds). The next attempt would, too.

    `kept`: whether it has left checkpoints, or went on from one.
    """
    checkpoints = "its checkpoints are kept; " if kept else ""
    since = "counted from the start of its processes"
    message = f"it ran longer than its time limit of {limit:g} s, {since}: {checkpoints}give a longer --time-limit"
    return GangResult(Outcome.TIMED_OUT, message=message, permanent=True)


def landed_elsewhere(rank: int, text: str) -> GangResult:
    """The result of a part whose process for `rank` is not what the plan says."""
    message = f"{text}: compare rank_table.json with plan.json in the run's folder; hosts need names of their own"
    error = RankMisplaced
    return GangResult(Outcome.FAILED, rank, error=error.__name__, message=message, permanent=error.permanent)
