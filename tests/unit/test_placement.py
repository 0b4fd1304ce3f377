"""The placement: examples for people."""

from dataclasses import replace

import pytest

from erfnet_jobs.jobs import Part
from erfnet_jobs.placement import Decision, Demand, HostState, can_ever_run, decide, families_of_kind, none_open, place
from erfnet_jobs.placement.decide import RESERVE_AFTER
from erfnet_jobs.placement.reasons import KEPT
from erfnet_jobs.states import JobKind

LONG = RESERVE_AFTER


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
    wide, narrow = Demand(1, 4, waited=LONG), Demand(2, 1)

    decided = place([wide, narrow], [host("a", 4, {0, 1, 2})])

    assert parts_of(decided) == {1: (), 2: ()}
    assert [decision.reason for decision in decided] == [
        f"needs 4 free devices on one host: 3 of 4 free on a{KEPT}",
        "waits for devices of a behind job 1",
    ]
    assert parts_of(place([wide, narrow], [host("a", 4, {0}), host("b", 2)])) == {1: (), 2: (Part("b", (0,), 0),)}


def test_until_it_has_waited_long_smaller_jobs_go_before_it() -> None:
    decided = place([Demand(1, 4, waited=LONG - 1), Demand(2, 1)], [host("a", 4, {0, 1, 2})])

    assert parts_of(decided) == {1: (), 2: (Part("a", (0,), 0),)}
    assert decided[0].reason == "needs 4 free devices on one host: 3 of 4 free on a"


def test_no_more_than_a_quarter_of_the_hosts_is_kept_but_always_that_of_the_first() -> None:
    hosts = [host(f"h{number}", 4, {0, 1}) for number in range(8)]
    wide = [Demand(job, 4, waited=LONG) for job in range(1, 6)]

    decided = place([*wide, *(Demand(job, 1) for job in range(6, 30))], hosts)

    assert [KEPT in decision.reason for decision in decided[:5]] == [True, True, False, False, False]
    assert {part.host for decision in decided for part in decision.parts} == {f"h{number}" for number in range(2, 8)}


def test_what_is_drained_or_away_is_not_kept() -> None:
    hosts = [host("a", 8, {1, 2, 3}, is_open=False), host("b", 8, {4, 5})]

    decided = place([Demand(1, 8, waited=LONG), Demand(2, 1)], hosts)

    assert decided[0].reason.startswith("needs 8 free devices on one host: 2 of 8 free on b")
    assert decided[1].reason == "waits for devices of b behind job 1"


def test_a_waiting_job_leaves_what_it_cannot_use() -> None:
    picky = Demand(1, 2, host="a", devices=(0, 1), waited=LONG)

    decided = place([picky, Demand(2, 1)], [host("a", 4, {1, 3})])

    assert parts_of(decided) == {1: (), 2: (Part("a", (3,), 0),)}
    assert decided[0].reason == f"waits for device 0 of a: held by other jobs{KEPT}"


def test_several_hosts_only_where_one_could_never_hold_it() -> None:
    hosts = [host("a", 4, {0, 1}), host("b", 4), host("c", 2)]

    assert parts_of(place([Demand(1, 4)], hosts))[1] == (Part("b", (0, 1, 2, 3), 0),)
    assert parts_of(place([Demand(1, 6)], hosts))[1] == (Part("a", (0, 1), 0), Part("b", (0, 1, 2, 3), 2))
    assert place([Demand(1, 9)], hosts)[0].reason == "needs 9 free devices on b, a and c: 8 of 10 free"


def test_ranks_follow_the_addresses_as_rank_tables_want_it() -> None:
    hosts = [replace(host("a", 4, {0, 1, 2}), address="10.0.0.9"), replace(host("b", 4), address="10.0.0.10")]

    assert parts_of(place([Demand(1, 7)], hosts))[1] == (Part("b", (0, 1, 2, 3), 0), Part("a", (0, 1, 2), 4))


