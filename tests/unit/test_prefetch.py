import threading

import pytest

from erfnet_jobs.erfnet.prefetch import prefetch


def test_values_come_in_order_of_keys():
    with prefetch(lambda key: key * key, range(20), ahead=3, threads=2) as values:
        assert list(values) == [key * key for key in range(20)]


def test_no_more_is_loaded_than_asked_for():
    loaded = []
    with prefetch(loaded.append, range(100), ahead=2) as values:
        next(values)
    assert len(loaded) <= 3


def test_errors_come_out_where_the_value_would():
    def load(key: int) -> int:
        if key == 2:
            raise ValueError("the third")
        return key

    with prefetch(load, range(5)) as values:
        assert [next(values), next(values)] == [0, 1]
        with pytest.raises(ValueError, match="the third"):
            next(values)


def test_leaving_ends_the_threads():
    with prefetch(lambda key: key, range(10)) as values:
        next(values)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def test_nothing_to_load():
    with prefetch(lambda key: key, []) as values:
        assert list(values) == []
