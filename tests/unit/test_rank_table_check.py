"""Faults of rank tables made elsewhere: each is named, with its place, and nothing is a traceback."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.ascend.rank_table_check import OwnHost
from erfnet_jobs.ascend.rank_table_files import check_content, sound_table
from erfnet_jobs.errors import BadData

Table = dict[str, Any]


def server(name: str, network: int, first: int, count: int = 2, pod_ip: str | None = None) -> Table:
    devices = [
        {"device_id": str(number), "device_ip": f"172.16.{network}.{number + 1}", "rank_id": str(first + number)}
        for number in range(count)
    ]
    return {"server_id": name, "device": devices, "host_nic_ip": "reserve", "pod_ip": pod_ip or name}


def table(*servers: Table) -> Table:
    return {"version": "1.0", "server_count": str(len(servers)), "server_list": list(servers), "status": "completed"}


TWO = table(server("10.9.0.1", 1, 0), server("10.9.0.2", 2, 2))


def found(document: object, **known: Any) -> list[str]:
    return [str(fault) for fault in check_content(json.dumps(document).encode(), **known)[1]]


def changed(change: Callable[[Table], object]) -> Table:
    document = copy.deepcopy(TWO)
    change(document)
    return document


def device(document: Table, at: int, index: int) -> Table:
    entry: Table = document["server_list"][at]["device"][index]
    return entry


def test_a_table_without_faults() -> None:
    assert found(TWO) == []
    assert [place.server_id for place in sound_table(json.dumps(TWO).encode(), "x").servers] == ["10.9.0.1", "10.9.0.2"]


def test_a_server_may_have_its_ranks_in_any_order() -> None:
    assert (
        found(changed(lambda one: (device(one, 0, 0).update(rank_id="1"), device(one, 0, 1).update(rank_id="0")))) == []
    )


def test_what_mindcluster_adds_is_allowed() -> None:
    more = {"host_ip": "10.9.0.1", "container_ip": "10.9.5.1", "hardware_type": "800I-A2-32G"}
    assert found(changed(lambda one: one["server_list"][0].update(more))) == []


@pytest.mark.parametrize(
    ("change", "start"),
    [
        (lambda one: one.pop("version"), "version: is missing"),
        (lambda one: one.update(version=1.0), "version: is 1.0, and must be '1.0'"),
        (lambda one: one.update(version="1.1"), "version: is '1.1'"),
        (lambda one: one.update(status="initializing"), "status: is 'initializing'"),
        (lambda one: one.pop("status"), "status: is missing"),
        (lambda one: one.update(server_count="3"), "server_count: is '3', and server_list has 2"),
        (lambda one: one.update(server_count=2), "server_count: is 2, and must be a number in quotes"),
        (lambda one: one.pop("server_count"), "server_count: is missing"),
        (lambda one: one.pop("server_list"), "server_list: is missing"),
        (lambda one: one.update(server_list={}), "server_list: must be a list"),
        (lambda one: one["server_list"].append(7), "server_list[2]: must be an object"),
        (lambda one: one["server_list"][1].pop("server_id"), "server_list[1].server_id: is missing"),
        (lambda one: one["server_list"][1].update(server_id="10.9.0.256"), "server_list[1].server_id: is '10.9.0.256'"),
        (lambda one: one["server_list"][1].update(server_id="x" * 65), "server_list[1].server_id: is 'xxx"),
        (
            lambda one: one["server_list"][1].update(server_id="10.9.0.1"),
            "server_list[1].server_id: '10.9.0.1' is also",
        ),
        (lambda one: one["server_list"][1].update(pod_ip="10.9.0.1"), "server_list[1].pod_ip: '10.9.0.1' is also"),
        (lambda one: one["server_list"][1].update(pod_ip="here"), "server_list[1].pod_ip: is 'here'"),
        (lambda one: one["server_list"][1].pop("pod_ip"), "server_list[1].pod_ip: is missing: MindSpore then"),
        (lambda one: one["server_list"][1].update(device=[]), "server_list[1].device: is missing"),
        (lambda one: one["server_list"][1].update(colour=1), "server_list[1].'colour': is no key"),
        (lambda one: one["server_list"][0]["device"].append("x"), "server_list[0].device[2]: must be an object"),
        (lambda one: device(one, 0, 1).pop("device_id"), "server_list[0].device[1].device_id: is missing"),
        (lambda one: device(one, 0, 1).update(device_id="-1"), "server_list[0].device[1].device_id: is '-1'"),
        (lambda one: device(one, 0, 1).update(device_id="00"), "server_list[0].device[1].device_id: '00' is also"),
        (
            lambda one: device(one, 0, 1).update(rank_id=1),
            "server_list[0].device[1].rank_id: is 1, and must be a number",
        ),
        (lambda one: device(one, 0, 1).update(rank_id="0"), "server_list[0].device[1].rank_id: '0' is also"),
        (lambda one: device(one, 1, 1).update(rank_id="4"), "server_list: 4 devices need the ranks 0 to 3"),
        (lambda one: device(one, 1, 0).pop("device_ip"), "server_list[1].device[0].device_ip: is missing"),
        (
            lambda one: device(one, 1, 0).update(device_ip="172.16.2"),
            "server_list[1].device[0].device_ip: is '172.16.2'",
        ),
        (
            lambda one: device(one, 1, 0).update(device_ip="127.0.0.1"),
            "server_list[1].device[0].device_ip: is '127.0.0.1'",
        ),
        (
            lambda one: device(one, 1, 0).update(device_ip="172.16.1.1"),
            "server_list[1].device[0].device_ip: '172.16.1.1' is also server_list[0].device[0].device_ip",
        ),
        (
            lambda one: (device(one, 0, 1).update(rank_id="3"), device(one, 1, 1).update(rank_id="1")),
            "server_list[0]: its ranks 0, 3 do not follow one another",
        ),
        (
            lambda one: one["server_list"][0].update(server_id="10.9.0.3"),
            "server_list[1].server_id: '10.9.0.2' comes before '10.9.0.3' in the dictionary",
        ),
    ],
)
def test_each_fault_is_named_with_its_place(change: Callable[[Table], object], start: str) -> None:
    faults = found(changed(change))
    assert any(fault.startswith(start) for fault in faults), faults


def test_every_fault_is_named_and_not_the_first_only() -> None:
    def many(one: Table) -> None:
        one.update(status="no")
        device(one, 0, 0).update(rank_id=0, device_ip="x")
        device(one, 1, 1).pop("device_id")

    places = [fault.partition(":")[0] for fault in found(changed(many))]
    assert places == [
        "status",
        "server_list[0].device[0].rank_id",
        "server_list[0].device[0].device_ip",
        "server_list[1].device[1].device_id",
        "server_list",
    ]


def test_without_pod_ip_is_a_warning() -> None:
    document = changed(lambda one: [entry.pop("pod_ip") for entry in one["server_list"]])
    faults = check_content(json.dumps(document).encode())[1]
    assert [fault.warning for fault in faults] == [True, True]
    assert sound_table(json.dumps(document).encode(), "x").servers[0].pod_ip is None


@pytest.mark.parametrize(
    "document",
    [
        {"version": "1.2", "server_list": []},
        {**TWO, "super_pod_list": []},
        changed(lambda one: device(one, 0, 0).update(super_device_id="0")),
    ],
)
def test_super_pods_are_refused_for_that_reason(document: Table) -> None:
    (fault,) = found(document)
    assert "1.2, that of super pods (910C)" in fault


def test_the_format_before_version_1_is_refused_for_that_reason() -> None:
    (fault,) = found({"status": "completed", "group_count": "1", "group_list": [{"instance_list": []}]})
    assert "group_list" in fault


def test_version_2_is_refused_for_that_reason() -> None:
    (fault,) = found({"version": "2.0", "rank_count": "1", "rank_list": []})
    assert "Atlas 350" in fault


@pytest.mark.parametrize(("generation", "reason"), [("910C", "super pod"), ("310", "no HCCL"), ("x", "unknown")])
def test_generations_without_tables(generation: str, reason: str) -> None:
    (fault,) = found(TWO, generation=generation)
    assert reason in fault


def test_the_group_rule_is_one_of_910a() -> None:
    three = table(server("10.9.0.1", 1, 0, 3))
    crossing = table(server("10.9.0.1", 1, 0))
    crossing["server_list"][0]["device"][1]["device_id"] = "4"
    beyond = table(server("10.9.0.1", 1, 0))
    beyond["server_list"][0]["device"][1]["device_id"] = "8"
    for document, words in ((three, "3 devices"), (crossing, "both groups"), (beyond, "no 8")):
        (fault,) = check_content(json.dumps(document).encode(), generation="910A")[1]
        assert words in fault.text
        assert not fault.warning
        assert found(document, generation="910B") == []
        (unknown,) = check_content(json.dumps(document).encode())[1]
        assert unknown.warning
        assert "--generation" in unknown.text
    assert found(table(server("10.9.0.1", 1, 0, 8)), generation="910A") == []
    uneven = table(server("10.9.0.1", 1, 0, 2), server("10.9.0.2", 2, 2, 4))
    assert found(uneven, generation="910B") == []
    assert "different numbers" in found(uneven, generation="910A")[0]


def test_devices_that_this_host_does_not_have() -> None:
    own = OwnHost("10.9.0.2", frozenset({0}))
    (fault,) = found(TWO, own=own)
    assert fault.startswith("server_list[1].device[1].device_id: this host has no device with the physical id 1")
    assert found(TWO, own=OwnHost("10.9.0.3", frozenset())) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe{}", b"[" * 100_000, b"1" * 5000])
def test_what_is_no_table_at_all(content: bytes) -> None:
    document, (fault,) = check_content(content)
    assert document is None
    assert fault.place == "file"
    with pytest.raises(BadData, match="rank table x has faults: file"):
        sound_table(content, "x")


def test_a_key_that_is_there_twice() -> None:
    assert "twice" in found_in(b'{"version": "1.0", "version": "1.0"}')[0]


def found_in(content: bytes) -> list[str]:
    return [str(fault) for fault in check_content(content)[1]]


NAMES = st.sampled_from(
    [
        "version",
        "server_count",
        "server_list",
        "status",
        "server_id",
        "pod_ip",
        "device",
        "device_id",
        "device_ip",
        "rank_id",
        "rank_list",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["1.0", "0", "::1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=4), inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_any_json_has_faults_and_no_traceback(value: Any) -> None:
    assert found(value)


@given(st.binary(max_size=200))
def test_any_bytes_have_faults_and_no_traceback(content: bytes) -> None:
    assert found_in(content)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, entry in inner for place in _paths(entry, (*path, key)))]


@given(st.sampled_from([path for path in _paths(TWO) if path]), VALUES, st.none() | st.sampled_from(["910A", "910B"]))
def test_a_table_with_anything_anywhere_is_checked_or_sound(
    path: tuple[Any, ...], value: Any, generation: str | None
) -> None:
    document = copy.deepcopy(TWO)
    entry = document
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = value
    content = json.dumps(document).encode()
    if any(not fault.warning for fault in check_content(content, generation=generation)[1]):
        return
    sound = sound_table(content, "x", generation=generation)
    assert [rank for one in sound.servers for rank in one.ranks] == list(range(sound.world_size))
