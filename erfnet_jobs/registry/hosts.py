"""Hosts and their devices: registering, beating, and what is free on them."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from sqlalchemy import CursorResult, select, text, update
from sqlalchemy.orm import Session

from erfnet_jobs.ascend.devices import HostDevices
from erfnet_jobs.ascend.health import Seen
from erfnet_jobs.errors import NotFound, UsageError
from erfnet_jobs.registry.devices import seen_devices, store_devices
from erfnet_jobs.registry.engine import HEAD
from erfnet_jobs.registry.events import Actor, clock, now, record_event
from erfnet_jobs.registry.summaries import held_devices, is_usable
from erfnet_jobs.registry.tables import Device, Host


@dataclass(frozen=True)
class DeviceSummary:
    """A device, and the job that holds it (None: none does)."""

    id: int
    kind: str
    name: str
    generation: str | None
    health: str
    present: bool
    fit: bool
    busy: str | None
    cordoned: str | None
    error_code: str | None
    npu_id: int | None
    chip_id: int | None
    physical_id: int | None
    device_ip: str | None
    link: str | None
    memory: int | None
    job: int | None

    @property
    def usable(self) -> bool:
        """Whether a job may have it at all."""
        return is_usable(self)


_ROW = tuple(entry.name for entry in fields(DeviceSummary) if entry.name != "job")


@dataclass(frozen=True)
class HostSummary:
    """A host with its devices by id.

    `stopped_at`: its worker was ended in order; `seen_at`: its newest beat, `silence` seconds ago. `infers_310`: it
    has the C++ program of 310-infer jobs.
    """

    name: str
    address: str
    storage_id: str
    version: str
    instance: str
    drained: bool
    beat: int
    registered_at: datetime
    seen_at: datetime
    stopped_at: datetime | None
    family: str
    infers_310: bool
    driver: str | None
    cann: str | None
    trouble: str | None
    silence: float
    devices: tuple[DeviceSummary, ...] = field(default=())

    @property
    def usable(self) -> frozenset[int]:
        """Devices that are there, fit, not busy and not cordoned."""
        return frozenset(device.id for device in self.devices if device.usable)

    @property
    def free(self) -> frozenset[int]:
        """Usable devices that no attempt holds."""
        return frozenset(device.id for device in self.devices if device.usable and device.job is None)


def list_hosts(session: Session, *, with_stopped: bool = True) -> list[HostSummary]:
    """All registered hosts by name, with their devices and who holds them."""
    held = held_devices(session)
    devices: dict[str, list[DeviceSummary]] = {}
    for row in session.scalars(select(Device).order_by(Device.host_name, Device.id)):
        summary = DeviceSummary(**{name: getattr(row, name) for name in _ROW}, job=held.get((row.host_name, row.id)))
        devices.setdefault(row.host_name, []).append(summary)
    hosts = select(Host).order_by(Host.name)
    if not with_stopped:
        hosts = hosts.where(Host.stopped_at.is_(None))
    found, at = session.scalars(hosts).all(), now(session)
    return [_summary(host, devices.get(host.name, []), at) for host in found]


def get_host(session: Session, name: str) -> HostSummary:
    """One host; raises NotFound."""
    found = next((host for host in list_hosts(session) if host.name == name), None)
    if found is None:
        raise _unknown(name)
    return found


def register_host(
    session: Session,
    *,
    name: str,
    address: str,
    storage_id: str,
    version: str,
    instance: str,
    devices: Iterable[Seen],
    found: HostDevices | None = None,
    infers_310: bool = True,
) -> list[str]:
    """Make or renew the host of a worker that starts, and its devices; those that it no longer has are not present.

    `found` has what its tools told of the host itself; without `infers_310` it gets no 310-infer jobs. What has
    changed of devices that were known is given back.

    Cordons and a drained host stay so. Raises UsageError for a second host in SQLite, which serves one machine only.
    """
    if session.get_bind().dialect.name == "sqlite":
        _refuse_second_host(session, name)
    at = now(session)
    now_true = {
        "address": address,
        "storage_id": storage_id,
        "version": version,
        "instance": instance,
        "infers_310": infers_310,
        "seen_at": at,
    }
    if session.get(Host, name) is None:
        session.add(Host(name=name, registered_at=at, beat=0, **now_true))
        session.flush()
    # Devices before the host's own row, which is locked last: who cordons devices takes this order too.
    now_seen = {seen.device.id: seen for seen in devices}
    gone = {number: replace(seen, present=False) for number, seen in seen_devices(session, name).items()}
    changes = store_devices(session, name, {**gone, **now_seen}.values())
    session.execute(update(Host).where(Host.name == name).values(beat=Host.beat + 1, stopped_at=None, **now_true))
    if found is not None:
        store_software(session, name, found)
    record_event(session, "host up", f"worker {version} at {address}", host=name)
    return changes


def store_software(session: Session, name: str, found: HostDevices) -> None:
    """What a host's tools told of the host itself: the versions of its driver and of CANN, and what they could not."""
    trouble = "\n".join(found.troubles) or None
    session.execute(update(Host).where(Host.name == name).values(driver=found.driver, cann=found.cann, trouble=trouble))


