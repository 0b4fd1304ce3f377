"""Ranks that see different data say so together, before they compute with it."""

import zlib

import pytest

from erfnet_jobs.erfnet import same_data
from erfnet_jobs.erfnet.same_data import check_same_data
from erfnet_jobs.errors import BadData


def seen_with(monkeypatch, other):
    """Rank 1 of two sees `other`, (images, content)."""

    def gathered(own, _ranks):
        table = own.reshape(2, 2).copy()
        table[1] = other[0], zlib.crc32(other[1].encode())
        return table.reshape(-1)

    monkeypatch.setattr(same_data, "sum_over_ranks", gathered)


def test_the_same_is_fine(monkeypatch):
    check_same_data(5, "abc", 0, 1)
    seen_with(monkeypatch, (5, "abc"))
    check_same_data(5, "abc", 0, 2)


@pytest.mark.parametrize("other", [(4, "abc"), (5, "abd")])
def test_other_counts_and_other_content(monkeypatch, other):
    seen_with(monkeypatch, other)
    with pytest.raises(BadData, match=f"rank 0 sees 5 images and rank 1 {other[0]}"):
        check_same_data(5, "abc", 0, 2)
