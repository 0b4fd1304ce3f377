"""The placement: properties that always hold, also beside an oracle that tries everything on small cases."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, groupby, product

from hypothesis import example, given, settings
from hypothesis import strategies as st

from erfnet_jobs.jobs import Part
from erfnet_jobs.placement import Decision, Demand, HostState, can_ever_run, families_of_kind, place
from erfnet_jobs.states import JobKind

LONG = 1e6
IDS = st.frozensets(st.integers(0, 7), max_size=8)
FAMILIES = st.sampled_from(["cpu", "910A", "910B"])


@st.composite
def host_states(draw: st.DrawFn, most: int = 4) -> list[HostState]:
    count = draw(st.integers(0, most))
    hosts = []
    for number in range(count):
        usable, free = draw(st.just(frozenset(range(8))) | IDS), draw(st.just(frozenset(range(8))) | IDS)
        storage, is_open = draw(st.sampled_from(["x", "x", "y"])), draw(st.integers(0, 3)) > 0
        hosts.append(HostState(f"h{number}", storage, usable, free, is_open, draw(FAMILIES)))
    return hosts


@st.composite
def pins(draw: st.DrawFn) -> tuple[Part, ...]:
    names = draw(st.lists(st.sampled_from(["h0", "h1", "h2"]), min_size=1, max_size=2, unique=True))
    parts: list[Part] = []
    for name in names:
        devices = tuple(draw(st.lists(st.integers(0, 7), min_size=1, max_size=2, unique=True)))
        parts.append(Part(name, devices, sum(len(part.devices) for part in parts)))
    return tuple(parts)


@st.composite
def demands(draw: st.DrawFn, job: int = 1) -> Demand:
    pinned = draw(st.none() | st.none() | pins())
    if pinned is not None:
        return Demand(job, sum(len(part.devices) for part in pinned), pinned=pinned)
    cards = draw(st.sampled_from([1, 2, 3, 4, 5, 8, 12, 16]))
    devices = None
    if draw(st.integers(0, 4)) == 0:
        devices = tuple(draw(st.lists(st.integers(0, 7), min_size=1, max_size=4, unique=True)))
        cards = len(devices)
    return Demand(
        job=job,
        cards=cards,
        priority=draw(st.integers(-1, 1)),
        host=draw(st.sampled_from([None, None, None, "h0", "h1", "h9"])),
        devices=devices,
        storages=draw(st.sampled_from([frozenset[str](), frozenset[str](), frozenset({"x"}), frozenset({"x", "y"})])),
        families=draw(st.none() | st.frozensets(FAMILIES, min_size=1)),
        waited=draw(st.sampled_from([0.0, LONG])),
    )


@st.composite
def queues(draw: st.DrawFn) -> list[Demand]:
    return [draw(demands(job)) for job in range(1, draw(st.integers(0, 8)) + 1)]


def work_together(family: str, devices: frozenset[int]) -> bool:
    """The group rule, said in another way than the program does."""
    if family != "910A":
        return True
    halves = {device // 4 for device in devices}
    return (len(devices) in (1, 2, 4) and halves in ({0}, {1})) or devices == frozenset(range(8))


def allowed(demand: Demand, host: HostState) -> bool:
    families = demand.families is None or host.family in demand.families
    return host.is_open and families and demand.host in (None, host.name) and demand.storages <= {host.storage}


def sets_of(demand: Demand, host: HostState, among: frozenset[int], count: int) -> Iterator[frozenset[int]]:
    """All sets of `count` devices of a host that the demand may have."""
    if demand.devices is not None:
        found = [frozenset(demand.devices)] if count == demand.cards and frozenset(demand.devices) <= among else []
    else:
        found = [frozenset(one) for one in combinations(sorted(among), count)]
    yield from (one for one in found if work_together(host.family, one))


def fits_one(demand: Demand, host: HostState, among: frozenset[int]) -> bool:
    return allowed(demand, host) and any(sets_of(demand, host, among, demand.cards))


def fewest_hosts(demand: Demand, hosts: list[HostState]) -> int | None:
    """The fewest hosts on which the demand fits now, by trying everything; None: it does not."""
    if demand.pinned is not None:
        return len(demand.pinned) if pinned_fits(demand.pinned, demand, hosts) else None
    if any(fits_one(demand, host, host.usable) for host in hosts):
        return 1 if any(fits_one(demand, host, host.usable & host.free) for host in hosts) else None
    if demand.host is not None or demand.devices is not None:
        return None
    open_hosts = sorted((host for host in hosts if allowed(demand, host)), key=lambda host: (host.storage, host.family))
    found = [
        number
        for (_, family), group in groupby(open_hosts, key=lambda host: (host.storage, host.family))
        if (number := _fewest_of(demand, family, list(group)))
    ]
    return min(found, default=None)


def _fewest_of(demand: Demand, family: str, group: list[HostState]) -> int | None:
    for number in range(2, len(group) + 1):
        for chosen in combinations(group, number):
            for counts in product(range(1, 9), repeat=number):
                if sum(counts) != demand.cards or (family == "910A" and len(set(counts)) > 1):
                    continue
                if all(
                    any(sets_of(demand, host, host.usable & host.free, count))
                    for host, count in zip(chosen, counts, strict=True)
                ):
                    return number
    return None


def pinned_fits(pinned: tuple[Part, ...], demand: Demand, hosts: list[HostState]) -> bool:
    by_name = {host.name: host for host in hosts if allowed(demand, host)}
    if not all(part.host in by_name for part in pinned):
        return False
    chosen = [(by_name[part.host], frozenset(part.devices)) for part in pinned]
    return len({(host.storage, host.family) for host, _ in chosen}) == 1 and all(
        devices <= host.usable & host.free and work_together(host.family, devices) for host, devices in chosen
    )


def assert_legal(demand: Demand, parts: tuple[Part, ...], hosts: list[HostState]) -> None:
    by_name = {host.name: host for host in hosts}
    rank = 0
    for part in parts:
        host = by_name[part.host]
        assert allowed(demand, host)
        assert frozenset(part.devices) <= host.usable & host.free
        assert work_together(host.family, frozenset(part.devices))
        assert part.first_rank == rank
        assert demand.pinned is not None or part.devices == tuple(sorted(part.devices))
        rank += len(part.devices)
    assert rank == demand.cards
    assert len({part.host for part in parts}) == len(parts)
    assert len({(by_name[part.host].storage, by_name[part.host].family) for part in parts}) == 1
    if demand.devices is not None:
        assert set(parts[0].devices) == set(demand.devices)
    if demand.pinned is not None:
        assert parts == demand.pinned
    elif by_name[parts[0].host].family == "910A":
        assert len({len(part.devices) for part in parts}) == 1


@given(queues(), host_states())
def test_no_device_twice_and_all_or_none(queue: list[Demand], hosts: list[HostState]) -> None:
    decided = place(queue, hosts)

    taken = [(part.host, device) for decision in decided for part in decision.parts for device in part.devices]
    assert len(taken) == len(set(taken))
    by_job = {demand.job: demand for demand in queue}
    order = sorted(queue, key=lambda demand: (-demand.priority, demand.job))
    assert [decision.job for decision in decided] == [demand.job for demand in order]
    for decision in decided:
        assert decision.reason
        if decision.parts:
            assert_legal(by_job[decision.job], decision.parts, hosts)


@given(demands(), host_states(most=3))
@settings(max_examples=200)
def test_it_is_placed_just_where_trying_everything_finds_a_place(demand: Demand, hosts: list[HostState]) -> None:
    (decision,) = place([demand], hosts)

    assert (len(decision.parts) or None) == fewest_hosts(demand, hosts)


@given(demands(), host_states(most=3))
@settings(max_examples=200)
def test_what_hosts_can_ever_run_is_what_they_would_if_idle(demand: Demand, hosts: list[HostState]) -> None:
    idle = [replace(host, free=host.usable, is_open=True) for host in hosts]

    if hosts:
        assert (can_ever_run(demand, hosts) is None) == bool(fewest_hosts(demand, idle))


@given(st.sampled_from([1, 2, 4]), host_states())
def test_an_empty_host_is_broken_up_only_if_nothing_else_will_do(cards: int, hosts: list[HostState]) -> None:
    (decision,) = place([Demand(1, cards)], hosts)
    by_name = {host.name: host for host in hosts}
    if len(decision.parts) != 1:
        return
    chosen = by_name[decision.parts[0].host]
    alike = [host for host in hosts if (host.family == "cpu") == (chosen.family == "cpu")]
    fitting = [host for host in alike if fits_one(Demand(1, cards), host, host.usable & host.free)]
    if chosen.usable <= chosen.free and len(chosen.usable) == 8:
        assert all(host.usable <= host.free and len(host.usable) == 8 for host in fitting)


@given(st.booleans(), st.lists(st.sampled_from(["cpu", "310", "310P", "910B"]), max_size=4), st.data())
def test_310_infer_goes_to_310_before_cpu_slots_and_nowhere_else(
    allow_cpu: bool, families: list[str], data: st.DataObject
) -> None:
    hosts = [
        HostState(f"h{number}", "s", frozenset(range(8)), data.draw(IDS), family=family)
        for number, family in enumerate(families)
    ]
    demand = Demand(1, 1, families=families_of_kind(JobKind.INFER_310, allow_cpu))
    (decision,) = place([demand], hosts)

    free = {host.family for host in hosts if host.free}
    usable = free & {"310", "310P"} or free & ({"cpu"} if allow_cpu else set())
    taken = {host.family for host in hosts for part in decision.parts if part.host == host.name}
    assert taken <= usable
    assert bool(taken) == bool(usable)


@given(queues(), host_states())
def test_later_jobs_never_change_what_earlier_ones_get(queue: list[Demand], hosts: list[HostState]) -> None:
    decided = place(queue, hosts)
    first = decided[: len(decided) // 2]
    served = {decision.job for decision in first}

    assert place([demand for demand in queue if demand.job in served], hosts) == first


@given(queues(), host_states())
def test_the_first_job_gets_what_it_would_get_alone(queue: list[Demand], hosts: list[HostState]) -> None:
    decided = place(queue, hosts)
    for decision in decided[:1]:
        first = next(demand for demand in queue if demand.job == decision.job)
        assert place([first], hosts) == [decision]


def run(decisions: list[Decision], hosts: list[HostState]) -> list[HostState]:
    """The hosts while what was placed runs."""
    taken = {(part.host, device) for decision in decisions for part in decision.parts for device in part.devices}
    return [replace(host, free=frozenset(d for d in host.free if (host.name, d) not in taken)) for host in hosts]


def freed(parts: tuple[Part, ...], hosts: list[HostState]) -> list[HostState]:
    held = {part.host: frozenset(part.devices) for part in parts}
    return [replace(host, free=host.free | held.get(host.name, frozenset())) for host in hosts]


@st.composite
def sites(draw: st.DrawFn) -> tuple[list[HostState], int]:
    """Idle hosts of one family, and how many cards a big job wants of them."""
    family = draw(FAMILIES)
    every = frozenset(range(8))
    sizes = st.just(every) if family == "910A" else st.integers(1, 8).map(lambda size: frozenset(range(size)))
    hosts = [
        HostState(f"h{number}", "s", usable, usable, family=family)
        for number, usable in enumerate(draw(st.lists(sizes, min_size=1, max_size=3)))
    ]
    cards = [count for count in range(1, 25) if can_ever_run(Demand(0, count), hosts) is None]
    return hosts, draw(st.sampled_from(cards))


@given(sites(), st.data())
@settings(max_examples=60)
@example(([HostState("h0", "s", frozenset(range(8)), frozenset(range(8)))], 8), None)
def test_a_job_that_has_waited_is_placed_whatever_smaller_jobs_keep_coming(
    site: tuple[list[HostState], int], data: st.DataObject | None
) -> None:
    """Small jobs of any length up to four steps fill what is free, at each step as many as there are devices."""
    hosts, cards = site
    running: list[tuple[int, tuple[Part, ...]]] = []
    next_job = 100
    for step in range(80):
        for _, parts in (one for one in running if one[0] <= step):
            hosts = freed(parts, hosts)
        running = [one for one in running if one[0] > step]
        small = [Demand(next_job + number, 1) for number in range(24)]
        next_job += len(small)
        big = [Demand(1, cards, waited=LONG if step > 4 else 0)] if step else []
        decided = place([*big, *small], hosts)
        if big and decided[0].parts:
            return
        hosts = run(decided, hosts)
        ends = data.draw(st.lists(st.integers(1, 4), min_size=24, max_size=24)) if data else [1, 2, 3, 4] * 6
        started = [decision.parts for decision in decided if decision.parts]
        running += [(step + length, parts) for length, parts in zip(ends, started, strict=False)]
    raise AssertionError(f"{cards} cards were never placed")
