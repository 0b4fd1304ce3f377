"""The order in which the hosts of a gang get their ranks."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.jobs import Part
from erfnet_jobs.registry.tables import Host, Job


def in_rank_order(session: Session, job_id: int, parts: Sequence[Part]) -> list[Part]:
    """The parts with first ranks by the dictionary order of their hosts' addresses, which name servers in rank tables.

    MindSpore's documentation of rank tables demands it. The parts of a user's own rank table keep theirs.
    """
    pinned = select(Job.pinned).where(Job.id == job_id)
    if len(parts) == 1 or session.scalars(pinned).one_or_none() is not None:
        return list(parts)
    addresses = select(Host.name, Host.address).where(Host.name.in_([part.host for part in parts]))
    address_of = dict(session.execute(addresses).tuples().all())
    first = 0
    ordered = []
    for part in sorted(parts, key=lambda part: (address_of[part.host], part.host)):
        ordered.append(replace(part, first_rank=first))
        first += len(part.devices)
    return ordered
