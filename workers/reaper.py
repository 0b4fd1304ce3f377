"""Looking after the parts of this host: those that are to end, and those whose attempt has ended."""

import logging
import os
import signal

from erfnet_jobs.errors import DeviceLost
from erfnet_jobs.launch.processes import has_mark, kill_marked
from erfnet_jobs.registry.attempts import End, clear_part, end_attempt, end_part
from erfnet_jobs.registry.devices import cordon, uncordon
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.parts import HeldPart, PartKey, held_part, lease_pid
from erfnet_jobs.settings import Settings
from erfnet_jobs.states import Outcome
from workers.leftovers import checkpoints_gone, forget

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
