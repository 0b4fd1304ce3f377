"""When waiting jobs are first free: cases, and properties that always hold."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.cli.reasons import about as about_text
from erfnet_jobs.cli.reasons import why
from erfnet_jobs.placement import Demand, Holding, HostState, end_of_all, first_free, place
from erfnet_jobs.placement.forecast import about
from tests.unit.test_placement_properties import demands, host_states, queues

ALL = frozenset(range(8))
SECONDS = st.none() | st.floats(0, 1e6)


def host(name: str = "h0", free: frozenset[int] = frozenset()) -> HostState:
    return HostState(name, "x", ALL, free, family="910B")


@st.composite
def holdings(draw: st.DrawFn) -> list[Holding]:
    devices = st.frozensets(st.integers(0, 7), max_size=8)
    return draw(st.lists(st.builds(Holding, st.sampled_from(["h0", "h1", "h2", "h9"]), devices, SECONDS), max_size=6))


def test_a_job_waits_for_the_last_of_the_devices_that_it_needs() -> None:
    held = [Holding("h0", frozenset({0, 1}), 600.0), Holding("h0", ALL - {0, 1}, 2350.0), Holding("h9", ALL, 9000.0)]
    waits = first_free([Demand(1, 2), Demand(2, 6), Demand(3, 8)], [host()], held)
    assert waits == {1: 600.0, 2: 2400.0}, "how long 1 and 2 run is not known, so nothing is known of 3"


def test_nothing_is_said_where_a_holder_has_no_eta_or_devices_are_free_now() -> None:
    assert first_free([Demand(1, 8)], [host()], [Holding("h0", ALL, None)]) == {}
    assert first_free([Demand(1, 8)], [host(free=ALL)], []) == {}
    assert first_free([Demand(1, 8)], [replace(host(), is_open=False)], [Holding("h0", ALL, 60.0)]) == {}


def test_the_better_one_of_two_hosts_counts_and_a_job_before_it_takes_it() -> None:
    hosts, held = [host("h0"), host("h1")], [Holding("h0", ALL, 7200.0), Holding("h1", ALL, 300.0)]
    assert first_free([Demand(1, 8), Demand(2, 8)], hosts, held) == {1: 300.0, 2: 7200.0}
    assert first_free([Demand(1, 8), Demand(2, 8, priority=1)], hosts, held) == {2: 300.0, 1: 7200.0}


def test_a_job_that_will_have_waited_long_keeps_what_becomes_free_before() -> None:
    held = [Holding("h0", frozenset(range(4)), 600.0), Holding("h0", frozenset(range(4, 8)), 1200.0)]
    assert first_free([Demand(1, 8), Demand(2, 4)], [host()], held, reserve_after=300.0) == {1: 1200.0}
    assert first_free([Demand(1, 8), Demand(2, 4)], [host()], held, reserve_after=3000.0) == {2: 600.0}


def test_a_device_that_is_not_in_health_is_not_free_when_its_job_ends() -> None:
    ill = replace(host(), usable=ALL - {3})
    assert first_free([Demand(1, 7)], [ill], [Holding("h0", ALL, 60.0)]) == {1: 60.0}
    assert first_free([Demand(1, 8)], [ill], [Holding("h0", ALL, 60.0)]) == {}


@given(demands(), host_states(), holdings())
def test_of_one_job_it_is_the_first_time_at_which_it_would_be_placed(
    demand: Demand, hosts: list[HostState], held: list[Holding]
) -> None:
    told = first_free([demand], hosts, held).get(demand.job)
    times = sorted({about(holding.seconds) for holding in held if holding.seconds is not None})
    fits = [seconds for seconds in (0.0, *times) if fits_at(seconds, demand, hosts, held)]
    assert told == (fits[0] if fits and fits[0] else None)


def fits_at(seconds: float, demand: Demand, hosts: list[HostState], held: list[Holding]) -> bool:
    def freed(name: str) -> frozenset[int]:
        ended = (one for one in held if one.host == name and one.seconds is not None and about(one.seconds) <= seconds)
        return frozenset[int]().union(*(one.devices for one in ended))

    later = [replace(one, free=one.free | freed(one.name) & one.usable) for one in hosts] if seconds else hosts
    return bool(place([demand], later)[0].parts)


@given(queues(), host_states(), holdings(), st.randoms(use_true_random=False))
def test_the_order_of_what_is_given_does_not_matter(
    queue: list[Demand],
    hosts: list[HostState],
    held: list[Holding],
    random: Random,
) -> None:
    told = first_free(queue, hosts, held)
    assert told.keys() <= {demand.job for demand in queue}
    mixed, others = list(queue), list(held)
    random.shuffle(mixed)
    random.shuffle(others)
    assert first_free(mixed, hosts, others) == told


@given(st.floats(0, 1e7))
def test_rounding_is_up_and_not_far(seconds: float) -> None:
    told = about(seconds)
    assert told >= int(seconds)
    assert told - seconds <= max(60, seconds / 2)
    assert about(told) == told


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "1 min"), (61.0, "2 min"), (2350.0, "40 min"), (4500.0, "1 h 20 min"), (30200.0, "9 h"), (1e5, "1 d 6 h")],
)
def test_how_times_are_told(seconds: float, text: str) -> None:
    assert about_text(about(seconds)) == text


def test_the_end_of_several_jobs_is_that_of_the_last_and_unknown_with_one() -> None:
    assert end_of_all({1: 50.0, 2: 700.0}) == 900.0
    assert end_of_all({1: 50.0, 2: None}) is None
    assert end_of_all({}) is None


def test_the_time_is_not_cut_off() -> None:
    job = {
        "state": "queued",
        "reason": "needs 8 free devices on one host: 1 of 8 free on h1",
        "wait_seconds": 2400.0,
        "not_before": None,
    }
    assert why(job).endswith("on h1; first free in about 40 min")
    assert why(job, 60) == "needs 8 free devices on one hos…; first free in about 40 min"
    assert why({**job, "wait_seconds": None}) == job["reason"]
