"""What is left to do for a part whose supervisor is gone without having ended it."""

import logging
from pathlib import Path

from erfnet_jobs.errors import ErfnetJobsError
from erfnet_jobs.launch.gang import PLAN_NAME
from erfnet_jobs.launch.processes import kill_marked, processes_with_mark
from erfnet_jobs.launch.verdict import GangResult
from erfnet_jobs.plan import read_plan
from erfnet_jobs.registry.attempts import End, end_part
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.parts import HeldPart, PartKey, held_part, held_parts, lease_pid
from erfnet_jobs.settings import Settings
from erfnet_jobs.states import Outcome
from workers.children import Supervisors
from workers.course import Course
from workers.reaper import KILL_SECONDS, mark_of

log = logging.getLogger(__name__)


def supervisor_ended(registry: Registry, key: PartKey, how: str, settings: Settings) -> bool:
    """A supervisor of ours has ended: normally it has ended its part before, else the attempt is lost.

    What its ranks reported and it did not store any more is stored now. True where the attempt was lost.
    """
    with registry.read() as session:
        part = held_part(session, key)
    if part is None or not part.leased:
        return False
    left = tuple(kill_marked(mark_of(part), KILL_SECONDS))
    reason = f"its supervisor on {key.host} ended {how}: {part.run_dir}/logs has its log"
    try:
        plan = read_plan(Path(part.run_dir, PLAN_NAME))
    except (OSError, ErfnetJobsError) as error:
        log.warning("job %d, attempt %d: its last reports are not stored: %s", key.job, key.attempt, error)
        return _end_as_lost(registry, part, reason, settings, clear=not left)
    return Course(plan, settings, registry).end(GangResult(Outcome.LOST, message=reason, left=left))


def take_over(registry: Registry, settings: Settings) -> Supervisors:
    """The supervisors that the worker before this one has started.

    Parts that it claimed, without a supervisor to show for it, are ended.
    """
    supervisors, silent = Supervisors(), []
    with registry.read() as session:
        for part in held_parts(session, settings.host_name):
            if (pid := lease_pid(session, part.key)) is not None:
                supervisors.adopt(part.key, pid, mark_of(part))
            elif part.leased:
                silent.append(part)
    for part in silent:
        reason = f"the worker of {settings.host_name} ended before it had started the part's supervisor"
        if not processes_with_mark(mark_of(part)) and _end_as_lost(registry, part, reason, settings, clear=True):
            log.warning("job %d, attempt %d is lost: %s", part.key.job, part.key.attempt, reason)
    return supervisors


def _end_as_lost(registry: Registry, part: HeldPart, reason: str, settings: Settings, *, clear: bool) -> bool:
    key, end = part.key, End(Outcome.LOST, reason)
    with registry.write() as session:
        return end_part(session, key.job, key.attempt, key.host, end, settings.retry_delay, clear=clear)
