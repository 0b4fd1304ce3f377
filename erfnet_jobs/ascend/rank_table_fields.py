"""The keys of a rank table's servers and devices, each by itself. Stdlib only; total on any JSON."""

import ipaddress
from collections.abc import Iterator
from typing import Any

# Beside what hccl_tools.py writes: MindCluster's hccl.json, and MindSpore's table over several clusters.
SERVER_KEYS = frozenset({"server_id", "device", "host_nic_ip", "pod_ip"})
SERVER_EXTRAS = frozenset({"host_ip", "container_ip", "hardware_type", "server_ip"})
DEVICE_KEYS = frozenset({"device_id", "device_ip", "rank_id"})
DEVICE_EXTRAS = frozenset({"dpu_ip", "numa_id"})
# HCCL's guide.
MAX_SERVER_ID = 64
MAX_DIGITS = 9
# Of a value in a message.
LONGEST = 60

FieldFault = tuple[str, str, bool]


def whole_number(value: object) -> int | None:
    """The number that stands in quotes; None for all else, a JSON number too."""
    if not isinstance(value, str) or not (value.isascii() and value.isdecimal()) or len(value) > MAX_DIGITS:
        return None
    return int(value)


def meaning(text: str) -> object:
    """What two texts have in common that mean the same number or address, such as '7' and '07'."""
    if (number := whole_number(text)) is not None:
        return number
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return text


def shown(value: object) -> str:
    """A value in a message: short, and printable whatever it is."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def address_fault(value: object, *, of_device: bool = False) -> str | None:
    """What is wrong with an IPv4 or IPv6 address; a device's cannot be a loopback."""
    try:
        address = ipaddress.ip_address(value) if isinstance(value, str) else None
    except ValueError:
        address = None
    if address is None:
        return f"is {shown(value)}, and must be an IP address in quotes"
    if address.is_multicast or address.is_unspecified or (of_device and address.is_loopback):
        return f"is {shown(value)}, and must be an address that others can reach"
    return None


def server_faults(place: str, server: object) -> Iterator[FieldFault]:
    """(place, text, whether it is a warning only) of a server without its devices."""
    if not isinstance(server, dict):
        yield place, "must be an object with server_id and device", False
        return
    yield from _server_id(place, server)
    devices = server.get("device")
    if not isinstance(devices, list) or not devices:
        yield f"{place}.device", "is missing: it must be a list with at least one device", False
    if "pod_ip" not in server:
        text = "is missing: MindSpore then starts the ranks in its own order, not in the table's"
        yield f"{place}.pod_ip", text, True
    for name in ("pod_ip", "host_ip", "container_ip", "server_ip"):
        if name in server and (fault := address_fault(server[name])):
            yield f"{place}.{name}", fault, False
    yield from _unknown(place, server, SERVER_KEYS | SERVER_EXTRAS)


def _server_id(place: str, server: dict[str, Any]) -> Iterator[FieldFault]:
    name = server.get("server_id")
    where = f"{place}.server_id"
    if "server_id" not in server:
        yield where, "is missing", False
    elif not isinstance(name, str) or not 0 < len(name) <= MAX_SERVER_ID:
        yield where, f"is {shown(name)}, and must be a text of 1 to {MAX_SERVER_ID} characters", False
    elif name.replace(".", "").isdecimal() and address_fault(name):
        yield where, f"is {shown(name)}, which is no IP address", False


def device_faults(place: str, device: object) -> Iterator[FieldFault]:
    """(place, text, whether it is a warning only) of a device."""
    if not isinstance(device, dict):
        yield place, "must be an object with device_id, device_ip and rank_id", False
        return
    for name in ("device_id", "rank_id"):
        if name not in device:
            yield f"{place}.{name}", "is missing", False
        elif whole_number(device[name]) is None:
            hint = " (merge_hccl.py writes it without)" if isinstance(device[name], int) else ""
            text = f"is {shown(device[name])}, and must be a number from 0 in quotes{hint}"
            yield f"{place}.{name}", text, False
    if "device_ip" not in device:
        yield f"{place}.device_ip", "is missing", False
    elif fault := address_fault(device["device_ip"], of_device=True):
        yield f"{place}.device_ip", fault, False
    yield from _unknown(place, device, DEVICE_KEYS | DEVICE_EXTRAS)


def _unknown(place: str, entry: dict[str, Any], known: frozenset[str]) -> Iterator[FieldFault]:
    for name in entry:
        if name not in known:
            yield f"{place}.{shown(name)}", "is no key of a rank table of version 1.0, and is not used", True
