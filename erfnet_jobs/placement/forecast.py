"""When jobs that wait could first have what they need: a pure forecast from the running jobs' ETAs. Stdlib only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from erfnet_jobs.placement.decide import RESERVE_AFTER, place
from erfnet_jobs.placement.model import Demand, HostState

MINUTE, HOUR, DAY = 60, 3600, 86400
# (below so many seconds, in steps of): an ETA is an estimate, and nobody should read more out of it.
STEPS = ((10 * MINUTE, MINUTE), (HOUR, 5 * MINUTE), (3 * HOUR, 10 * MINUTE), (DAY, HOUR), (10 * DAY, 6 * HOUR))


@dataclass(frozen=True)
class Holding:
    """Devices of a host that a job holds, and in how many seconds it should give them back (None: not known)."""

    host: str
    devices: frozenset[int]
    seconds: float | None


def about(seconds: float) -> float:
    """The seconds as people are told them: rounded up, to a minute at least, the more coarsely the longer it is."""
    step = next((step for below, step in STEPS if seconds <= below), DAY)
    return float(max(1, -(-int(seconds) // step)) * step)


def first_free(
    demands: Iterable[Demand],
    hosts: Sequence[HostState],
    holdings: Iterable[Holding],
    reserve_after: float = RESERVE_AFTER,
) -> dict[int, float]:
    """In how many seconds (as `about` rounds them) each job could first be placed; those of which it is known.

    The jobs are placed as `place` would, each time when devices become free. How long they run is not known, so what
    they get is not free again; nor are devices whose holder has no ETA. Jobs that could be placed now have no time.
    """
    free_at: dict[float, list[Holding]] = {}
    for holding in holdings:
        if holding.seconds is not None:
            free_at.setdefault(about(holding.seconds), []).append(holding)
    waiting = sorted(demands, key=lambda demand: (-demand.priority, demand.job))
    state = {host.name: host for host in hosts}
    found: dict[int, float] = {}
    for seconds in (0.0, *sorted(free_at)):
        _release(state, free_at.get(seconds, ()))
        older = [replace(demand, waited=demand.waited + seconds) for demand in waiting]
        for decision in place(older, list(state.values()), reserve_after):
            for part in decision.parts:
                host = state[part.host]
                state[part.host] = replace(host, free=host.free - frozenset(part.devices))
                found[decision.job] = seconds
        waiting = [demand for demand in waiting if demand.job not in found]
        if not waiting:
            break
    return {job: seconds for job, seconds in found.items() if seconds}


def _release(state: dict[str, HostState], holdings: Iterable[Holding]) -> None:
    for holding in holdings:
        if host := state.get(holding.host):
            state[holding.host] = replace(host, free=host.free | holding.devices)


def end_of_all(seconds: Mapping[int, float | None]) -> float | None:
    """In how many seconds all of these jobs have ended (as `about` rounds them); None where one's ETA is not known."""
    known = [eta for eta in seconds.values() if eta is not None]
    return about(max(known)) if known and len(known) == len(seconds) else None