def test_several_hosts_share_one_storage() -> None:
    hosts = [host("a", 2, storage="x"), host("b", 2, storage="y"), host("c", 2, storage="y")]

    assert [part.host for part in parts_of(place([Demand(1, 4)], hosts))[1]] == ["b", "c"]
    assert parts_of(place([Demand(1, 6)], hosts))[1] == ()
    assert can_ever_run(Demand(1, 6), hosts) is not None


def test_files_bind_a_job_to_the_hosts_that_see_them() -> None:
    bound = Demand(1, 1, storages=frozenset({"y"}))

    assert parts_of(place([bound], [host("a", 1, storage="x"), host("b", 4, storage="y")]))[1][0].host == "b"
    assert "no host sees all the files" in place([bound], [host("a", 1, storage="x")])[0].reason


@pytest.mark.parametrize("demand", [Demand(1, 1), Demand(1, 1, host="a")])
def test_no_open_host(demand: Demand) -> None:
    away = replace(host("a", is_open=False), closed="drained")
    assert place([demand], [away])[0].reason == "waits for host a (drained)"
    assert "none is registered" in place([demand], [])[0].reason
    assert none_open([away]) == "no host takes jobs now: a (drained)"
    assert none_open([away, host("b")]) is none_open([]) is None


def test_a_closed_host_is_named_to_who_wanted_it() -> None:
    decided = place([Demand(1, 1, host="a")], [replace(host("a", is_open=False), closed="drained"), host("b")])

    assert decided == [Decision(1, (), "waits for host a (drained)")]


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


def chips(name: str, family: str, free: set[int] | None = None, storage: str = "s") -> HostState:
    every = frozenset(range(8))
    return HostState(name, storage, every, every if free is None else frozenset(free), family=family)


@pytest.mark.parametrize(
    ("cards", "free", "devices"),
    [
        (1, {0, 1, 2, 3, 5}, (5,)),
        (2, {0, 1, 2, 5, 6}, (5, 6)),
        (2, {3, 4, 6}, (4, 6)),
        (2, {3, 4}, None),
        (4, {0, 1, 2, 4, 5, 6, 7}, (4, 5, 6, 7)),
        (4, {0, 1, 2, 5, 6, 7}, None),
        (8, set(range(8)), tuple(range(8))),
        (8, set(range(7)), None),
        (3, set(range(8)), None),
    ],
)
def test_devices_of_a_910a_host_lie_in_one_half(cards: int, free: set[int], devices: tuple[int, ...] | None) -> None:
    parts = parts_of(place([Demand(1, cards)], [chips("a", "910A", free)]))[1]

    assert parts == (() if devices is None else (Part("a", devices, 0),))


def test_halves_of_a_910a_host_are_those_of_its_physical_ids() -> None:
    """Card 1 of 0 to 7 is missing: the logical ids 0 to 6 are the physical ids 0 and 2 to 7."""
    host = replace(chips("a", "910A"), usable=frozenset(range(7)), free=frozenset(range(7)))
    host = replace(host, second_half=frozenset(range(3, 7)))

    assert parts_of(place([Demand(1, 4), Demand(2, 2)], [host])) == {
        1: (Part("a", (3, 4, 5, 6), 0),),
        2: (Part("a", (0, 1), 0),),
    }
    assert can_ever_run(Demand(0, 2, devices=(2, 3)), [host]) is not None
    assert can_ever_run(Demand(0, 2, devices=(3, 4)), [host]) is None


def test_910b_and_cpu_have_no_halves() -> None:
    for family in ("910B", "cpu"):
        assert parts_of(place([Demand(1, 3)], [chips("a", family, {1, 3, 4, 6})]))[1] == (Part("a", (1, 3, 4), 0),)


def test_an_empty_host_is_not_broken_up_while_a_smaller_hole_fits() -> None:
    hosts = [chips("a", "910A"), chips("b", "910A", {0, 1, 2, 3}), chips("c", "910A", {2, 3, 4})]

    assert parts_of(place([Demand(1, 1), Demand(2, 2), Demand(3, 4)], hosts)) == {
        1: (Part("c", (4,), 0),),
        2: (Part("c", (2, 3), 0),),
        3: (Part("b", (0, 1, 2, 3), 0),),
    }


