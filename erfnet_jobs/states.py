"""The kinds of job, and the states that jobs, attempts and their parts go through. Stdlib only."""

from collections.abc import Mapping
from enum import StrEnum


class JobKind(StrEnum):
    """The five kinds of job; each has a queue of its own."""

    TRAIN = "train"
    EVAL = "eval"
    EXPORT = "export"
    INFER = "infer"
    INFER_310 = "310-infer"


class JobState(StrEnum):
    """The states of a job; the last four are terminal."""

    WAITING = "waiting"
    QUEUED = "queued"
    ASSIGNED = "assigned"
    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"
    CANCELLED = "cancelled"
    STUCK = "stuck"
    TIMED_OUT = "timed_out"


class PartState(StrEnum):
    """The states of a placement: an attempt's part on one host. `ended` means that no process of it is left there."""

    ASSIGNED = "assigned"
    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"


TERMINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.SKIPPED})
PLACED = frozenset({JobState.ASSIGNED, JobState.STARTING, JobState.RUNNING})

TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    JobState.WAITING: frozenset({JobState.QUEUED, JobState.SKIPPED, JobState.CANCELLED}),
    JobState.QUEUED: frozenset({JobState.ASSIGNED, JobState.FAILED, JobState.CANCELLED}),
    JobState.ASSIGNED: frozenset({JobState.STARTING, JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
    JobState.STARTING: frozenset(
        {JobState.RUNNING, JobState.SUCCEEDED, JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}
    ),
    JobState.RUNNING: frozenset({JobState.SUCCEEDED, JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
    **{state: frozenset() for state in TERMINAL},
}
