"""Device ids as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.errors import UsageError
from erfnet_jobs.id_ranges import from_ranges, to_ranges


@pytest.mark.parametrize(("ids", "text"), [(set(), ""), ({3}, "3"), ({0, 1}, "0-1"), ({6, 0, 2, 1, 3}, "0-3,6")])
def test_runs_become_ranges(ids: set[int], text: str) -> None:
    assert to_ranges(ids) == text
    assert from_ranges(text) == ids


@given(st.frozensets(st.integers(0, 9999)))
def test_there_and_back(ids: frozenset[int]) -> None:
    assert from_ranges(to_ranges(ids)) == ids


@pytest.mark.parametrize("text", [",", "1,", "3-1", "-1", "1-", "a", "1 2", "0-99999999999", "²"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no list of ids"):
        from_ranges(text)