def _refuse_second_host(session: Session, name: str) -> None:
    others = session.scalars(select(Host.name).where(Host.name != name)).all()
    if others:
        raise UsageError(
            f"this registry is a SQLite file and belongs to host {others[0]!r}; this worker would be host {name!r}: "
            f"set ERFNET_JOBS_HOST_NAME={others[0]} if this is the same machine, "
            "or ERFNET_JOBS_DATABASE_URL to a postgresql+psycopg:// URL for several machines"
        )


def beat_host(session: Session, name: str, instance: str) -> bool:
    """Increment the pulse of a worker, as long as the registry is of this program's version.

    False where it is not, or another run of a worker has taken the host over.
    """
    ours = text("EXISTS (SELECT 1 FROM alembic_version WHERE version_num = :head)").bindparams(head=HEAD)
    beaten = session.execute(
        update(Host)
        .where(Host.name == name, Host.instance == instance, ours)
        .values(beat=Host.beat + 1, seen_at=clock(session), stopped_at=None)
        .execution_options(synchronize_session=False)
    )
    return isinstance(beaten, CursorResult) and beaten.rowcount == 1


def stop_host(session: Session, name: str, instance: str, how: str = "its worker ended in order") -> bool:
    """A worker has ended: nothing new is placed on its host. False where that is known, or another one has it."""
    of_worker = (Host.name == name, Host.instance == instance, Host.stopped_at.is_(None))
    stopped = session.execute(update(Host).where(*of_worker).values(stopped_at=now(session)))
    if not isinstance(stopped, CursorResult) or not stopped.rowcount:
        return False
    record_event(session, "host down", how, host=name)
    return True


def set_drained(session: Session, name: str, drained: bool, actor: Actor | None = None) -> None:
    """Keep new jobs from a host, or let them in again; without an actor its worker does. Raises NotFound."""
    host = session.get(Host, name)
    if host is None:
        raise _unknown(name)
    if host.drained != drained:
        host.drained = drained
        kind, by = "host drained" if drained else "host undrained", "a user" if actor else "its worker"
        record_event(session, kind, f"by {by}", host=name, actor=actor)


def _summary(host: Host, devices: Iterable[DeviceSummary], at: datetime) -> HostSummary:
    return HostSummary(
        name=host.name,
        address=host.address,
        storage_id=host.storage_id,
        version=host.version,
        instance=host.instance,
        drained=host.drained,
        beat=host.beat,
        registered_at=host.registered_at,
        seen_at=host.seen_at,
        stopped_at=host.stopped_at,
        family=host.family,
        infers_310=host.infers_310,
        driver=host.driver,
        cann=host.cann,
        trouble=host.trouble,
        silence=(at - host.seen_at).total_seconds(),
        devices=tuple(devices),
    )


def _unknown(name: str) -> NotFound:
    return NotFound(f"host {name!r} is unknown to this registry: 'erfnet-jobs hosts' lists the hosts")
