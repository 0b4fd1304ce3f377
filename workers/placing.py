"""One placement pass: the queue and the hosts into a pure decision, and the decision into the registry."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.orm import Session

from erfnet_jobs.placement import Decision, Demand, HostState, place
from erfnet_jobs.registry.attempts import assign
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.hosts import list_hosts
from erfnet_jobs.registry.parts import PartKey
from erfnet_jobs.registry.queue import QueuedJob, lock_jobs, lock_pass, needed_storages, queued_jobs, set_reasons

# Those further behind are told that they wait, and not each change of what is free.
DETAILED = 20
BEHIND = "in the queue: the devices are busy with the jobs before it"


def pass_once(registry: Registry, runs: Path, silent: frozenset[str]) -> list[PartKey]:
    """Place what can be placed now; the parts that were assigned.

    `silent` are hosts whose worker's pulse stands still. Nothing is locked or written while nothing changes.
    """
    with registry.read() as session:
        queue, decisions = _decide(session, silent)
        if not any(decision.parts for decision in decisions) and not _reasons(queue, decisions):
            return []
    with registry.write() as session:
        if not lock_pass(session):
            return []
        queue, decisions = _decide(session, silent)
        reasons = _reasons(queue, decisions)
        lock_jobs(session, [*reasons, *(decision.job for decision in decisions if decision.parts)])
        placed = _assign(session, queue, decisions, runs)
        set_reasons(session, reasons)
    return placed


def _decide(session: Session, silent: frozenset[str]) -> tuple[dict[int, QueuedJob], list[Decision]]:
    queue = queued_jobs(session)
    if not queue:
        return {}, []
    hosts = [
        HostState(
            name=host.name,
            storage=host.storage_id,
            usable=host.usable,
            free=host.free,
            is_open=host.stopped_at is None and not host.drained and host.name not in silent,
        )
        for host in list_hosts(session)
    ]
    decisions = place(_demands(session, queue, hosts), hosts)
    return {job.id: job for job in queue}, decisions


def _demands(session: Session, queue: Sequence[QueuedJob], hosts: Sequence[HostState]) -> list[Demand]:
    several = len({host.storage for host in hosts}) > 1
    storages = needed_storages(session, queue) if several else {}
    return [
        Demand(
            job=job.id,
            cards=job.cards,
            priority=job.priority,
            host=job.host,
            devices=job.devices,
            storages=storages.get(job.id, frozenset()),
        )
        for job in queue
    ]


def _assign(session: Session, queue: dict[int, QueuedJob], decisions: Sequence[Decision], runs: Path) -> list[PartKey]:
    placed = []
    for decision in decisions:
        if not decision.parts:
            continue
        number = queue[decision.job].attempt + 1
        run_dir = str(runs / str(decision.job) / str(number))
        if assign(session, decision.job, number - 1, decision.parts, run_dir):
            placed += [PartKey(decision.job, number, part.host) for part in decision.parts]
    return placed


def _reasons(queue: dict[int, QueuedJob], decisions: Sequence[Decision]) -> dict[int, str]:
    """The waiting jobs whose reason has changed."""
    waiting = [decision for decision in decisions if not decision.parts]
    shown = {
        decision.job: BEHIND if decision.crowded and rank >= DETAILED else decision.reason
        for rank, decision in enumerate(waiting)
    }
    return {job: reason for job, reason in shown.items() if queue[job].reason != reason}
