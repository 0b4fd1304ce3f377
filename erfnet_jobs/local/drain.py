"""Draining this machine's worker: no new job, waiting for those that run, then stopping it."""

from collections.abc import Callable
from dataclasses import dataclass
from time import sleep

from erfnet_jobs.client import Client
from erfnet_jobs.client.draining import Drain, Drained, jobs_on
from erfnet_jobs.errors import ErfnetJobsError, Interrupted, RegistryUnreachable
from erfnet_jobs.local import worker_process

LOOK_SECONDS = 0.5

Say = Callable[[str], None]


@dataclass(frozen=True)
class WorkerDrained:
    """What was waited for. `worker_pid` is the worker's that was stopped; `drained`: the host stays so."""

    jobs: tuple[int, ...]
    worker_pid: int
    drained: bool


def jobs_here(client: Client) -> list[int]:
    """The jobs that have devices of this host."""
    with client.registry.read() as session:
        return [job["id"] for job in jobs_on(session, client.settings.host_name)]


def drain_worker(client: Client, say: Say) -> WorkerDrained | None:
    """Wait until nothing runs on this host, and stop its worker; None where none runs.

    The host stays drained where it was before; else a worker that starts later gets jobs again. Interrupted, it stays
    drained, too. Raises NotFound for a host that is not registered; ErfnetJobsError where the worker ends or the host
    is resumed meanwhile; Interrupted.
    """
    settings = client.settings
    running = worker_process.running_worker(settings)
    if running is None:
        return None
    name = settings.host_name
    before = any(host["name"] == name and host["drained"] for host in client.hosts())
    client.drain(name)
    jobs = jobs_here(client)
    try:
        _wait(client, running.pid, say)
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"interrupted: {name} stays drained and its worker runs on; 'erfnet-jobs worker --drain' waits again, "
            f"'erfnet-jobs hosts resume {name}' lets it have jobs again"
        ) from error
    worker_process.stop_worker(settings)
    if not before:
        client.resume(name)
    return WorkerDrained(tuple(jobs), running.pid, before)


def _wait(client: Client, pid: int, say: Say) -> None:
    name = client.settings.host_name
    drain, troubles = Drain(name, say), [""]
    while (state := _look(client, drain, troubles, say)) is not Drained.EMPTY:
        if state is Drained.RESUMED:
            raise ErfnetJobsError(f"{name} has been resumed meanwhile: it gets jobs again, and its worker runs on")
        running = worker_process.running_worker(client.settings)
        if running is None or running.pid != pid:
            raise ErfnetJobsError(
                f"the worker of {name} has ended meanwhile; {name} stays drained: 'erfnet-jobs worker --drain' again "
                "looks after what still runs"
            )
        sleep(LOOK_SECONDS)


def _look(client: Client, drain: Drain, troubles: list[str], say: Say) -> Drained:
    """As the drain says; while the registry is away nobody knows, and that is told once."""
    try:
        with client.registry.read() as session:
            return drain.look(session)
    except RegistryUnreachable as error:
        if str(error) != troubles[-1]:
            say(f"{error}; still waiting")
            troubles.append(str(error))
        return Drained.WAITING
