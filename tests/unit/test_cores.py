"""Cores near the devices, shared fairly between the ranks of a host."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.ascend.cores import format_cores, parse_cores, shared_cores

CORES = st.frozensets(st.integers(0, 63), min_size=1)
NODES = st.sampled_from([None, "0-15", "16-31", "32-47,50", "no cores", "9-3", "0-999999999999"])


@given(CORES)
def test_a_list_of_cores_comes_back(cores: frozenset[int]) -> None:
    assert parse_cores(format_cores(cores)) == cores


def test_the_shortest_list() -> None:
    assert format_cores({3, 0, 1, 2, 9}) == "0-3,9"
    assert format_cores(()) == ""


@pytest.mark.parametrize("text", ["", "a", "3-1", "-1", "1,,2", "0-99999999"])
def test_what_is_no_list(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_cores(text)


@given(st.lists(NODES, max_size=8), CORES)
def test_shares_are_fair_near_and_usable(near: list[str | None], available: frozenset[int]) -> None:
    shares = shared_cores(near, available)
    assert len(shares) == len(near)
    for node in set(near):
        own = [share for text, share in zip(near, shares, strict=True) if text == node]
        usable = parse_cores(node) & available if node in ("0-15", "16-31", "32-47,50") else frozenset()
        assert frozenset().union(*own) == usable
        sizes = {len(share) for share in own}
        assert max(sizes) - min(sizes) <= 1
        if len(usable) >= len(own):
            assert sum(map(len, own)) == len(usable)


def test_four_ranks_on_two_nodes() -> None:
    shares = shared_cores(["0-3", "0-3", "4-7", "4-7"], range(7))
    assert shares == [{0, 1}, {2, 3}, {4}, {5, 6}]
