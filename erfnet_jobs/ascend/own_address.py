"""The address by which other hosts know this one. Stdlib only."""

import ipaddress
import socket

# For documentation (RFC 5737): no host has it, and no packet is sent to it here.
SOMEWHERE = ("192.0.2.1", 9)


def own_address(setting: str) -> str:
    """`setting` where it is an address that others may reach, else the one that this host's packets leave from.

    socket.gethostbyname, which hccl_tools.py and our own default take, gives 127.0.1.1 on many systems. `setting` comes
    back as it is where this host has no network.
    """
    try:
        loopback = ipaddress.ip_address(setting).is_loopback
    except ValueError:
        loopback = True
    return (_routed() or setting) if loopback else setting


def _routed() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(SOMEWHERE)
            address: str = probe.getsockname()[0]
        except OSError:
            return None
    return None if ipaddress.ip_address(address).is_unspecified else address
