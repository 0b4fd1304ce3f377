"""The address by which other hosts know this one. Stdlib only."""

import ipaddress
import socket

LOOPBACK = "127.0.0.1"
# For documentation (RFC 5737): no host has it, and no packet is sent to it here.
SOMEWHERE = ("192.0.2.1", 9)


def own_address() -> str:
    """What this host's name leads to; where that is loopback, the address that its packets leave from.

    On many systems the name leads to 127.0.1.1, which no other host reaches. Without a network it stays loopback.
    """
    try:
        named = socket.gethostbyname(socket.gethostname())
    except OSError:
        named = LOOPBACK
    return (_routed() or named) if ipaddress.ip_address(named).is_loopback else named


def _routed() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(SOMEWHERE)
            address: str = probe.getsockname()[0]
        except OSError:
            return None
    return None if ipaddress.ip_address(address).is_unspecified else address
