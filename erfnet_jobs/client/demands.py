"""Queued jobs as placement sees them."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from erfnet_jobs.placement import Demand, HostState, families_of_kind
from erfnet_jobs.registry.needs import needed_storages
from erfnet_jobs.registry.queue import QueuedJob
from erfnet_jobs.states import JobKind


def demands_of(session: Session, queue: Sequence[QueuedJob], hosts: Sequence[HostState]) -> list[Demand]:
    """What each of these jobs needs of these hosts; a fixed number of questions, none where all see one storage."""
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
            pinned=job.pinned,
            families=families_of_kind(job.kind, job.allow_cpu),
            infer_310=job.kind == JobKind.INFER_310,
            waited=job.waited,
        )
        for job in queue
    ]
