"""A registry in a telling state, by the registry's own steps: for pictures, and for tests of what shows it."""

from datetime import timedelta
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from erfnet_jobs.ascend.devices import Device
from erfnet_jobs.ascend.health import Seen
from erfnet_jobs.jobs import Request
from erfnet_jobs.registry.attempts import End, claim, end_part, report_running
from erfnet_jobs.registry.devices import store_devices
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.events import Actor, now
from erfnet_jobs.registry.hosts import set_drained
from erfnet_jobs.registry.jobs import new_group, submit_job
from erfnet_jobs.registry.parts import PartKey
from erfnet_jobs.registry.tables import Device as DeviceRow
from erfnet_jobs.registry.tables import Host, Job
from erfnet_jobs.specs import EvalSpec, ExportSpec, Spec
from erfnet_jobs.states import Outcome
from erfnet_jobs.train_spec import TrainSpec
from tests.registry_steps import SCHEDULER, add_hosts
from workers.placing import pass_once

ROADS, TRAMS = Actor("roads", "shell"), Actor("trams", "shell")
DATA = "/data/cityscapes"
NO_DISK = End(Outcome.FAILED, "rank 3: no space is left on /data: make room, and submit again", permanent=True, rank=3)
DONE = End(Outcome.SUCCEEDED, "all ranks are done")


def add_host(session: Session, name: str, generation: str = "910B", devices: int = 8) -> None:
    """A host with Ascend devices in health."""
    add_hosts(session, name)
    session.execute(update(Host).where(Host.name == name).values(address=f"10.0.0.{ord(name[-1])}"))
    store_devices(session, name, [Seen(_device(number, generation)) for number in range(devices)])


def _device(number: int, generation: str) -> Device:
    return Device(number, "npu", f"Ascend {generation}", health="ok", generation=generation)


def add_job(
    session: Session, spec: Spec, name: str | None = None, after: tuple[int, ...] = (), by: Actor = ROADS
) -> int:
    """A job in a group of its own."""
    return submit_job(session, Request(spec, name=name, after=after, max_attempts=1), by, group=new_group(session)).id


def start_all(registry: Registry, runs: Path) -> list[PartKey]:
    """Place what can be placed, and have its supervisors say that it runs."""
    parts = pass_once(registry, runs, frozenset())
    with registry.write() as session:
        for part in parts:
            assert claim(session, part.job, part.attempt, part.host, SCHEDULER)
            report_running(session, part.job, part.attempt, part.host)
    return parts


def set_progress(session: Session, job: int, **columns: object) -> None:
    """How far a job is, as its rank 0 has reported it."""
    session.execute(update(Job).where(Job.id == job).values(**columns))


def fill(registry: Registry, runs: Path) -> None:
    """Four hosts, jobs that have ended, run, wait for devices and wait for other jobs, and devices with faults."""
    with registry.write() as session:
        for name in ("npu-a", "npu-b", "npu-c"):
            add_host(session, name)
        add_host(session, "edge-1", "310P", 4)
        first = add_job(session, TrainSpec(DATA, cards=8), "no-aug", by=TRAMS)
        add_job(session, ExportSpec("/models/best.ckpt"), "baseline")
    for part in start_all(registry, runs):
        with registry.write() as session:
            end_part(session, part.job, part.attempt, part.host, NO_DISK if part.job == first else DONE, 10)
    with registry.write() as session:
        whole = add_job(session, TrainSpec(DATA, cards=8), "baseline")
        half = add_job(session, TrainSpec(DATA, cards=4, lr=1e-3), "lr-1e-3", by=TRAMS)
        small = add_job(session, TrainSpec(DATA, cards=2, stages=(3, 4), checkpoint="/models/encoder.ckpt"), "decoder")
        measured = add_job(session, EvalSpec(("/models/best.ckpt",), DATA), "val", by=TRAMS)
    start_all(registry, runs)
    with registry.write() as session:
        add_job(session, EvalSpec((f"{whole}:all",), DATA), "baseline", after=(whole,))
        add_job(session, ExportSpec(f"{half}:best"), after=(half,), by=TRAMS)
        add_job(session, TrainSpec(DATA, cards=8), "bs-12", by=TRAMS)
        add_job(session, TrainSpec(DATA, cards=8), "seed-2")
        _progress(session, whole, half, small, measured)
        session.execute(update(DeviceRow).where(DeviceRow.host_name == "npu-c", DeviceRow.id == 6).values(fit=False))
        cordoned = update(DeviceRow).where(DeviceRow.host_name == "npu-c", DeviceRow.id == 7)
        session.execute(cordoned.values(cordoned="fan is to be changed"))
        set_drained(session, "edge-1", True)
        store_devices(session, "npu-c", [_seen(number) for number in range(8)])
    pass_once(registry, runs, frozenset())
    with registry.write() as session:
        _age(session)


def _age(session: Session) -> None:
    """As if a job had been submitted every 50 minutes."""
    at = now(session)
    for job in session.scalars(select(Job).order_by(Job.id.desc())):
        at -= timedelta(minutes=50)
        job.created_at = at
        job.ended_at = job.ended_at and at + timedelta(minutes=37)


def _seen(number: int) -> Seen:
    return Seen(_device(number, "910B"), fit=number != 6)


def _progress(session: Session, whole: int, half: int, small: int, measured: int) -> None:
    steps = {"phase": "train", "lr": 4.1e-4}
    set_progress(
        session,
        whole,
        **steps,
        fraction=0.71,
        stage=3,
        epoch=41,
        epochs=65,
        step=30,
        steps=61,
        loss=0.412,
        images_per_second=96.4,
        eta_seconds=2350.0,
    )
    set_progress(
        session,
        half,
        **steps,
        fraction=0.18,
        stage=1,
        epoch=12,
        epochs=65,
        step=101,
        steps=123,
        loss=1.274,
        images_per_second=51.0,
        eta_seconds=30200.0,
    )
    set_progress(
        session,
        small,
        **steps,
        fraction=0.44,
        stage=4,
        epoch=3,
        epochs=85,
        step=7,
        steps=247,
        loss=0.688,
        images_per_second=24.9,
        eta_seconds=14100.0,
    )
    set_progress(session, measured, phase="evaluate 311 of 500", images_per_second=8.3)
