"""Parts of attempts as workers look after them: whose they are, which leases stand, which are late."""

import json
from dataclasses import dataclass

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session

from erfnet_jobs.registry.summaries import HELD
from erfnet_jobs.registry.tables import Attempt, Job, Lease, Placement
from erfnet_jobs.states import PartState

UNSTARTED = (PartState.ASSIGNED, PartState.STARTING)


@dataclass(frozen=True, order=True)
class PartKey:
    """A part of an attempt: the one on `host`."""

    job: int
    attempt: int
    host: str


@dataclass(frozen=True)
class HeldPart:
    """A part that holds its devices still.

    `ended`: its attempt has an outcome. `cancelled`: the user wants it cancelled. `leased`: a supervisor has its lease,
    or had when it was lost from sight. `scheduler` is known once the host of rank 0 has published it.
    """

    key: PartKey
    kind: str
    state: PartState
    devices: tuple[int, ...]
    first_rank: int
    run_dir: str
    ended: bool
    cancelled: bool
    leased: bool
    scheduler: tuple[str, int] | None


def held_parts(session: Session, host: str) -> list[HeldPart]:
    """The parts of a host that hold devices, oldest job first."""
    rows = _placements().where(Placement.state.in_(HELD), Placement.host_name == host)
    return [_held(*row) for row in session.execute(rows.order_by(Placement.job_id, Placement.attempt))]


def held_part(session: Session, key: PartKey) -> HeldPart | None:
    """One part, where it holds devices still."""
    row = session.execute(
        _placements().where(
            Placement.job_id == key.job,
            Placement.attempt == key.attempt,
            Placement.host_name == key.host,
            Placement.state.in_(HELD),
        )
    ).one_or_none()
    return _held(*row) if row else None


def _placements() -> Select[tuple[Placement, Attempt, Job, Lease]]:
    return (
        select(Placement, Attempt, Job, Lease)
        .join(Attempt, and_(Attempt.job_id == Placement.job_id, Attempt.number == Placement.attempt))
        .join(Job, Job.id == Placement.job_id)
        .outerjoin(
            Lease,
            and_(
                Lease.job_id == Placement.job_id,
                Lease.attempt == Placement.attempt,
                Lease.host_name == Placement.host_name,
            ),
        )
    )


def _held(placement: Placement, attempt: Attempt, job: Job, lease: Lease | None) -> HeldPart:
    host, port = attempt.scheduler_host, attempt.scheduler_port
    return HeldPart(
        key=PartKey(placement.job_id, placement.attempt, placement.host_name),
        kind=job.kind,
        state=PartState(placement.state),
        devices=tuple(json.loads(placement.devices)),
        first_rank=placement.first_rank,
        run_dir=attempt.run_dir,
        ended=attempt.outcome is not None,
        cancelled=job.cancel_requested,
        leased=lease is not None,
        scheduler=(host, port) if host is not None and port is not None else None,
    )


def lease_pid(session: Session, key: PartKey) -> int | None:
    """The process that holds a lease, as it said itself; None where there is no lease, or no beat yet."""
    return session.scalars(
        select(Lease.pid).where(Lease.job_id == key.job, Lease.attempt == key.attempt, Lease.host_name == key.host)
    ).one_or_none()


def parts_of_attempt(session: Session, job: int, attempt: int) -> list[tuple[str, tuple[int, ...], int]]:
    """(host, devices, first rank) of each part of an attempt, by rank."""
    rows = select(Placement).where(Placement.job_id == job, Placement.attempt == attempt)
    return [
        (row.host_name, tuple(json.loads(row.devices)), row.first_rank)
        for row in session.scalars(rows.order_by(Placement.first_rank))
    ]
