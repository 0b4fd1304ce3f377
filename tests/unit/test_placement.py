"""The placement: examples for people, and properties that always hold."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.jobs import Part
from erfnet_jobs.placement import Decision, Demand, HostState, can_ever_run, place


def host(
    name: str, usable: int = 4, free: set[int] | None = None, storage: str = "s", is_open: bool = True
) -> HostState:
    every = frozenset(range(usable))
    return HostState(name, storage, every, every if free is None else frozenset(free), is_open)


def parts_of(decisions: list[Decision]) -> dict[int, tuple[Part, ...]]:
    return {decision.job: decision.parts for decision in decisions}


def test_a_job_goes_to_the_host_that_it_fills_best() -> None:
    decided = place([Demand(1, 2)], [host("a", 8), host("b", 8, {5, 6, 7}), host("c", 8, {1, 4})])

    assert decided == [Decision(1, (Part("c", (1, 4), 0),), "assigned to c")]


def test_higher_priority_goes_first_and_then_age() -> None:
    decided = place([Demand(1, 1), Demand(2, 1), Demand(3, 1, priority=5)], [host("a", 2)])

    assert [decision.job for decision in decided] == [3, 1, 2]
    assert parts_of(decided) == {3: (Part("a", (0,), 0),), 1: (Part("a", (1,), 0),), 2: ()}


def test_a_waiting_job_keeps_what_is_free_on_the_host_it_waits_for() -> None:
    wide, narrow = Demand(1, 4), Demand(2, 1)

    decided = place([wide, narrow], [host("a", 4, {0, 1, 2})])

    assert parts_of(decided) == {1: (), 2: ()}
    assert [decision.reason for decision in decided] == [
        "needs 4 free devices on one host: 3 of 4 free on a",
        "waits for devices of a behind job 1",
    ]
    assert parts_of(place([wide, narrow], [host("a", 4, {0}), host("b", 2)])) == {1: (), 2: (Part("b", (0,), 0),)}


def test_a_waiting_job_leaves_what_it_cannot_use() -> None:
    picky = Demand(1, 2, host="a", devices=(0, 1))

    decided = place([picky, Demand(2, 1)], [host("a", 4, {1, 3})])

    assert parts_of(decided) == {1: (), 2: (Part("a", (3,), 0),)}
    assert decided[0].reason == "waits for device 0 of a, which another job holds"


def test_several_hosts_only_where_one_could_never_hold_it() -> None:
    hosts = [host("a", 4, {0, 1}), host("b", 4), host("c", 2)]

    assert parts_of(place([Demand(1, 4)], hosts))[1] == (Part("b", (0, 1, 2, 3), 0),)
    assert parts_of(place([Demand(1, 6)], hosts))[1] == (Part("b", (0, 1, 2, 3), 0), Part("a", (0, 1), 4))
    assert place([Demand(1, 9)], hosts)[0].reason == "needs 9 free devices on a, b, c: 8 of 10 free"


def test_several_hosts_share_one_storage() -> None:
    hosts = [host("a", 2, storage="x"), host("b", 2, storage="y"), host("c", 2, storage="y")]

    assert [part.host for part in parts_of(place([Demand(1, 4)], hosts))[1]] == ["b", "c"]
    assert parts_of(place([Demand(1, 6)], hosts))[1] == ()
    assert can_ever_run(Demand(1, 6), hosts) is not None


def test_files_bind_a_job_to_the_hosts_that_see_them() -> None:
    bound = Demand(1, 1, storages=frozenset({"y"}))

    assert parts_of(place([bound], [host("a", 1, storage="x"), host("b", 4, storage="y")]))[1][0].host == "b"
    assert "sees the files" in place([bound], [host("a", 1, storage="x")])[0].reason


@pytest.mark.parametrize(
    ("demand", "reason"),
    [
        (Demand(1, 1), "no worker is up"),
        (Demand(1, 1, host="a"), "no worker is up"),
    ],
)
def test_no_open_host(demand: Demand, reason: str) -> None:
    assert reason in place([demand], [host("a", is_open=False)])[0].reason


def test_a_closed_host_is_named_to_who_wanted_it() -> None:
    decided = place([Demand(1, 1, host="a")], [host("a", is_open=False), host("b")])

    assert decided == [Decision(1, (), "waits for host a: its worker is not up, or it is drained")]


@pytest.mark.parametrize(
    ("demand", "reason"),
    [
        (Demand(0, 5), "it wants 5 devices: the hosts (and their devices) are a (4)"),
        (Demand(0, 1, host="b"), "host 'b' is not registered; the hosts (and their devices) are a (4)"),
        (Demand(0, 5, host="a"), "it wants 5 devices of a, which has 4"),
        (
            Demand(0, 1, devices=(7,)),
            "no host has the devices 7 that it wants: the hosts (and their devices) are a (4)",
        ),
        (Demand(0, 4), None),
    ],
)
def test_why_nobody_can_ever_run_it(demand: Demand, reason: str | None) -> None:
    assert can_ever_run(demand, [host("a", 4, set(), is_open=False)]) == reason


def test_without_hosts_nobody_knows() -> None:
    assert can_ever_run(Demand(0, 4000), []) is None


@st.composite
def host_states(draw: st.DrawFn) -> list[HostState]:
    count = draw(st.integers(0, 4))
    hosts = []
    for number in range(count):
        usable = draw(st.frozensets(st.integers(0, 7), max_size=8))
        free = draw(st.frozensets(st.integers(0, 7), max_size=8))
        storage = draw(st.sampled_from(["x", "y"]))
        hosts.append(HostState(f"h{number}", storage, usable, free, draw(st.booleans())))
    return hosts


@st.composite
def demand_lists(draw: st.DrawFn) -> list[Demand]:
    demands = []
    for job in range(1, draw(st.integers(0, 8)) + 1):
        cards = draw(st.integers(1, 12))
        devices = None
        if draw(st.integers(0, 4)) == 0:
            devices = tuple(draw(st.lists(st.integers(0, 7), min_size=1, max_size=4, unique=True)))
            cards = len(devices)
        wanted = draw(st.sampled_from([None, None, "h0", "h1", "h9"]))
        storages = draw(st.sampled_from([frozenset[str](), frozenset({"x"}), frozenset({"x", "y"})]))
        demands.append(Demand(job, cards, draw(st.integers(-1, 1)), wanted, devices, storages))
    return demands


@given(demand_lists(), host_states())
def test_no_device_twice_and_all_or_none(demands: list[Demand], hosts: list[HostState]) -> None:
    decided = place(demands, hosts)

    by_name = {state.name: state for state in hosts}
    taken = [(part.host, device) for decision in decided for part in decision.parts for device in part.devices]
    assert len(taken) == len(set(taken))
    assert sorted(decision.job for decision in decided) == sorted(demand.job for demand in demands)
    wanted = {demand.job: demand for demand in demands}
    for decision in decided:
        demand = wanted[decision.job]
        assert sum(len(part.devices) for part in decision.parts) in (0, demand.cards)
        assert decision.reason
        for part in decision.parts:
            state = by_name[part.host]
            assert state.is_open
            assert set(part.devices) <= state.free & state.usable
            assert demand.host in (None, part.host)
            assert demand.storages <= {state.storage}
            assert demand.devices is None or set(part.devices) == set(demand.devices)


@given(demand_lists(), host_states())
def test_ranks_are_numbered_through_and_hosts_stand_once(demands: list[Demand], hosts: list[HostState]) -> None:
    storage = {state.name: state.storage for state in hosts}
    for decision in place(demands, hosts):
        rank = 0
        for part in decision.parts:
            assert part.first_rank == rank
            assert part.devices == tuple(sorted(part.devices))
            rank += len(part.devices)
        names = [part.host for part in decision.parts]
        assert len(names) == len(set(names))
        assert len({storage[name] for name in names}) <= 1


@given(demand_lists(), host_states())
def test_later_jobs_never_change_what_earlier_ones_get(demands: list[Demand], hosts: list[HostState]) -> None:
    decided = place(demands, hosts)
    first = decided[: len(decided) // 2]
    served = {decision.job for decision in first}

    assert place([demand for demand in demands if demand.job in served], hosts) == first


@given(demand_lists(), host_states())
def test_several_hosts_only_if_no_open_host_has_so_many(demands: list[Demand], hosts: list[HostState]) -> None:
    wanted = {demand.job: demand for demand in demands}
    for decision in place(demands, hosts):
        if len(decision.parts) > 1:
            demand = wanted[decision.job]
            alike = [state for state in hosts if state.is_open and demand.storages <= {state.storage}]
            assert all(len(state.usable) < demand.cards for state in alike)


@given(demand_lists(), host_states())
def test_what_is_placed_could_be_run_and_the_first_that_could_is_placed_on_idle_hosts(
    demands: list[Demand], hosts: list[HostState]
) -> None:
    for decision in place(demands, hosts):
        demand = next(one for one in demands if one.job == decision.job)
        if decision.parts:
            assert can_ever_run(demand, hosts) is None
    idle = [replace(state, free=state.usable, is_open=True) for state in hosts]
    for demand in demands:
        if hosts and can_ever_run(demand, hosts) is None:
            assert place([demand], idle)[0].parts
