"""What a user hands in: a spec, and how it is placed and retried; and what a host gets of it. Stdlib only.

A spec is what the ranks need to know; a `Request` is what the workers need to know.
"""

from dataclasses import dataclass, field

from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.spec_checks import require, whole
from erfnet_jobs.specs import Spec

# Seconds. What runs longer than that needs no limit.
MAX_NAME = 200
MAX_TIME_LIMIT = 1000 * 86_400.0


@dataclass(frozen=True)
class Part:
    """What one host gets of an attempt: logical device ids, ascending, and the rank of the first of them."""

    host: str
    devices: tuple[int, ...]
    first_rank: int


@dataclass(frozen=True)
class Request:
    """A job to submit: its spec, and how it is placed and retried.

    `priority`: higher goes first. `devices`: exactly these of `host`. `after`: jobs that must succeed first.
    `time_limit`: seconds for each attempt. `rank_table`: the text of a user's own rank table, whose devices it gets;
    `pinned` is what those are among the registered hosts, by rank.
    """

    spec: Spec
    name: str | None = None
    priority: int = 0
    host: str | None = None
    devices: tuple[int, ...] | None = None
    max_attempts: int = 3
    after: tuple[int, ...] = field(default=())
    time_limit: float | None = None
    rank_table: str | None = None
    pinned: tuple[Part, ...] | None = None

    @property
    def allow_cpu(self) -> bool:
        """Whether it may have CPU slots although it is meant for 310 and 310P."""
        return isinstance(self.spec, Infer310Spec) and self.spec.allow_cpu

    def __post_init__(self) -> None:
        require(
            self.name is None or (len(self.name) <= MAX_NAME and self.name.isprintable()),
            "name",
            self.name,
            f"give at most {MAX_NAME} printable characters",
        )
        require(whole(self.max_attempts, 1, 100), "max attempts", self.max_attempts, "give a number from 1 to 100")
        require(whole(self.priority, -1000, 1000), "priority", self.priority, "give a number from -1000 to 1000")
        require(
            self.time_limit is None or 1 <= self.time_limit <= MAX_TIME_LIMIT,
            "time limit",
            self.time_limit,
            "give one from 1 s to 1000 days",
        )
        if self.devices is not None:
            require(
                len(set(self.devices)) == len(self.devices) == self.spec.cards,
                "devices",
                self.devices,
                f"give {self.spec.cards} different device ids, as many as cards",
            )
