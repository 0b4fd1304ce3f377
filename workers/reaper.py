"""Looking after parts: those of this host whose attempt has ended, and attempts of any host that are lost or late."""

import logging
import os
import signal

from erfnet_jobs.errors import DeviceLost
from erfnet_jobs.launch.processes import has_mark, kill_marked
from erfnet_jobs.registry.attempts import End, clear_part, declare_lost, end_attempt, end_part, release
from erfnet_jobs.registry.devices import cordon, uncordon
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.hosts import host_beats
from erfnet_jobs.registry.parts import HeldPart, PartKey, held_part, late_parts, lease_pid, leases
from erfnet_jobs.settings import Settings
from erfnet_jobs.states import Outcome, PartState
from workers.leftovers import checkpoints_gone, forget
from workers.observer import Observer

log = logging.getLogger(__name__)

# A round must not take long; the next one tries again.
KILL_SECONDS = 1.0


def mark_of(part: HeldPart) -> str:
    """What the processes of a part are known by on its host; also its supervisor."""
    return f"{part.key.host}:{part.run_dir}"


def cordon_reason(key: PartKey) -> str:
    """Why the devices of a part are kept from jobs that could not be cleared; the same text lets them in again."""
    return f"processes of job {key.job}, attempt {key.attempt} cannot be ended"


def clear_if_gone(registry: Registry, part: HeldPart) -> bool:
    """Kill what is left of a part whose attempt has ended; give its devices back once nothing is left."""
    key = part.key
    left = kill_marked(mark_of(part), KILL_SECONDS)
    gone = checkpoints_gone(registry, key) if part.first_rank == 0 and not left else []
    with registry.write() as session:
        if left:
            cordon(session, key.host, part.devices, cordon_reason(key))
            log.error(
                "job %d, attempt %d: processes %s cannot be ended; its devices are cordoned", *key_pair(key), left
            )
            return False
        uncordon(session, key.host, part.devices, cordon_reason(key))
        forget(session, gone)
        clear_part(session, key.job, key.attempt, key.host)
    return True


def key_pair(key: PartKey) -> tuple[int, int]:
    """Job and attempt, for the log."""
    return key.job, key.attempt


def cancel_assigned(registry: Registry, part: HeldPart) -> None:
    """A part that was cancelled before it started."""
    key = part.key
    with registry.write() as session:
        end_attempt(session, key.job, key.attempt, End(Outcome.CANCELLED, "cancelled by the user"), 0)


def give_up(registry: Registry, part: HeldPart, error: Exception, settings: Settings) -> None:
    """End the attempt of a part that this worker cannot look after, whatever has happened; another may do better."""
    key = part.key
    if part.ended:
        return
    end = End(Outcome.FAILED, f"unexpected on {key.host}: {error!r}; its worker's log has more", type(error).__name__)
    with registry.write() as session:
        if not end_part(session, key.job, key.attempt, key.host, end, settings.retry_delay):
            end_attempt(session, key.job, key.attempt, end, settings.retry_delay)


def end_without_device(registry: Registry, part: HeldPart, loss: str, settings: Settings) -> bool:
    """End the attempt of a part whose device is lost; its supervisors see that it is over. False where it was."""
    key = part.key
    end = End(Outcome.FAILED, f"{loss}, so the attempt was ended", DeviceLost.__name__)
    with registry.write() as session:
        ended = end_attempt(session, *key_pair(key), end, settings.retry_delay)
    if ended:
        log.warning("job %d, attempt %d has failed: %s", *key_pair(key), loss)
        nudge(registry, key)
    return ended


def nudge(registry: Registry, key: PartKey) -> bool:
    """Have a supervisor of this host read the registry at once (SIGUSR1); False where the lease's process is gone."""
    with registry.read() as session:
        part, pid = held_part(session, key), lease_pid(session, key)
    if part is None or pid is None:
        return True
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not has_mark(pid, mark_of(part)):
            return False
        signal.pidfd_send_signal(fd, signal.SIGUSR1)
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    return True


class Lookout:
    """Declares attempts lost or late, by this process' own clock; every worker does, for all hosts.

    `silent` are the hosts whose worker's pulse stands still.
    """

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry = registry
        self._settings = settings
        self._leases: Observer[PartKey] = Observer(settings.lease_timeout)
        self._hosts: Observer[str] = Observer(settings.lease_timeout)
        self._late: Observer[PartKey] = Observer(settings.start_timeout)
        self.silent: frozenset[str] = frozenset()

    def look(self) -> bool:
        """One look, to be made after a successful write; True where an attempt was ended."""
        with self._registry.read() as session:
            counters, beats, late = leases(session), host_beats(session), late_parts(session)
        self.silent = frozenset(self._hosts.look(beats))
        lost = {key: counters[key] for key in self._leases.look(counters)}
        unstarted = self._late.look(late)
        left = {key for key, state in late.items() if state == PartState.ASSIGNED and key.host in self.silent}
        for key, counter in lost.items():
            self._declare_lost(key, counter)
        for key in sorted(unstarted | left):
            self._release(key, gone=key in left)
        return bool(lost or unstarted or left)

    def _declare_lost(self, key: PartKey, counter: int) -> None:
        reason = f"its supervisor on {key.host} has not been heard of for {self._settings.lease_timeout:g} s"
        with self._registry.write() as session:
            if declare_lost(session, *key_pair(key), key.host, counter, reason, self._settings.retry_delay):
                log.warning("job %d, attempt %d is lost: %s", *key_pair(key), reason)

    def _release(self, key: PartKey, *, gone: bool) -> None:
        within = f"its part on {key.host} did not start within {self._settings.start_timeout:g} s"
        reason = f"host {key.host} went away before it started its part" if gone else within
        with self._registry.write() as session:
            if release(session, *key_pair(key), reason, self._settings.retry_delay):
                log.warning("job %d, attempt %d is released: %s", *key_pair(key), reason)
