"""The registered hosts as placement sees them, by the registry's clock."""

from sqlalchemy.orm import Session

from erfnet_jobs.placement import HostState
from erfnet_jobs.registry.summaries import host_rows
from erfnet_jobs.registry.suspects import silent_hosts


def host_states(session: Session, lease_timeout: float) -> list[HostState]:
    """All hosts by name; one that has not been heard of for `lease_timeout` seconds is not open.

    For people: workers watch each other by clocks of their own, and that decides.
    """
    silent = silent_hosts(session, lease_timeout)
    return [
        HostState.of_summary(
            row.name, row.address, row.storage, row.closed(silent), infers_310=row.infers_310, **vars(row.summary)
        )
        for row in host_rows(session)
    ]