@pytest.mark.parametrize("family", ["910A", "910B", "cpu"])
def test_sixteen_cards_take_two_empty_hosts_rather_than_pieces(family: str) -> None:
    pieces = [chips(f"a{number}", family, {0, 1, 2, 3}) for number in range(6)]
    every = tuple(range(8))

    decided = place([Demand(1, 16)], [*pieces, chips("b", family), chips("c", family)])

    assert decided[0].parts == (Part("b", every, 0), Part("c", every, 8))
    assert len(place([Demand(1, 16)], [*pieces, chips("b", family)])[0].parts) == (4 if family == "910A" else 3)


def test_every_910a_host_gives_as_many() -> None:
    hosts = [chips("a", "910A"), chips("b", "910A", {0, 1, 2, 3}), chips("c", "910A", {4, 5, 6, 7})]

    assert place([Demand(1, 12)], hosts)[0].parts == (
        Part("a", (0, 1, 2, 3), 0),
        Part("b", (0, 1, 2, 3), 4),
        Part("c", (4, 5, 6, 7), 8),
    )
    assert place([Demand(1, 10)], hosts)[0].parts == ()


def test_a_gang_has_one_family_and_ascend_goes_before_cpu() -> None:
    hosts = [chips("a", "cpu"), chips("b", "910B"), chips("c", "910A")]

    assert [part.host for part in place([Demand(1, 8)], hosts)[0].parts] == ["b"]
    assert place([Demand(1, 16)], hosts)[0].parts == ()
    assert place([Demand(1, 8, families=frozenset({"cpu"}))], hosts)[0].parts[0].host == "a"


def test_310_chips_never_train() -> None:
    families = {kind: families_of_kind(kind) for kind in JobKind}
    hosts = [chips("a", "310P")]

    for kind in (JobKind.TRAIN, JobKind.EVAL, JobKind.EXPORT, JobKind.INFER):
        demand = Demand(1, 1, families=families[kind])
        assert place([demand], hosts)[0].reason == (
            "no registered host can run it: 310 and 310P take no training, evaluation, export or infer, a 910 or CPU "
            "host is needed; the hosts (and their devices) are a (8 310P)"
        )
    assert place([Demand(1, 1, families=families[JobKind.INFER_310])], hosts)[0].parts


def test_310_infer_takes_cpu_slots_only_where_they_are_allowed() -> None:
    allowed = families_of_kind(JobKind.INFER_310, allow_cpu=True)
    hosts = [host("a", 4), chips("z", "310", {0}), chips("b", "910B")]

    decided = place([Demand(job, 1, families=allowed) for job in (1, 2)], hosts)
    assert parts_of(decided) == {1: (Part("z", (0,), 0),), 2: (Part("a", (0,), 0),)}
    assert families_of_kind(JobKind.EXPORT, allow_cpu=True) == families_of_kind(JobKind.EXPORT)


@pytest.mark.parametrize(
    ("allow_cpu", "names", "reason"),
    [
        (False, "a b", "a 310-infer job needs a 310 or 310P device, or --allow-cpu, which lets it have CPU slots"),
        (False, "b", "a 310-infer job needs a 310 or 310P device"),
        (True, "b", "a 310-infer job needs a 310 or 310P device or a CPU slot"),
    ],
)
def test_why_no_host_can_run_310_infer(allow_cpu: bool, names: str, reason: str) -> None:
    hosts = [each for each in (host("a", 2), chips("b", "910B")) if each.name in names]
    told = ", ".join({"a": "a (2)", "b": "b (8 910B)"}[name] for name in names.split())

    why = can_ever_run(Demand(1, 1, families=families_of_kind(JobKind.INFER_310, allow_cpu)), hosts)

    assert why == f"{reason}; the hosts (and their devices) are {told}"


