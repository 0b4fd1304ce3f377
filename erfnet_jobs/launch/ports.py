"""A fresh port for a gang's scheduler: never one that this process gave before. Stdlib only."""

import random
import socket

from erfnet_jobs.errors import RanksFailed

# Below the range from which Linux takes ports for outgoing connections (32768 on; ip(7)), above most services.
FIRST, LAST = 20_000, 32_767
TRIES = 200

_given: set[int] = set()


def _is_free(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


def fresh_port(address: str) -> int:
    """A random port that is free on `address` now; a stale scheduler may still answer on the one used last.

    Raises RanksFailed when 200 of them are taken, or when the address is not this host's.
    """
    if not _is_free(address, 0):
        raise RanksFailed(f"{address} is no address of this host: set ERFNET_JOBS_HOST_ADDRESS to one that is")
    for _ in range(TRIES):
        port = random.SystemRandom().randint(FIRST, LAST)
        if port not in _given and _is_free(address, port):
            _given.add(port)
            return port
    raise RanksFailed(f"no free port from {FIRST} to {LAST} on {address}: see what listens there with `ss -ltn`")
