"""The decision: every job in its turn, on what those before it have left."""

from collections.abc import Iterable, Sequence

from erfnet_jobs.jobs import Part
from erfnet_jobs.placement import reasons
from erfnet_jobs.placement.families import CPU_FAMILY
from erfnet_jobs.placement.gangs import Spread, groups, spread_now, spread_to_wait_for
from erfnet_jobs.placement.model import Decision, Demand, HostState
from erfnet_jobs.placement.pinned import pinned_spots
from erfnet_jobs.placement.room import Room, Spot

RESERVE_AFTER = 300.0


def place(
    demands: Iterable[Demand], hosts: Sequence[HostState], reserve_after: float = RESERVE_AFTER
) -> list[Decision]:
    """A decision for every demand, in the order in which they were served.

    A job that has waited for `reserve_after` seconds keeps what is free where it waits.
    """
    served = sorted(demands, key=lambda demand: (-demand.priority, demand.job))
    placing = Placing(hosts, reserve_after)
    return [placing.decide(demand) for demand in served]


class Placing:
    """Decisions one after another, in the order in which jobs are served, on the same hosts."""

    def __init__(self, hosts: Sequence[HostState], reserve_after: float = RESERVE_AFTER) -> None:
        self.room = Room(hosts)
        self._hosts = hosts
        self._reserve_after = reserve_after
        self._spots: dict[tuple[object, ...], list[Spot]] = {}
        self._refused: dict[tuple[object, ...], Decision] = {}

    def decide(self, demand: Demand) -> Decision:
        """Where the next job goes, or why it waits."""
        known = self._refused.get(demand.shape)
        # Free devices only become fewer: where one of this shape found no place, the next one does not either.
        if known is not None and not (known.crowded and self._keeps(demand)):
            return Decision(demand.job, (), known.reason, known.crowded)
        keeps = self._keeps(demand)
        decision = self._decide(demand)
        if not decision.parts and not (decision.crowded and keeps):
            self._refused[demand.shape] = decision
        return decision

    def _keeps(self, demand: Demand) -> bool:
        return demand.waited >= self._reserve_after and self.room.may_keep()

    def _decide(self, demand: Demand) -> Decision:
        if demand.pinned is not None:
            return self._pinned(demand, demand.pinned)
        if spots := self._single(demand):
            return self._on_one(demand, spots)
        if found := groups(demand, self.room.hosts):
            return self._on_several(demand, spread_now(demand, found, self.room) or found)
        return Decision(demand.job, (), reasons.closed(demand, self._hosts))

    def _single(self, demand: Demand) -> list[Spot]:
        """The spots of single hosts that hold the demand, all of them free."""
        if demand.shape not in self._spots:
            allowed = [host for host in self.room.hosts if demand.may_go_to(host)]
            spots = [Spot(host, region) for host in allowed for region in demand.regions(host, demand.cards)]
            self._spots[demand.shape] = spots
        return self._spots[demand.shape]

    def _on_one(self, demand: Demand, spots: list[Spot]) -> Decision:
        free = self.room.free

        def left_over(spot: Spot) -> tuple[object, ...]:
            """The smallest hole, then the host with the least free, then one that is in use already.

            A host that nobody uses is one hole, whatever halves it has.
            """
            host, on_host = spot.host, self.room.free_on(spot.host)
            is_idle = on_host == len(host.usable)
            return host.family == CPU_FAMILY, on_host if is_idle else len(free(spot)), on_host, is_idle, host.name

        def missing(spot: Spot) -> tuple[object, ...]:
            """Where most is free already, a job waits shortest; and best where no other job waits."""
            is_kept = self.room.keeper(spot) is not None
            return spot.host.family == CPU_FAMILY, -len(free(spot)), is_kept, spot.host.name

        if now := [spot for spot in spots if len(free(spot)) >= demand.cards]:
            return self._placed(demand, Spread((min(now, key=left_over),), (demand.cards,)))
        spot = min(spots, key=missing)
        return self._waits(demand, (spot,), reasons.one_host(demand, spot, self.room))

    def _on_several(self, demand: Demand, found: "Spread | list[list[HostState]]") -> Decision:
        if isinstance(found, Spread):
            return self._placed(demand, found)
        spread = spread_to_wait_for(demand, found, self.room)
        return self._waits(demand, spread.spots, reasons.several_hosts(demand, spread, self.room))

    def _pinned(self, demand: Demand, pinned: tuple[Part, ...]) -> Decision:
        spots = pinned_spots(demand, self.room.hosts)
        if spots is None:
            return Decision(demand.job, (), reasons.closed(demand, self._hosts))
        if all(self.room.free(spot) == spot.region for spot in spots):
            for spot in spots:
                self.room.take(spot, len(spot.region))
            return Decision(demand.job, pinned, _assigned(pinned))
        return self._waits(demand, spots, reasons.exact_devices(spots, self.room))

    def _placed(self, demand: Demand, spread: Spread) -> Decision:
        """Ranks follow the hosts' addresses as texts, as in a rank table they must follow the server_ids."""
        parts: list[Part] = []
        rank = 0
        taken = zip(spread.spots, spread.counts, strict=True)
        for spot, count in sorted(taken, key=lambda one: (one[0].host.address, one[0].host.name)):
            parts.append(Part(spot.host.name, self.room.take(spot, count), rank))
            rank += count
        return Decision(demand.job, tuple(parts), _assigned(parts))

    def _waits(self, demand: Demand, spots: Iterable[Spot], reason: str) -> Decision:
        if self._keeps(demand):
            self.room.keep(spots, demand.job)
            reason += reasons.KEPT
        return Decision(demand.job, (), reason, crowded=True)


def _assigned(parts: Iterable[Part]) -> str:
    return f"assigned to {', '.join(part.host for part in parts)}"
