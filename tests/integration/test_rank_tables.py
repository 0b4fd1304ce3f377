"""Rank tables of attempts: which ranks get one, where they then run, and users' own."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.ascend.devices import ASCEND_CHIP, Device
from erfnet_jobs.ascend.health import Seen
from erfnet_jobs.ascend.rank_table import RankTable, Server, TableDevice, to_text
from erfnet_jobs.ascend.rank_table_check import table_faults
from erfnet_jobs.client.pinning import with_pinned
from erfnet_jobs.errors import BadData, UsageError
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.jobs import Part, Request
from erfnet_jobs.launch.ranks import Ranks
from erfnet_jobs.plan import ASCEND, CPU, read_plan
from erfnet_jobs.registry.attempts import assign
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.hosts import register_host
from erfnet_jobs.registry.jobs import get_job, submit_job
from erfnet_jobs.registry.parts import PartKey
from erfnet_jobs.registry.tables import Event
from erfnet_jobs.states import JobState
from erfnet_jobs.train_spec import TrainSpec
from tests.registry_steps import ACTOR, seen_device
from tests.services import NewSite, Site, eventually
from workers.ranks import ranks_of

OF_910B = {"kind": ASCEND_CHIP, "name": "910B3", "generation": "910B"}


def chip(number: int, network: int, **changes: Any) -> Seen:
    """Logical and physical ids that differ, as in a container."""
    known = {"physical_id": number + 4, "device_ip": f"172.20.{network}.{number + 1}", "cores": "0-1", **OF_910B}
    return Seen(Device(number, **{**known, **changes}))


def add_host(session: Session, name: str, address: str, devices: Sequence[Seen]) -> None:
    words = {"storage_id": "s", "version": "1", "instance": "i"}
    register_host(session, name=name, address=address, devices=devices, **words)


def planned(session: Session, *parts: Part, request: Request | None = None) -> Ranks:
    """The ranks of a job that is assigned these parts."""
    request = request or Request(TrainSpec("/data", cards=sum(len(part.devices) for part in parts)))
    job = submit_job(session, request, ACTOR).id
    assert assign(session, job, 0, parts, "/runs/1")
    return ranks_of(session, PartKey(job, 1, parts[0].host))


def test_a_gang_over_two_ascend_hosts_gets_a_table_of_both(postgres_url: str) -> None:
    with Registry(postgres_url) as registry, registry.write() as session:
        add_host(session, "left", "10.3.0.9", [chip(0, 1), chip(1, 1)])
        add_host(session, "right", "10.3.0.10", [chip(0, 2), chip(1, 2)])
        ranks = planned(session, Part("right", (0, 1), 0), Part("left", (0, 1), 2))

    assert [(place.rank, place.host, place.device, place.local_rank) for place in ranks.places] == [
        (0, "right", 0, 0),
        (1, "right", 1, 1),
        (2, "left", 0, 0),
        (3, "left", 1, 1),
    ]
    assert (ranks.target, ranks.note, ranks.places[0].cores) == (ASCEND, "a rank table of 2 servers", "0-1")
    document = json.loads(ranks.table or "")
    assert table_faults(document, generation="910B") == []
    assert [server["pod_ip"] for server in document["server_list"]] == ["10.3.0.10", "10.3.0.9"]
    assert [device["device_id"] for device in document["server_list"][1]["device"]] == ["4", "5"]
    assert document["server_list"][1]["device"][1] == {"device_id": "5", "device_ip": "172.20.1.2", "rank_id": "3"}


@pytest.mark.parametrize(
    ("devices", "target", "note"),
    [
        ([chip(0, 1), chip(1, 1)], ASCEND, "a rank table of 1 server"),
        ([chip(0, 1), chip(1, 1, device_ip=None)], ASCEND, "device IP of device 1 is not known"),
        ([chip(0, 1), chip(1, 1, physical_id=None)], ASCEND, "physical id of device 1 is not known"),
        ([chip(number, 1, generation="910C") for number in (0, 1)], ASCEND, "super pod"),
        ([seen_device(0), seen_device(1)], CPU, None),
    ],
)
def test_which_gangs_get_a_table(sqlite_url: str, devices: list[Seen], target: str, note: str | None) -> None:
    with Registry(sqlite_url) as registry, registry.write() as session:
        add_host(session, "one", "10.3.0.1", devices)
        ranks = planned(session, Part("one", (0, 1), 0))

    assert ranks.target == target
    assert (ranks.table is not None) == (note == "a rank table of 1 server")
    assert note is None if ranks.note is None else note in ranks.note
    if ranks.table:
        # Its ranks meet on loopback.
        assert json.loads(ranks.table)["server_list"][0]["pod_ip"] == "127.0.0.1"


def test_one_rank_alone_gets_none(sqlite_url: str) -> None:
    with Registry(sqlite_url) as registry, registry.write() as session:
        add_host(session, "one", "10.3.0.1", [chip(0, 1)])
        assert planned(session, Part("one", (0,), 0)).table is None


@pytest.mark.parametrize(
    ("device", "target"),
    [(chip(3, 1, name="310P3", generation="310P", device_ip=None), ASCEND), (seen_device(3), CPU)],
)
def test_310_infer_is_one_rank_on_its_device(sqlite_url: str, device: Seen, target: str) -> None:
    request = Request(Infer310Spec(images="/pictures", model="/ERFNet.mindir", allow_cpu=True))
    with Registry(sqlite_url) as registry, registry.write() as session:
        add_host(session, "one", "10.3.0.1", [device])
        ranks = planned(session, Part("one", (3,), 0), request=request)

    assert [(place.rank, place.device, place.local_rank) for place in ranks.places] == [(0, 3, 0)]
    assert (ranks.target, ranks.table, ranks.note) == (target, None, None)


def own_table(ranks: Sequence[int], ids: Sequence[int], address: str = "10.3.0.1", network: int = 1) -> RankTable:
    devices = tuple(
        TableDevice(number, f"172.20.{network}.{number - 3}", rank) for number, rank in zip(ids, ranks, strict=True)
    )
    return RankTable((Server(address, devices),))


def own_request(table: RankTable, **changes: Any) -> Request:
    return Request(TrainSpec("/data", cards=table.world_size), rank_table=to_text(table), **changes)


def test_a_users_table_says_which_rank_is_where(sqlite_url: str) -> None:
    with Registry(sqlite_url) as registry, registry.write() as session:
        add_host(session, "one", "10.3.0.1", [chip(number, 1) for number in range(4)])
        # Not in the order of the devices, and without pod_ip.
        request = with_pinned(session, own_request(own_table((0, 2, 1), (7, 4, 5))))
        assert request.pinned == (Part("one", (0, 1, 3), 0),)
        ranks = planned(session, *request.pinned, request=request)
        assert json.loads(get_job(session, 1).pinned or "") == [["one", [0, 1, 3]]]

    assert [(place.rank, place.device, place.local_rank) for place in ranks.places] == [(0, 3, 2), (1, 1, 1), (2, 0, 0)]
    assert ranks.note == "the user's own rank table"
    (server,) = json.loads(ranks.table or "")["server_list"]
    # MindSpore gives the ranks by the place in this list, which is that among the visible devices.
    assert [(device["device_id"], device["rank_id"]) for device in server["device"]] == [
        ("4", "2"),
        ("5", "1"),
        ("7", "0"),
    ]
    assert server["pod_ip"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (own_request(own_table((0, 1), (4, 9))), BadData, "device_id 9 of server '10.3.0.1'"),
        (own_request(own_table((0, 1), (4, 5), "10.3.0.2")), BadData, "there are one (10.3.0.1)"),
        (own_request(own_table((0, 1), (4, 5), network=9)), BadData, "has found 172.20.1.1 there"),
        (own_request(own_table((0, 2), (4, 5))), BadData, "there is no 1"),
        (
            replace(own_request(own_table((0, 1), (4, 5))), spec=TrainSpec("/data", cards=3)),
            UsageError,
            "has 2 devices",
        ),
        (own_request(own_table((0, 1), (4, 5)), host="one"), UsageError, "leave --devices and --host out"),
        (Request(TrainSpec("/data"), rank_table="\ud800"), BadData, "is not JSON"),
        (
            own_request(RankTable((*own_table((0,), (4,), "10.3.0.1").servers, *own_table((1,), (5,), "x").servers))),
            BadData,
            "no registered host has the address of server 'x'",
        ),
    ],
)
def test_a_users_table_that_means_nothing_here(
    sqlite_url: str, request_: Request, error: type[Exception], words: str
) -> None:
    with Registry(sqlite_url) as registry, registry.write() as session:
        add_host(session, "one", "10.3.0.1", [chip(number, 1) for number in range(4)])
        with pytest.raises(error) as caught:
            with_pinned(session, request_)
    assert words in str(caught.value)


def test_a_table_for_two_hosts_with_one_address_is_refused(postgres_url: str) -> None:
    with Registry(postgres_url) as registry, registry.write() as session:
        for name in ("one", "two"):
            add_host(session, name, "10.3.0.1", [chip(0, 1)])
        with pytest.raises(BadData, match=r"may be one \(10.3.0.1\), two"):
            with_pinned(session, own_request(own_table((0,), (4,))))


def test_the_group_rule_of_a_users_table_is_that_of_its_devices(sqlite_url: str) -> None:
    with Registry(sqlite_url) as registry, registry.write() as session:
        add_host(session, "one", "10.3.0.1", [chip(number, 1, generation="910A") for number in range(4)])
        with pytest.raises(BadData, match="3 devices of a 910A"):
            with_pinned(session, own_request(own_table((0, 1, 2), (4, 5, 6))))


def test_a_device_that_has_changed_since_ends_the_attempt(sqlite_url: str) -> None:
    with Registry(sqlite_url) as registry, registry.write() as session:
        add_host(session, "one", "10.3.0.1", [chip(0, 1), chip(1, 1)])
        request = with_pinned(session, own_request(own_table((0, 1), (4, 5))))
        add_host(session, "one", "10.3.0.1", [chip(0, 1), chip(1, 1, physical_id=7)])
        with pytest.raises(UsageError, match="have changed since"):
            planned(session, *(request.pinned or ()), request=request)


def test_a_training_with_a_users_table_runs_and_is_tried_again_on_the_same_devices(site: Site) -> None:
    site.script({"attempt 1": [["hello"], ["exit", 77]]})
    devices = (TableDevice(0, "172.20.0.1", 1), TableDevice(1, "172.20.0.2", 0))
    table = RankTable((Server("127.0.0.1", devices),))
    spec = TrainSpec(str(site.data), cards=2, epochs=(1, 1, 1, 1))
    with site.registry.write() as session:
        request = with_pinned(session, Request(spec, rank_table=to_text(table)))
        job = submit_job(session, request, ACTOR).id

    site.until(job, JobState.SUCCEEDED)

    assert len(site.attempts(job)) == 2
    for attempt in site.attempts(job):
        plan = read_plan(Path(attempt.run_dir, "plan.json"))
        assert [(place.rank, place.device, place.local_rank) for place in plan.ranks] == [(0, 1, 1), (1, 0, 0)]
        assert plan.rank_table == str(Path(attempt.run_dir, "rank_table.json"))
        (server,) = json.loads(Path(plan.rank_table).read_bytes())["server_list"]
        assert [device["rank_id"] for device in server["device"]] == ["1", "0"]
    events = select(Event.text).where(Event.job_id == job, Event.kind == "rank table")
    assert site.ask(lambda session: session.scalars(events).all()) == ["the user's own rank table"] * 2


def test_a_users_table_over_two_hosts(new_site: NewSite, postgres_url: str) -> None:
    left, right = (
        new_site(postgres_url, host=name, host_address=address)
        for name, address in (("left", "127.0.0.3"), ("right", "127.0.0.2"))
    )
    for each in (left, right):
        each.start_worker()
    servers = [
        Server(f"127.0.0.{last}", tuple(TableDevice(one, f"172.20.{last}.{one + 1}", rank) for one, rank in places))
        for last, places in ((2, ((0, 1), (1, 0))), (3, ((1, 2),)))
    ]
    spec = TrainSpec(str(left.data), cards=3, epochs=(1, 1, 1, 1))
    with left.registry.write() as session:
        request = with_pinned(session, Request(spec, rank_table=to_text(RankTable(tuple(servers)))))
        assert request.pinned == (Part("right", (0, 1), 0), Part("left", (1,), 2))
        job = submit_job(session, request, ACTOR).id

    left.until(job, JobState.SUCCEEDED)

    (attempt,) = left.attempts(job)
    plan = read_plan(Path(attempt.run_dir, "plan.json"))
    assert [(place.rank, place.host, place.device) for place in plan.ranks] == [
        (0, "right", 1),
        (1, "right", 0),
        (2, "left", 1),
    ]
    table = json.loads(Path(attempt.run_dir, "rank_table.json").read_bytes())
    assert [server["pod_ip"] for server in table["server_list"]] == ["127.0.0.2", "127.0.0.3"]
    assert table_faults(table) == []


def test_a_rank_elsewhere_ends_the_job_with_its_place(site: Site) -> None:
    site.script({"rank 0": [["hello"], ["hang_deaf"]], "rank 1": [["hello_as", {"device": 0}], ["hang_deaf"]]})
    job = site.train(cards=2)

    ended = site.until(job, JobState.FAILED)

    (attempt,) = site.attempts(job)
    assert (attempt.error, attempt.failed_rank, attempt.permanent) == ("RankMisplaced", 1, True)
    assert "rank 1 was to be on here device 1, and is on here device 0" in (ended.reason or "")
    eventually(site.idle, "nothing is left")
