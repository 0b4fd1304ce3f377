"""Programs beside Python's that a job needs on its host."""

import logging

from erfnet_jobs.errors import MissingDependency
from erfnet_jobs.lite.programs import find_infer
from erfnet_jobs.plan import Plan
from erfnet_jobs.settings import Settings
from erfnet_jobs.states import JobKind

log = logging.getLogger(__name__)


def has_infer_310(settings: Settings) -> bool:
    """Whether the C++ program of 310-infer jobs is on this host."""
    try:
        find_infer(settings.infer_310)
    except MissingDependency as error:
        log.info("this host gets no 310-infer jobs until its worker is started again: %s", error)
        return False
    return True


def check_programs(plan: Plan, settings: Settings) -> None:
    """Raise MissingDependency, with the host's name, where the C++ program of a 310-infer job is not on this host."""
    if plan.kind != JobKind.INFER_310:
        return
    try:
        find_infer(settings.infer_310)
    except MissingDependency as error:
        raise MissingDependency(f"host {settings.host_name}: {error}; or name another host with --host") from error
