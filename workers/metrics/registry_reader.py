"""Reading the registry's figures again and again: what only grows is counted on, what stands still is timed here."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from erfnet_jobs.registry import monitoring
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.monitoring import Happened, HostCounts, OwnHost, Queue
from erfnet_jobs.registry.parts import PartKey
from erfnet_jobs.settings import Settings
from workers.histogram import Histogram

# Seconds that a job may wait for its start: a minute is nothing, an hour is usual, a day is a full house.
WAIT_BOUNDS = (5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 12 * 3600.0, 86400.0, 3 * 86400.0)
# Seconds: longer than any transaction takes to end (registry.engine), so that no event is passed over for good.
LAG = 60.0


@dataclass(frozen=True)
class Snapshot:
    """What one reading gave. `waits` has (buckets, sum) by kind, `lease_age` is in seconds."""

    queues: list[Queue]
    hosts: HostCounts
    own: OwnHost
    attempts: dict[tuple[str, str], int]
    waits: dict[str, tuple[list[tuple[str, float]], float]]
    lease_age: float


class RegistryReader:
    """For one thread at a time. Attempts are counted from the registry's beginning, waits from this worker's."""

    def __init__(self, settings: Settings, registry: Registry, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._registry = registry
        self._clock = clock
        self._attempts: Counter[tuple[str, str]] | None = None
        self._waits: dict[str, Histogram] = {}
        self._after = 0
        self._counted: frozenset[int] = frozenset()
        self._mark = (0, 0.0)
        self._leases: dict[PartKey, tuple[int, float]] = {}

    def read(self) -> Snapshot:
        """One transaction; raises RegistryUnreachable and RegistryNotMigrated."""
        settings, known = self._settings, self._attempts is not None
        try:
            with self._registry.read() as session:
                begun = None if known else monitoring.begin(session)
                newest = monitoring.newest_event(session, self._after)
                news = monitoring.happened(session, self._after) if known else []
                queues = monitoring.queues(session)
                hosts = monitoring.host_counts(session, settings.lease_timeout)
                own = monitoring.own_host(session, settings.host_name)
        except Exception:
            # A lease may have moved meanwhile, which nobody has seen: its age is unknown, not great.
            self._leases.clear()
            raise
        if begun is not None:
            self._begin(begun)
        self._count(news)
        self._go_on(newest)
        waits = {kind: (histogram.buckets(), histogram.sum) for kind, histogram in self._waits.items()}
        return Snapshot(queues, hosts, own, dict(self._attempts or ()), waits, self._lease_age(own.leases))

    def _begin(self, begun: monitoring.Beginning) -> None:
        self._attempts = Counter(begun.attempts)
        self._counted = begun.counted
        self._after = max(0, begun.newest - monitoring.IN_FLIGHT)
        self._mark = (begun.newest, self._clock())

    def _count(self, news: list[Happened]) -> None:
        for one in news:
            if one.event in self._counted or self._attempts is None:
                continue
            if one.outcome is not None:
                self._attempts[one.kind, one.outcome] += 1
            if one.waited is not None:
                self._waits.setdefault(one.kind, Histogram(WAIT_BOUNDS)).add(one.waited)
        self._counted |= {one.event for one in news}

    def _go_on(self, newest: int) -> None:
        """Events up to one that was there `LAG` seconds ago need not be read again."""
        number, at = self._mark
        if self._clock() - at < LAG:
            return
        self._after = max(self._after, number)
        self._counted = frozenset(event for event in self._counted if event > self._after)
        self._mark = (newest, self._clock())

    def _lease_age(self, leases: dict[PartKey, int]) -> float:
        """For how long the one that stands still longest has done so, by this worker's own clock and readings."""
        now = self._clock()
        for key, counter in leases.items():
            known = self._leases.get(key)
            if known is None or known[0] != counter:
                self._leases[key] = (counter, now)
        for gone in self._leases.keys() - leases.keys():
            del self._leases[gone]
        return max((now - since for _, since in self._leases.values()), default=0.0)
