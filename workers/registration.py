"""A worker makes itself its host's: it waits whether another one lives under the same name, and registers."""

import ipaddress
import logging
import time

from sqlalchemy import select

from erfnet_jobs import __version__
from erfnet_jobs.errors import AlreadyRunning
from erfnet_jobs.files import write_atomically
from erfnet_jobs.launch.storage import storage_id
from erfnet_jobs.local.worker_process import instance_path, last_instance
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.hosts import register_host, set_drained
from erfnet_jobs.registry.tables import Host
from erfnet_jobs.settings import Settings
from workers.own_devices import FirstLook
from workers.programs import has_infer_310

log = logging.getLogger(__name__)

# So many beats another worker may miss, and is still seen to live.
WATCHED_BEATS = 3
LOOK_SECONDS = 0.1


def register(settings: Settings, registry: Registry, instance: str, first: FirstLook, *, drain: bool) -> bool:
    """Make the host this worker's, which holds its home's lock, with the devices that it has seen; maybe drained.

    Whether it was drained before.

    Raises AlreadyRunning where a worker with another home lives as this host.
    """
    storage = storage_id(settings.runs)
    _refuse_namesake(settings, registry)
    infers_310 = has_infer_310(settings)
    with registry.write() as session:
        changes = register_host(
            session,
            name=settings.host_name,
            address=settings.host_address,
            storage_id=storage,
            version=__version__,
            instance=instance,
            devices=first.states.seen.values(),
            found=first.found,
            infers_310=infers_310,
        )
        drained = session.get_one(Host, settings.host_name).drained
        if drain:
            set_drained(session, settings.host_name, True)
    for change in (*changes, *first.found.troubles):
        log.warning("%s", change)
    write_atomically(instance_path(settings), f"{instance}\n".encode())
    if drained:
        name = settings.host_name
        log.warning("host %s is drained: it gets no job until 'erfnet-jobs hosts resume %s'", name, name)
    return drained


def _refuse_namesake(settings: Settings, registry: Registry) -> None:
    """The last worker of this home is gone, as its lock is ours; one of another home shows by its beat."""
    before = _pulse(registry, settings.host_name)
    if before is None or before[0] == last_instance(settings):
        return
    deadline = time.monotonic() + WATCHED_BEATS * settings.beat_interval
    while time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        pulse = _pulse(registry, settings.host_name)
        if pulse is not None and pulse != before:
            raise AlreadyRunning(
                f"a worker with another home runs as host {settings.host_name!r} already: stop it, "
                "or give this one another name with ERFNET_JOBS_HOST_NAME"
            )


def _pulse(registry: Registry, host: str) -> tuple[str, int] | None:
    """Instance and beat of a host's worker; None where none has registered, or it was stopped in order."""
    with registry.read() as session:
        row = session.execute(select(Host.instance, Host.beat, Host.stopped_at).where(Host.name == host)).one_or_none()
    return None if row is None or row.stopped_at is not None else (row.instance, row.beat)


def address_note(settings: Settings, registry: Registry) -> str | None:
    """What is wrong with the address of a host that others are to reach."""
    try:
        loopback = ipaddress.ip_address(settings.host_address).is_loopback
    except ValueError:
        loopback = settings.host_address == "localhost"
    if registry.sqlite or not loopback:
        return None
    return (
        f"this host's address is {settings.host_address}, which other hosts cannot reach: trainings over several "
        "hosts need ERFNET_JOBS_HOST_ADDRESS"
    )
