"""Where ranks say they are, against the plan."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.launch.landing import misplaced
from erfnet_jobs.plan import Plan, RankPlace
from erfnet_jobs.reports import Hello
from erfnet_jobs.states import JobKind
from erfnet_jobs.train_spec import TrainSpec

COUNTS = st.lists(st.integers(1, 8), min_size=1, max_size=3)


def planned(counts: list[int], order: list[int]) -> Plan:
    """Hosts with so many ranks each; those of a host are on its devices in any order."""
    seats = [(f"host{number}", device) for number, count in enumerate(counts) for device in range(count)]
    ranks = tuple(RankPlace(rank, *seat, seat[1]) for rank, seat in enumerate(seats[at] for at in order))
    spec = TrainSpec(data="/nowhere", cards=len(seats), epochs=(1, 1, 1, 1))
    return Plan(JobKind.TRAIN, spec, "/run", "/data", ranks)


def landed(plan: Plan, place: RankPlace) -> Hello:
    return Hello(place.rank, plan.world_size, place.host, plan.device_at(place.host, place.local_rank), 1)


@given(COUNTS, st.data())
def test_only_the_plans_own_places_are_right(counts: list[int], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(sum(counts))))
    plan = planned(counts, order)
    hellos = [landed(plan, place) for place in plan.ranks]
    assert [misplaced(plan, hello) for hello in hellos] == [None] * len(hellos)
    one, other = (data.draw(st.sampled_from(hellos)) for _ in range(2))
    swapped = misplaced(plan, replace(one, rank=other.rank))
    assert (swapped is None) == (one is other)
    for changes in ({"world_size": plan.world_size + 1}, {"rank": plan.world_size}, {"rank": -1}, {"device": -1}):
        assert misplaced(plan, replace(one, **changes)) is not None


def test_the_message_names_both_places() -> None:
    plan = planned([2, 2], [0, 1, 2, 3])
    hello = Hello(rank=2, world_size=4, host="host0", device=1, pid=1)
    assert misplaced(plan, hello) == "rank 2 was to be on host1 device 0, and is on host0 device 1"


def test_a_device_that_the_host_does_not_have() -> None:
    assert planned([2], [0, 1]).device_at("host0", 2) == -1
    assert planned([2], [0, 1]).device_at("elsewhere", 0) == -1
