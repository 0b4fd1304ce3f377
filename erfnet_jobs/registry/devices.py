"""The devices of hosts: what their workers believe of them, and cordons."""

from collections.abc import Iterable, Sequence

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from erfnet_jobs.ascend import devices as ascend
from erfnet_jobs.ascend.health import Seen
from erfnet_jobs.registry.events import Actor, record_event
from erfnet_jobs.registry.summaries import refresh_summary
from erfnet_jobs.registry.tables import Device

# What a row keeps of a device; the rest changes with every look.
KEPT = (
    "id",
    "kind",
    "name",
    "generation",
    "health",
    "error_code",
    "npu_id",
    "chip_id",
    "physical_id",
    "device_ip",
    "link",
    "cores",
    "memory",
)


def kept(seen: Seen) -> tuple[object, ...]:
    """What a row keeps of a device as it is seen."""
    return (*(getattr(seen.device, name) for name in KEPT), seen.present, seen.fit, seen.busy)


def seen_devices(session: Session, host: str) -> dict[int, Seen]:
    """What the worker of a host believed of its devices, by id."""
    rows = session.scalars(select(Device).where(Device.host_name == host).order_by(Device.id))
    return {row.id: _seen(row) for row in rows}


def store_devices(session: Session, host: str, seen: Iterable[Seen]) -> list[str]:
    """Write what is believed of a host's devices now; what has changed, which are events too. Cordons stay."""
    changes = []
    for now in sorted(seen, key=lambda one: one.device.id):
        row = session.get(Device, (host, now.device.id), with_for_update=True, populate_existing=True)
        if row is None:
            row = Device(host_name=host)
            session.add(row)
        else:
            changes += _changes(_seen(row), now)
        for name in KEPT:
            setattr(row, name, getattr(now.device, name))
        row.present, row.fit, row.busy = now.present, now.fit, now.busy
    session.flush()
    refresh_summary(session, host)
    for change in changes:
        record_event(session, "device", change, host=host)
    return changes


def _seen(row: Device) -> Seen:
    device = ascend.Device(**{name: getattr(row, name) for name in KEPT})
    return Seen(device, row.present, row.fit, row.busy)


def _changes(before: Seen, now: Seen) -> list[str]:
    name = f"device {now.device.id}"
    changes = []
    if before.state != now.state:
        kept = "" if now.fit and now.present else "; no job gets it"
        changes.append(f"{name}: {before.state} -> {now.state}{kept}")
    if before.busy != now.busy:
        busy = f"busy with {now.busy}, which is none of ours; no job gets it" if now.busy else "no longer busy"
        changes.append(f"{name}: {busy}")
    if before.device.link != now.device.link:
        changes.append(f"{name}: link {before.device.link or 'unknown'} -> {now.device.link or 'unknown'}")
    return changes


def cordon(session: Session, host: str, devices: Sequence[int], reason: str) -> None:
    """Keep jobs from devices, for `reason`; those that are cordoned already stay so for theirs."""
    _set_cordon(session, host, devices, None, reason)


def uncordon(session: Session, host: str, devices: Sequence[int], reason: str) -> None:
    """Let jobs have those devices again that were cordoned for this very reason."""
    _set_cordon(session, host, devices, reason, None)


def set_cordon(session: Session, host: str, devices: Sequence[int], reason: str | None, actor: Actor) -> None:
    """A user's cordon, which replaces the one there is; or, without a reason, the end of any."""
    rows = select(Device).where(Device.host_name == host, Device.id.in_(devices)).order_by(Device.id)
    changed = [row for row in session.scalars(rows.with_for_update()) if row.cordoned != reason]
    for row in changed:
        text = f"device {row.id}: {reason or row.cordoned}"
        record_event(session, "cordoned" if reason else "uncordoned", text, host=host, actor=actor)
        row.cordoned = reason
    if changed:
        refresh_summary(session, host)


def _set_cordon(session: Session, host: str, devices: Sequence[int], old: str | None, new: str | None) -> None:
    changed = session.execute(
        update(Device)
        .where(Device.host_name == host, Device.id.in_(devices), Device.cordoned.is_not_distinct_from(old))
        .values(cordoned=new)
    )
    if isinstance(changed, CursorResult) and changed.rowcount:
        refresh_summary(session, host)
        text = f"devices {', '.join(map(str, devices))}: {new or old}"
        record_event(session, "cordoned" if new else "uncordoned", text, host=host)