def test_pinned_devices_are_those_and_keep_their_order() -> None:
    pinned = (Part("b", (3, 1), 0), Part("a", (0, 2), 2))
    hosts = [host("a", 4), host("b", 4), host("c", 4)]

    assert place([Demand(1, 4, pinned=pinned)], hosts) == [Decision(1, pinned, "assigned to b, a")]
    held = place([Demand(1, 4, pinned=pinned), Demand(2, 1, host="a")], [host("a", 4, {1, 2}), hosts[1]])
    assert held[0].reason == "waits for device 0 of a: held by other jobs"
    assert held[1].parts
    kept = place([Demand(1, 4, pinned=pinned, waited=LONG), Demand(2, 2, host="a")], [host("a", 4, {1, 2}), hosts[1]])
    assert kept[1].parts == ()


@pytest.mark.parametrize(
    ("demand", "reason"),
    [
        (
            Demand(0, 3),
            "of a 910A host 1, 2, 4 or 8 devices work together (2 and 4 within 0-3 or within 4-7), "
            "and of several hosts as many of each, so 3 do not: ask for 1, 2, 4 or 8",
        ),
        (Demand(0, 2, devices=(3, 4)), "it wants devices 3,4: of a 910A host 1, 2, 4 or 8 devices work together"),
        (
            Demand(0, 2, pinned=(Part("a", (4, 3), 0),)),
            "it wants devices 3-4 of a: of a 910A host 1, 2, 4 or 8 devices work together",
        ),
        (Demand(0, 2, pinned=(Part("b", (0, 1), 0),)), "host 'b' is not registered"),
        (Demand(0, 2, pinned=(Part("a", (7, 8), 0),)), "it wants devices 8 of a, which has 0-7"),
        (Demand(0, 16), "it wants 16 devices: the hosts (and their devices) are a (8 910A)"),
    ],
)
def test_why_a_910a_host_can_never_run_it(demand: Demand, reason: str) -> None:
    assert (can_ever_run(demand, [chips("a", "910A")]) or "").startswith(reason)


def test_devices_that_are_ill_may_be_well_again() -> None:
    ill = HostState("a", "s", frozenset({0, 1, 2}), frozenset({0}), present=frozenset(range(4)))

    assert can_ever_run(Demand(0, 4), [ill]) is None
    assert place([Demand(1, 4)], [ill])[0].reason == (
        "waits for devices that get no jobs now, see 'erfnet-jobs hosts': 3 of a"
    )
    ill = replace(ill, usable=frozenset({0}))
    pinned = Demand(1, 2, pinned=(Part("a", (0, 3), 0),))
    for demand, devices in ((Demand(1, 2, devices=(0, 1)), "1 of a"), (pinned, "3 of a"), (Demand(1, 2), "1-3 of a")):
        assert place([demand], [ill])[0].reason.endswith(f": {devices}")
    away = replace(ill, usable=ill.present, is_open=False, closed="drained")
    assert place([Demand(1, 4)], [away, host("b", 2)])[0].reason == "waits for host a (drained)"


def test_demands_of_one_shape_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Demand] = []
    told = decide.reasons.closed
    monkeypatch.setattr(decide.reasons, "closed", lambda demand, hosts: looked.append(demand) or told(demand, hosts))
    hosts = [host(f"h{number}", is_open=number > 0) for number in range(4)]

    decided = place([Demand(job, 1, host="h0", waited=LONG) for job in range(1, 50)], hosts)

    assert len(looked) == 1
    assert {decision.reason for decision in decided} == {"waits for host h0 (its worker is not up, or it is drained)"}


def test_a_310_infer_job_goes_only_where_its_program_is() -> None:
    without, has = (replace(chips(name, "310P"), infers_310=name == "b") for name in ("a", "b"))
    demand = Demand(1, 1, families=frozenset({"310P"}), infer_310=True)

    assert parts_of(place([demand], [without, has]))[1][0].host == "b"
    assert can_ever_run(demand, [without, replace(has, is_open=False)]) is None
    why = can_ever_run(demand, [without]) or ""
    assert "no erfnet_infer was found on a: build it there with 'make infer310'" in why
    assert "no erfnet_infer" in (can_ever_run(replace(demand, host="a"), [without, has]) or "")
    assert can_ever_run(replace(demand, infer_310=False), [without]) is None
