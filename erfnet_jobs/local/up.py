"""Bringing this machine's servers up: Redis, the registry, the worker; safe to repeat, and one at a time."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from erfnet_jobs.broker import Broker
from erfnet_jobs.broker_url import shown_url
from erfnet_jobs.client.api import this_user
from erfnet_jobs.errors import ErfnetJobsError, from_exit_code
from erfnet_jobs.files import make_private_folder
from erfnet_jobs.local import redis_server, worker_process
from erfnet_jobs.local.deadline import wait_until
from erfnet_jobs.local.locks import held_lock
from erfnet_jobs.local.marks import marked_processes
from erfnet_jobs.local.processes import last_lines, parent_of, stop
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.hosts import HostSummary, list_hosts
from erfnet_jobs.settings import Settings

WORKER_SECONDS = 60.0
SHOWN_LINES = 12

Say = Callable[[str], None]


class WorkerEnded(Exception):
    """The worker ended before it had registered its host."""

    def __init__(self, code: int) -> None:
        self.code = code


@dataclass(frozen=True)
class Servers:
    """What runs, and where. `started` tells what this call has started."""

    broker: str
    registry: str
    host: HostSummary
    worker_pid: int | None
    started: tuple[str, ...]


def bring_up(settings: Settings, devices: int | None, say: Say, migrate: bool = False) -> Servers:
    """Start what does not run yet, and wait until the worker has registered this host.

    An embedded registry is created or upgraded; a configured one only with `migrate`. What this call started is stopped
    again if it fails or is interrupted. Raises MissingDependency, BrokerUnreachable, RegistryNotMigrated,
    RegistryUnreachable, UsageError, or the error with which the worker ended.
    """
    make_private_folder(settings.home)
    with (
        held_lock(settings.home / "up.lock", lambda: say("another 'up' or 'down' is at work here; waiting for it")),
        _undone(settings) as started,
    ):
        _broker_up(settings, say, started)
        registry = _registry_up(settings, say, migrate)
        try:
            host = _worker_up(settings, registry, devices, say, started)
        finally:
            registry.close()
        if host.drained:
            say(f"{host.name} is drained: it gets no job until 'erfnet-jobs hosts resume {host.name}'")
        running = worker_process.running_worker(settings)
        return Servers(
            broker=shown_url(settings.resolved_broker_url),
            registry=registry.shown_url,
            host=host,
            worker_pid=running.pid if running else None,
            started=tuple(started),
        )


@contextmanager
def _undone(settings: Settings) -> Iterator[list[str]]:
    """What was started; stopped again if the rest does not come to its end, Ctrl-C included.

    A marked child of this process is what it started, also a worker that has not said yet who it is. Redis overwrites
    its environment, and so the mark, with its title; its socket tells it.
    """
    started: list[str] = []
    try:
        yield started
    except BaseException:
        for child in marked_processes(settings.home):
            if parent_of(child.pid) == os.getpid():
                stop(child, worker_process.STOP_SECONDS)
        if "Redis" in started:
            redis_server.stop_redis(settings)
        raise


def _broker_up(settings: Settings, say: Say, started: list[str]) -> None:
    if not settings.embedded_broker:
        broker = Broker(settings.resolved_broker_url)
        broker.ping()
        broker.close()
        say(f"Redis answers at {shown_url(settings.resolved_broker_url)}")
        return
    if redis_server.running_redis(settings) is None:
        started.append("Redis")
    redis_server.start_redis(settings)
    say(f"Redis {'started' if 'Redis' in started else 'is up already'} at {settings.redis_socket}")


def _registry_up(settings: Settings, say: Say, migrate: bool) -> Registry:
    url = settings.resolved_database_url
    registry = Registry(url)
    if settings.database_url is None or migrate:
        from erfnet_jobs.registry.migrate import upgrade

        before, after = upgrade(url, actor=this_user())
        change = "" if before == after else " (created)" if before is None else f" (was at {before})"
        say(f"Registry at version {after}{change}: {registry.shown_url}")
    else:
        with registry.read():
            say(f"Registry answers: {registry.shown_url}")
    return registry


def _own_host(settings: Settings, registry: Registry) -> HostSummary | None:
    with registry.read() as session:
        return next((host for host in list_hosts(session) if host.name == settings.host_name), None)


def _worker_up(
    settings: Settings, registry: Registry, devices: int | None, say: Say, started: list[str]
) -> HostSummary:
    before = _own_host(settings, registry)
    if worker_process.running_worker(settings):
        say("Worker is up already" + (": '--devices' counts when it starts, so 'down' first" if devices else ""))
        return _registered(settings, registry, None, None)
    started.append("worker")
    log = worker_process.log_path(settings)
    since = log.stat().st_size if log.exists() else 0
    process = worker_process.start_worker(settings, devices)
    try:
        host = _registered(settings, registry, process, before.instance if before else None)
    except WorkerEnded as ended:
        raise _explained(log, since, ended.code) from None
    say(f"Worker started on {host.name} with {len(host.usable)} devices, process {process.pid}")
    return host


def _registered(
    settings: Settings, registry: Registry, process: "Popen[bytes] | None", old_instance: str | None
) -> HostSummary:
    """The host as its worker has registered it; an `old_instance` is that of a worker before."""
    found: list[HostSummary] = []

    def there() -> bool:
        host = _own_host(settings, registry)
        if host is not None and host.stopped_at is None and host.instance != old_instance:
            found.append(host)
        return bool(found) or (process is not None and process.poll() is not None)

    wait_until(there, WORKER_SECONDS, 0.1)
    if process is not None and process.poll() is not None:
        raise WorkerEnded(process.returncode)
    if not found:
        raise ErfnetJobsError(
            f"the worker has not registered this host within {WORKER_SECONDS:.0f} s: its log is "
            f"{worker_process.log_path(settings)}; end it with 'erfnet-jobs down'"
        )
    return found[-1]


def _explained(log: Path, since: int, code: int) -> ErfnetJobsError:
    kind = from_exit_code(code) if code > 1 else ErfnetJobsError
    said = last_lines(log, SHOWN_LINES, since)
    return kind(f"the worker ended at its start (exit code {code}); the end of {log}:\n{said}")
