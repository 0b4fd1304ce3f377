"""Taking this machine's servers down, with or without the jobs that run here."""

from collections.abc import Callable
from contextlib import closing
from enum import StrEnum

from sqlalchemy import and_, select

from erfnet_jobs.client import Client
from erfnet_jobs.errors import ErfnetJobsError, RegistryNotMigrated, RegistryUnreachable, UsageError
from erfnet_jobs.launch.processes import kill_marked as kill_attempt
from erfnet_jobs.local import redis_server, worker_process
from erfnet_jobs.local.deadline import wait_until
from erfnet_jobs.local.locks import held_lock
from erfnet_jobs.local.marks import kill_marked, marked_processes
from erfnet_jobs.local.processes import command_of
from erfnet_jobs.registry.attempts import End, end_attempt, end_part
from erfnet_jobs.registry.hosts import stop_host
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

    Raises UsageError where jobs run here and `running` is REFUSE, RegistryUnreachable where that cannot be known. With
    CANCEL everything of this host ends in any case; RegistryUnreachable says that the registry could not be told.
    """
    if not settings.home.is_dir():
        return []
    with (
        held_lock(settings.home / "up.lock", lambda: say("another 'up' or 'down' is at work here; waiting for it")),
        closing(Client(settings, warn=say)) as client,
    ):
        if running is Running.CANCEL:
            return _end_all(client, say)
        if running is Running.REFUSE and (jobs := _jobs_here(client)):
            raise UsageError(_refusal(jobs))
        stopped = _stop_worker(settings)
        _mark_stopped(client, say)
        return [*stopped, *_stop_redis(settings)]


def _stop_worker(settings: Settings) -> list[str]:
    return ["worker"] if worker_process.stop_worker(settings) else []


def _mark_stopped(client: Client, say: Say) -> None:
    try:
        _note_stopped(client)
    except (RegistryUnreachable, RegistryNotMigrated) as error:
        say(f"{error}; whether it has this host's worker as stopped is not known")


def _note_stopped(client: Client) -> None:
    """A worker that was killed before could not tell the registry that it has ended; that one, and no newer one."""
    instance = worker_process.last_instance(client.settings)
    if instance is not None:
        with client.registry.write() as session:
            stop_host(session, client.settings.host_name, instance, "its worker was dead when the host was taken down")


def _stop_redis(settings: Settings) -> list[str]:
    return ["Redis"] if settings.embedded_broker and redis_server.stop_redis(settings) else []


def _end_all(client: Client, say: Say) -> list[str]:
    """Cancel what runs here and end every process; a registry that is away keeps nothing alive."""
    settings = client.settings
    told = _Told(say)
    jobs: set[int] = set()
    told.take(lambda: jobs.update(_jobs_here(client)))
    # Without its worker nothing new is placed here, and the supervisors still read wishes from the registry.
    stopped = _stop_worker(settings)
    told.take(lambda: jobs.update(_jobs_here(client)))
    told.take(lambda: _cancel(client, sorted(jobs), say))
    stopped += _stop_redis(settings)
    _kill_rest(settings)
    told.take(lambda: _settle(client))
    told.take(lambda: _mark_stopped(client, say))
    if told.trouble is not None:
        raise RegistryUnreachable(
            f"all processes of {settings.home} have ended, but the registry could not be told ({told.trouble}): once "
            "it answers, run 'erfnet-jobs down --cancel' again; else the attempts count as lost, and go on elsewhere"
        ) from told.trouble
    return stopped


class _Told:
    """What the registry is told, step by step, until it does not answer."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.trouble: ErfnetJobsError | None = None

    def take(self, step: Callable[[], None]) -> None:
        if self.trouble is not None:
            return
        try:
            step()
        except (RegistryUnreachable, RegistryNotMigrated) as error:
            self._say(f"{error}; what runs here is ended all the same")
            self.trouble = error


def _kill_rest(settings: Settings) -> None:
    if not kill_marked(settings.home):
        raise ErfnetJobsError(
            f"processes of {settings.home} cannot be ended: the kernel holds them (a device or a file server "
            "that does not answer); look with 'ps', and run 'erfnet-jobs down --cancel' again"
        )


def _settle(client: Client) -> None:
    """Kill what is left of the attempts here, and end them, for no supervisor is left to do it."""
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
        if _supervisors(client.settings):
            raise
        return []


def _supervisors(settings: Settings) -> list[int]:
    found = marked_processes(settings.home)
    return [process.pid for process in found if "workers.supervisor" in command_of(process.pid)]


def _jobs_here(client: Client) -> list[int]:
    """The jobs with a part on this host that has not ended; none where there is no registry."""
    try:
        return sorted({job for job, _, _ in _parts_here(client)})
    except (RegistryUnreachable, RegistryNotMigrated) as error:
        raise RegistryUnreachable(
            f"{error}; so nobody knows which jobs run here: mend it, end all of them with --cancel, or stop the worker "
            "alone with --leave"
        ) from error


def _refusal(jobs: list[int]) -> str:
    several = len(jobs) > 1
    listed = f"jobs {', '.join(map(str, jobs))} run" if several else f"job {jobs[0]} runs"
    them = "them" if several else "it"
    return (
        f"{listed} here: 'down --cancel' cancels {them} first, 'down --leave' lets {them} go on without the worker, "
        f"and 'erfnet-jobs worker --drain' waits for {them} and stops the worker"
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
