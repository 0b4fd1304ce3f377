"""Taking this machine's servers down, with or without the jobs that run here."""

from collections.abc import Callable
from enum import StrEnum

from sqlalchemy import and_, select

from erfnet_jobs.client import Client
from erfnet_jobs.errors import ErfnetJobsError, RegistryNotMigrated, RegistryUnreachable, UsageError
from erfnet_jobs.launch.processes import kill_marked as kill_attempt
from erfnet_jobs.local import redis_server, worker_process
from erfnet_jobs.local.deadline import wait_until
from erfnet_jobs.local.locks import held_lock
from erfnet_jobs.local.marks import kill_marked, marked_processes
from erfnet_jobs.registry.attempts import End, end_attempt, end_part
from erfnet_jobs.registry.tables import Attempt, Placement
from erfnet_jobs.settings import Settings
from erfnet_jobs.states import Outcome, PartState

CANCEL_SECONDS = 60.0

Say = Callable[[str], None]


class Running(StrEnum):
    """What becomes of the jobs that run here."""

    REFUSE = "refuse"
    CANCEL = "cancel"
    LEAVE = "leave"


def take_down(settings: Settings, running: Running, say: Say) -> list[str]:
    """Stop the worker and the embedded Redis; what was stopped.

    Raises UsageError where jobs run here and `running` is REFUSE, RegistryUnreachable where that cannot be known.
    """
    if not settings.home.is_dir():
        return []
    with held_lock(settings.home / "up.lock", lambda: say("another 'up' or 'down' is at work here; waiting for it")):
        client = Client(settings, warn=say)
        jobs = [] if running is Running.LEAVE else _jobs_here(client)
        if jobs and running is Running.REFUSE:
            raise UsageError(_refusal(jobs))
        # Without its worker nothing new is placed here, and the supervisors still read wishes from the registry.
        stopped = ["worker"] if worker_process.stop_worker(settings) else []
        if running is Running.CANCEL:
            jobs = sorted(set(jobs) | set(_jobs_here(client)))
            _cancel(client, jobs, say)
        if settings.embedded_broker and redis_server.stop_redis(settings):
            stopped.append("Redis")
        if running is Running.CANCEL:
            settle(client)
        client.close()
        return stopped


def settle(client: Client) -> None:
    """Kill what is left of this home's processes, and end their attempts, for no supervisor is left to do it."""
    if not kill_marked(client.settings.home):
        raise ErfnetJobsError(
            f"processes of {client.settings.home} cannot be ended: the kernel holds them (a device or a file server "
            "that does not answer); look with 'ps', and run 'erfnet-jobs down --cancel' again"
        )
    for job, attempt, run_dir in _parts_here(client):
        if not kill_attempt(f"{client.settings.host_name}:{run_dir}"):
            _end(client, job, attempt)


def _end(client: Client, job: int, attempt: int) -> None:
    end = End(Outcome.CANCELLED, "its host went down")
    host, delay = client.settings.host_name, client.settings.retry_delay
    with client.registry.write() as session:
        if not end_part(session, job, attempt, host, end, delay):
            end_attempt(session, job, attempt, end, delay)


def _parts_here(client: Client) -> list[tuple[int, int, str]]:
    """(job, attempt, run folder) of each part on this host that has not ended; none where there is no registry."""
    held = (
        select(Placement.job_id, Placement.attempt, Attempt.run_dir)
        .join(Attempt, and_(Attempt.job_id == Placement.job_id, Attempt.number == Placement.attempt))
        .where(Placement.host_name == client.settings.host_name, Placement.state != PartState.ENDED)
        .order_by(Placement.job_id, Placement.attempt)
    )
    try:
        with client.registry.read() as session:
            return [(job, attempt, run_dir) for job, attempt, run_dir in session.execute(held)]
    except RegistryNotMigrated:
        return []


def _jobs_here(client: Client) -> list[int]:
    """The jobs with a part on this host that has not ended; none where there is no registry."""
    try:
        return sorted({job for job, _, _ in _parts_here(client)})
    except RegistryUnreachable as error:
        raise RegistryUnreachable(
            f"{error}; so nobody knows which jobs run here: mend it, or stop the worker alone with --leave"
        ) from error


def _refusal(jobs: list[int]) -> str:
    several = len(jobs) > 1
    listed = f"jobs {', '.join(map(str, jobs))} run" if several else f"job {jobs[0]} runs"
    them = "them" if several else "it"
    return (
        f"{listed} here: 'down --cancel' cancels {them} first, 'down --leave' lets {them} go on without the worker, "
        f"or wait with 'erfnet-jobs wait {' '.join(map(str, jobs))}'"
    )


def _cancel(client: Client, jobs: list[int], say: Say) -> None:
    if not jobs:
        return
    say(f"cancelling job {', '.join(map(str, jobs))}")
    client.cancel(jobs)
    if not wait_until(lambda: not _jobs_here(client) or not _at_work(client.settings), CANCEL_SECONDS):
        say(f"they have not ended within {CANCEL_SECONDS:.0f} s: killing their processes")


def _at_work(settings: Settings) -> bool:
    """Whether a supervisor or a rank is left; the worker is down, and Redis shows no mark."""
    return bool(marked_processes(settings.home))
