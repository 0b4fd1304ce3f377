"""HCCL's variables for the ranks of one job on one host. Stdlib only.

Sources: CANN's "Environment variables" (HCCL_CONNECT_TIMEOUT, HCCL_EXEC_TIMEOUT, HCCL_IF_IP, HCCL_IF_BASE_PORT,
HCCL_HOST_SOCKET_PORT_RANGE, HCCL_WHITELIST_DISABLE).

What the worker's environment says of HCCL stays, as it is how the owner of a host tunes its network, but for what only
the launcher can know: the ports, which must differ between the jobs of a host; the address, which must be the one in
the rank table; and the other way of telling who belongs together (CM_*), which HCCL refuses beside a rank table.
Time-outs stay within HCCL's bounds, and none is endless.
"""

from collections.abc import Mapping

from erfnet_jobs.errors import UsageError

# Jobs of a host have no device in common, so that the first device of each has a block of ports for its job alone.
# From HCCL_IF_BASE_PORT (1024 to 65520) HCCL counts on by a device's physical id, for a second purpose by 8 more
# (GetHostPort in CANN's public sources), so that the 16 ports of its guide are those of a host with 8 devices, and 16
# devices take 24. The blocks begin after the ports that Linux gives to outgoing connections (32768 to 60999, ip(7));
# HCCL's own default, 60000, lies among those.
FIRST_PORT = 61_000
LAST_BASE_PORT = 65_520
PORTS = 32
# Seconds. Hosts of a gang start one after another, and each rank loads MindSpore first; HCCL's default is 120.
CONNECT_TIMEOUT = 600
CONNECT_BOUNDS = (120, 7200)
# HCCL's default. 910A takes multiples of 68 up to 17340; all others take those too.
EXEC_TIMEOUT = 1836
EXEC_STEP = 68
EXEC_LAST = 17_340

OWN = frozenset(
    {
        "HCCL_IF_IP",
        "HCCL_IF_BASE_PORT",
        "HCCL_HOST_SOCKET_PORT_RANGE",
        "HCCL_NPU_SOCKET_PORT_RANGE",
        "MINDSPORE_HCCL_CONFIG_PATH",
        "CM_CHIEF_IP",
        "CM_CHIEF_PORT",
        "CM_CHIEF_DEVICE",
        "CM_WORKER_IP",
        "CM_WORKER_SIZE",
    }
)


def base_port(first_device: int) -> int:
    """The first of the ports of the job whose lowest logical device id on the host this is; raises UsageError."""
    port = FIRST_PORT + PORTS * first_device
    if not FIRST_PORT <= port <= LAST_BASE_PORT:
        last = (LAST_BASE_PORT - FIRST_PORT) // PORTS
        raise UsageError(f"device {first_device} has no ports of its own for HCCL: device ids go from 0 to {last}")
    return port


def hccl_variables(first_device: int, address: str | None, base: Mapping[str, str]) -> dict[str, str]:
    """What is set over `base` (from which `OWN` has gone). `address`: this host's, for a job over several hosts."""
    own = {
        "HCCL_IF_BASE_PORT": str(base_port(first_device)),
        "HCCL_CONNECT_TIMEOUT": str(_connect_timeout(base.get("HCCL_CONNECT_TIMEOUT"))),
        "HCCL_EXEC_TIMEOUT": str(_exec_timeout(base.get("HCCL_EXEC_TIMEOUT"))),
        # Without a white list HCCL checks none; a host with one says so itself (=0, HCCL_WHITELIST_FILE).
        "HCCL_WHITELIST_DISABLE": base.get("HCCL_WHITELIST_DISABLE", "1"),
    }
    return own if address is None else {**own, "HCCL_IF_IP": address}


def _connect_timeout(text: str | None) -> int:
    first, last = CONNECT_BOUNDS
    wanted = _number(text)
    return CONNECT_TIMEOUT if wanted is None else min(max(wanted, first), last)


def _exec_timeout(text: str | None) -> int:
    """0 is "never" to HCCL: a rank that hangs would hold its devices for ever."""
    wanted = _number(text)
    if not wanted:
        return EXEC_TIMEOUT
    return min(max(wanted, EXEC_STEP), EXEC_LAST) // EXEC_STEP * EXEC_STEP


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) <= len(str(2**31)) else None
