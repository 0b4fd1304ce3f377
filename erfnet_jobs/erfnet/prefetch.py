"""Loading ahead: threads prepare the next batches while the network works on the present one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


@contextmanager
def prefetch(load: Callable[[K], V], keys: Iterable[K], ahead: int = 2, threads: int = 1) -> Iterator[Iterator[V]]:
    """`load(key)` of each key, in order, at most `ahead` loaded or being loaded before they are taken.

    What `load` raises comes out where its value would have. Leaving the context ends the threads.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="prefetch")
    try:
        yield _in_order(pool, load, iter(keys), ahead)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_order(pool: ThreadPoolExecutor, load: Callable[[K], V], keys: Iterator[K], ahead: int) -> Iterator[V]:
    waiting: deque[Future[V]] = deque(pool.submit(load, key) for key in islice(keys, ahead))
    while waiting:
        value = waiting.popleft().result()
        waiting.extend(pool.submit(load, key) for key in islice(keys, 1))
        yield value
