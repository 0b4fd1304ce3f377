"""Declaring attempts lost or late, by this process' own clock; every worker does, for all hosts."""

import logging
import time
from collections.abc import Callable

from erfnet_jobs.registry.attempts import declare_lost, release
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.parts import PartKey
from erfnet_jobs.registry.suspects import Suspects, find_suspects
from erfnet_jobs.settings import Settings
from erfnet_jobs.states import PartState
from workers.observer import Observer
from workers.pace import Pace, seconds_between_looks
from workers.reaper import key_pair

log = logging.getLogger(__name__)

# Whose pulse is this many beats old is watched.
FRESH_BEATS = 2


class Lookout:
    """Looks with a beat now and then, and with every beat while a pulse seems to stand still.

    `silent` are the hosts that are to get no jobs: their worker's pulse stands still, or did before this look-out began
    to watch it. `workers` is how many live.
    """

    def __init__(self, registry: Registry, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._settings = settings
        self._pace = Pace(clock)
        self._leases: Observer[PartKey] = Observer(settings.lease_timeout, clock)
        self._hosts: Observer[str] = Observer(settings.lease_timeout, clock)
        self._late: Observer[PartKey] = Observer(settings.start_timeout, clock)
        self._alarmed = False
        self.silent: frozenset[str] = frozenset()
        self.workers = 1

    @property
    def is_due(self) -> bool:
        """Whether to look with this beat."""
        return self._alarmed or self._pace.is_due

    def look(self) -> bool:
        """One look, to be made after a successful write; True where an attempt was ended."""
        with self._registry.read() as session:
            settings = self._settings
            found = find_suspects(session, FRESH_BEATS * settings.beat_interval, settings.lease_timeout)
        still = self._hosts.look(found.hosts)
        self.silent = frozenset(still | found.old)
        lost = {key: found.leases[key] for key in self._leases.look(found.leases)}
        unstarted = self._late.look(found.late)
        left = {key for key, state in found.late.items() if state == PartState.ASSIGNED and key.host in still}
        for key, counter in lost.items():
            self._declare_lost(key, counter)
        for key in sorted(unstarted | left):
            self._release(key, found.late[key], gone=key in left)
        self._go_on(found, still)
        return bool(lost or unstarted or left)

    def _go_on(self, found: Suspects, still: set[str]) -> None:
        settings = self._settings
        self.workers = max(1, found.live)
        self._alarmed = bool(found.leases or found.hosts.keys() - still)
        timeout = min(settings.lease_timeout, settings.start_timeout)
        self._pace.again_within(seconds_between_looks(self.workers, settings.beat_interval, timeout))

    def _declare_lost(self, key: PartKey, counter: int) -> None:
        reason = f"its supervisor on {key.host} has not been heard of for {self._settings.lease_timeout:g} s"
        with self._registry.write() as session:
            if declare_lost(session, *key_pair(key), key.host, counter, reason, self._settings.retry_delay):
                log.warning("job %d, attempt %d is lost: %s", *key_pair(key), reason)

    def _release(self, key: PartKey, state: PartState, *, gone: bool) -> None:
        within = f"its part on {key.host} did not start within {self._settings.start_timeout:g} s"
        reason = f"host {key.host} went away before it started its part" if gone else within
        with self._registry.write() as session:
            if release(session, *key_pair(key), key.host, state, reason, self._settings.retry_delay):
                log.warning("job %d, attempt %d is released: %s", *key_pair(key), reason)
