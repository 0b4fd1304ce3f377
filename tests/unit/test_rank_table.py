"""Rank tables as they are made and merged, against what MindSpore's own scripts write."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.ascend.rank_table import Server, TableDevice, from_document, numbered, to_document, to_text
from erfnet_jobs.ascend.rank_table_check import table_faults
from erfnet_jobs.ascend.rank_table_files import merge
from erfnet_jobs.ascend.rank_table_make import KnownDevice, KnownHost, in_order, make_table
from erfnet_jobs.errors import BadData, UsageError
from tests.hccl_tools import hccl_tools_document, merge_hccl_document

EIGHT = [str(number) for number in range(8)]
HOST = "10.20.0.7"
RANGES = st.sampled_from([(first, last) for first in range(8) for last in range(first + 1, 9)])
ADDRESSES = st.lists(
    st.tuples(st.integers(1, 223).filter(lambda first: first != 127), *[st.integers(0, 254)] * 3),
    min_size=8,
    max_size=8,
    unique=True,
).map(lambda rows: [".".join(map(str, row)) for row in rows])


def known(addresses: list[str], physical: list[int], generation: str = "910B") -> list[KnownDevice]:
    """Devices by logical id."""
    return [KnownDevice(id_, physical[id_], addresses[id_], generation) for id_ in range(len(physical))]


def ours(devices: list[KnownDevice], server: str = HOST) -> dict[str, Any]:
    return to_document(make_table([in_order(server, server, devices)]))


def without_pod_ip(document: dict[str, Any]) -> dict[str, Any]:
    servers = [
        {name: value for name, value in server.items() if name != "pod_ip"} for server in document["server_list"]
    ]
    return {**document, "server_list": servers}


@given(RANGES, ADDRESSES, st.ip_addresses(v=4).filter(lambda ip: not ip.is_multicast and not ip.is_unspecified))
def test_what_hccl_tools_writes_has_the_same_keys_and_values(
    span: tuple[int, int], addresses: list[str], server: Any
) -> None:
    first, last = span
    printed = {number: [f"ipaddr:{addresses[number]}\n", "netmask:255.255.255.0\n"] for number in range(8)}
    try:
        theirs = hccl_tools_document(first, last, EIGHT, str(server), printed)
    except ValueError:
        return  # its group rule, which is one of 910A only
    table = ours(known(addresses, list(range(8)))[first:last], str(server))

    assert without_pod_ip(table) == theirs
    # The order of the keys too.
    assert json.dumps(without_pod_ip(table), indent=4) == json.dumps(theirs, indent=4)
    assert [entry["pod_ip"] for entry in table["server_list"]] == [str(server)]
    assert table_faults(table, generation="910B") == []


@given(st.permutations(EIGHT), ADDRESSES)
def test_visible_devices_of_a_container_through_hccn_conf(visible: list[str], addresses: list[str]) -> None:
    conf = [f"address_{number}={addresses[number]}\n" for number in range(8)]
    theirs = hccl_tools_document(0, 4, visible, HOST, None, ["", *conf, "IPv6address_0=fd00::1\n"])
    # The container's logical ids count its own devices; physical ids and addresses are the machine's.
    physical = [int(number) for number in visible[:4]]
    table = ours(known([addresses[number] for number in physical], physical))

    assert without_pod_ip(table) == theirs


def test_where_hccl_tools_fails_with_hccn_tool_in_a_container() -> None:
    printed = {number: [f"ipaddr:10.0.0.{number + 1}\n"] for number in range(4)}
    with pytest.raises(KeyError):
        hccl_tools_document(0, 4, ["4", "5", "6", "7"], HOST, printed)

    table = ours(known([f"10.0.0.{number + 5}" for number in range(4)], [4, 5, 6, 7]))

    assert [device["device_id"] for device in table["server_list"][0]["device"]] == ["4", "5", "6", "7"]


def test_where_hccl_tools_takes_an_error_for_an_address() -> None:
    printed = {0: ["hccn_tool is busy: please try again\n"]}
    theirs = hccl_tools_document(0, 1, EIGHT, HOST, printed)
    assert theirs["server_list"][0]["device"][0]["device_ip"] == " please try again"

    with pytest.raises(UsageError, match="device IP of device 0 is ' please try again'"):
        ours([KnownDevice(0, 0, " please try again", "910B")])
    assert "server_list[0].device[0].device_ip" in [fault.place for fault in table_faults(theirs)]


def test_where_hccl_tools_cuts_ipv6() -> None:
    theirs = hccl_tools_document(0, 1, EIGHT, HOST, {0: ["ipaddr:fd00:0:0:1::6\n"]})
    assert theirs["server_list"][0]["device"][0]["device_ip"] == "fd00"

    assert ours([KnownDevice(0, 0, "fd00:0:0:1::6", "910B")])["server_list"][0]["device"][0]["device_ip"] == (
        "fd00:0:0:1::6"
    )


def test_where_hccl_tools_knows_single_digits_only() -> None:
    devices = known([f"10.0.0.{number + 1}" for number in range(16)], list(range(16)))

    assert len(ours(devices)["server_list"][0]["device"]) == 16


@pytest.mark.parametrize(("generation", "refused"), [("910A", True), ("910B", False)])
def test_where_hccl_tools_has_one_group_rule_for_all(generation: str, refused: bool) -> None:
    with pytest.raises(ValueError, match="device num"):
        hccl_tools_document(3, 5, EIGHT, HOST, {})
    devices = known([f"10.0.0.{number + 1}" for number in range(8)], list(range(8)), generation)

    if refused:
        with pytest.raises(UsageError, match="groups of a 910A"):
            ours(devices[3:5])
        with pytest.raises(UsageError, match="3 devices of a 910A"):
            ours(devices[:3])
    else:
        assert len(ours(devices[3:5])["server_list"][0]["device"]) == 2
    assert len(ours(devices)["server_list"][0]["device"]) == 8


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        (KnownDevice(0, 0, "10.0.0.1", "910C"), "super pod"),
        (KnownDevice(0, 0, None, "310P"), "has no HCCL"),
        (KnownDevice(0, 0, "10.0.0.1", "950"), "unknown"),
        (KnownDevice(0, 0, "10.0.0.1", None), "generation"),
        (KnownDevice(0, None, "10.0.0.1", "910B"), "physical id of device 0"),
        (KnownDevice(0, 0, None, "910B"), "hccn_tool -i 0 -ip -g"),
        (KnownDevice(0, 0, "127.0.0.1", "910B"), "others can reach"),
    ],
)
def test_devices_without_a_table(device: KnownDevice, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        ours([device])


def test_one_job_has_one_generation() -> None:
    mixed = [KnownDevice(0, 0, "10.0.0.1", "910A"), KnownDevice(1, 1, "10.0.0.2", "910B")]
    with pytest.raises(UsageError, match="several generations"):
        ours(mixed)


def test_a_host_needs_an_address() -> None:
    with pytest.raises(UsageError, match="ERFNET_JOBS_HOST_ADDRESS"):
        ours([KnownDevice(0, 0, "10.0.0.1", "910B")], "localhost")


def test_ranks_follow_the_devices() -> None:
    devices = known([f"10.0.0.{number + 1}" for number in range(4)], [3, 2, 1, 0])
    table = make_table([in_order(HOST, HOST, list(reversed(devices)))])

    assert [(one.device_id, one.rank) for one in table.servers[0].devices] == [(3, 0), (2, 1), (1, 2), (0, 3)]
    reverse = make_table([KnownHost(HOST, HOST, tuple(devices), (3, 2, 1, 0))])
    assert [(one.device_id, one.rank) for one in reverse.servers[0].devices] == [(3, 3), (2, 2), (1, 1), (0, 0)]
    assert from_document(json.loads(to_text(reverse))) == reverse


def files(folder: Path, documents: list[dict[str, Any]]) -> list[Path]:
    paths = []
    for number, document in enumerate(documents):
        path = folder / f"{number}.json"
        path.write_text(json.dumps(document))
        paths.append(path)
    return paths


def of_host(server: str, network: int, count: int = 2) -> dict[str, Any]:
    printed = {number: [f"ipaddr:10.{network}.0.{number + 1}\n"] for number in range(8)}
    return hccl_tools_document(0, count, EIGHT, server, printed)


def test_merged_as_merge_hccl_does_it_but_with_texts(tmp_path: Path) -> None:
    documents = [of_host("10.0.0.1", 1), of_host("10.0.0.2", 2, 4)]
    theirs = merge_hccl_document(documents)

    merged = to_document(merge(files(tmp_path, documents)))

    ranks = [device["rank_id"] for server in merged["server_list"] for device in server["device"]]
    assert ranks == ["0", "1", "2", "3", "4", "5"]
    assert json.loads(json.dumps(merged), parse_int=str) == _as_texts(theirs)
    # MindSpore 2.10 reads texts only.
    assert any("merge_hccl.py" in fault.text for fault in table_faults(theirs))


def _as_texts(document: dict[str, Any]) -> dict[str, Any]:
    servers = [
        {**server, "device": [{**device, "rank_id": str(device["rank_id"])} for device in server["device"]]}
        for server in document["server_list"]
    ]
    return {**document, "server_list": servers}


def test_merged_in_the_dictionary_order_of_server_id(tmp_path: Path) -> None:
    # 10.0.0.10 comes before 10.0.0.9 in the dictionary.
    documents = [of_host("10.0.0.9", 1), of_host("10.0.0.10", 2)]

    table = merge(files(tmp_path, documents))

    assert [(server.server_id, server.ranks) for server in table.servers] == [
        ("10.0.0.10", (0, 1)),
        ("10.0.0.9", (2, 3)),
    ]
    assert [fault for fault in table_faults(to_document(table)) if not fault.warning] == []
    order = [fault for fault in table_faults(_as_texts(merge_hccl_document(documents))) if "dictionary" in fault.text]
    assert [fault.place for fault in order] == ["server_list[1].server_id"]


@given(st.lists(st.ip_addresses(v=4, network="10.0.0.0/8"), min_size=1, max_size=5, unique=True), st.data())
def test_servers_in_any_order_make_one_table_without_faults(addresses: list[Any], data: st.DataObject) -> None:
    servers = []
    for number, address in enumerate(map(str, addresses)):
        ranks = data.draw(st.permutations(range(data.draw(st.integers(1, 8)))))
        devices = tuple(TableDevice(slot, f"172.16.{number}.{slot + 1}", rank) for slot, rank in enumerate(ranks))
        servers.append(Server(address, devices, address))

    table = numbered(servers)

    assert numbered(data.draw(st.permutations(servers))) == table
    assert from_document(to_document(table)) == table
    assert table_faults(to_document(table), generation="910B") == []
    assert [rank for server in table.servers for rank in server.ranks] == list(range(table.world_size))
    # The device that was first of its server's ranks still is.
    for server in servers:
        (made,) = (one for one in table.servers if one.server_id == server.server_id)
        assert [one.rank - made.ranks[0] for one in made.devices] == [one.rank for one in server.devices]


def test_merging_keeps_the_ranks_of_a_server_in_their_order(tmp_path: Path) -> None:
    odd = of_host("10.0.0.2", 2)
    for device, rank in zip(odd["server_list"][0]["device"], ("1", "0"), strict=True):
        device["rank_id"] = rank

    table = merge(files(tmp_path, [odd, of_host("10.0.0.1", 1)]))

    assert [[one.rank for one in server.devices] for server in table.servers] == [[0, 1], [3, 2]]


@pytest.mark.parametrize(
    ("documents", "reason"),
    [
        ([of_host("10.0.0.1", 1), of_host("10.0.0.1", 2)], "server_id 10.0.0.1 stands in"),
        ([of_host("10.0.0.1", 1), of_host("10.0.0.2", 1)], "device_ip 10.1.0.1 stands in"),
        ([of_host("10.0.0.1", 1), {**of_host("10.0.0.2", 2), "status": "initializing"}], "1.json has faults: status"),
    ],
)
def test_what_cannot_be_merged(tmp_path: Path, documents: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(BadData, match=reason):
        merge(files(tmp_path, documents))


def test_a_file_is_merged_once(tmp_path: Path) -> None:
    (path,) = files(tmp_path, [of_host("10.0.0.1", 1)])
    (tmp_path / "link.json").symlink_to(path)
    with pytest.raises(BadData, match="given twice"):
        merge([path, tmp_path / "link.json"])
    with pytest.raises(BadData, match="cannot be read"):
        merge([path, tmp_path / "none.json"])
