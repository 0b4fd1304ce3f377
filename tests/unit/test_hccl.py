"""HCCL's variables: no port twice on a host, bounded time-outs, and whose wish counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.ascend.hccl import PORTS, base_port, hccl_variables
from erfnet_jobs.errors import UsageError

DEVICES = st.frozensets(st.integers(0, 15), min_size=1, max_size=16)


@given(DEVICES, DEVICES, st.permutations(range(16)))
def test_jobs_on_different_devices_of_a_host_never_share_a_port(
    one: frozenset[int], other: frozenset[int], physical: list[int]
) -> None:
    other -= one
    if not other:
        return
    used: list[set[int]] = []
    for devices in (one, other):
        base = int(hccl_variables(min(devices), None, {})["HCCL_IF_BASE_PORT"])
        # What HCCL listens on: by physical id, and again 8 further on.
        used.append({base + physical[device] + more for device in devices for more in (0, 8)})
        assert all(base <= port < base + PORTS for port in used[-1])
    assert not used[0] & used[1]
    assert all(61_000 <= port <= 65_535 for ports in used for port in ports)


@pytest.mark.parametrize("device", [-1, 142])
def test_a_device_whose_ports_would_not_be_hccls(device: int) -> None:
    assert base_port(141) <= 65_520
    with pytest.raises(UsageError, match="from 0 to 141"):
        base_port(device)


@given(st.none() | st.integers(-5, 10**12).map(str) | st.text(max_size=5), st.none() | st.integers(-5, 10**12).map(str))
def test_time_outs_are_bounded_whatever_is_wished(connect: str | None, execute: str | None) -> None:
    wished = {"HCCL_CONNECT_TIMEOUT": connect, "HCCL_EXEC_TIMEOUT": execute}
    own = hccl_variables(0, None, {name: value for name, value in wished.items() if value is not None})
    assert 120 <= int(own["HCCL_CONNECT_TIMEOUT"]) <= 7200
    assert 68 <= int(own["HCCL_EXEC_TIMEOUT"]) <= 17_340
    assert int(own["HCCL_EXEC_TIMEOUT"]) % 68 == 0


def test_whose_wish_counts() -> None:
    wished = {"HCCL_CONNECT_TIMEOUT": "1200", "HCCL_EXEC_TIMEOUT": "3400", "HCCL_WHITELIST_DISABLE": "0"}
    own = hccl_variables(2, "10.0.0.1", wished)
    assert {name: own[name] for name in wished} == wished
    assert own["HCCL_IF_IP"] == "10.0.0.1"
    plain = hccl_variables(2, None, {})
    assert (plain["HCCL_CONNECT_TIMEOUT"], plain["HCCL_EXEC_TIMEOUT"], plain["HCCL_WHITELIST_DISABLE"]) == (
        "600",
        "1836",
        "1",
    )
    assert "HCCL_IF_IP" not in plain
