"""Every fault of a rank table that was made elsewhere, each with its place. Stdlib only; total on any bytes.

The rules are those of HCCL's guide (rank table configuration) and of MindSpore's documentation (rank_table.md); where
MindSpore 2.10 itself is stricter, as with numbers instead of strings, its rule counts.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from erfnet_jobs.ascend.group_rule import FIRST_910, group_fault, without_table
from erfnet_jobs.ascend.rank_table import COMPLETED, VERSION
from erfnet_jobs.ascend.rank_table_fields import device_faults, meaning, server_faults, shown, whole_number


@dataclass(frozen=True)
class Fault:
    """What is wrong at `place` ('server_list[0].device[2].rank_id'). A warning does not keep a job from running."""

    place: str
    text: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(frozen=True)
class OwnHost:
    """The host that checks: its address, the physical ids of its devices, and their generation where it is known."""

    address: str
    physical_ids: frozenset[int]
    generation: str | None = None

    def is_named(self, server: Mapping[str, Any]) -> bool:
        """Whether a server of a table is this host."""
        return self.address in (server.get("server_id"), server.get("pod_ip"))


def read_document(content: bytes) -> tuple[dict[str, Any] | None, list[Fault]]:
    """The JSON object of a file, or why there is none."""
    doubled: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        doubled.extend(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        return dict(pairs)

    try:
        document = json.loads(content.decode(), object_pairs_hook=unique)
    except RecursionError:
        return None, [Fault("file", "is nested far too deep to be a rank table")]
    except ValueError as error:  # also what is not UTF-8
        return None, [Fault("file", f"is not JSON: {error}")]
    if not isinstance(document, dict):
        return None, [Fault("file", "is JSON, but no object with version, server_count, server_list and status")]
    return document, [Fault("file", f"has the key {name!r} twice in one object") for name in dict.fromkeys(doubled)]


def table_faults(
    document: Mapping[str, Any], *, generation: str | None = None, own: OwnHost | None = None
) -> list[Fault]:
    """All faults and warnings of a table, in the order of the file.

    `generation` of None: not known, unless the table names this host. A table of another version has that one fault.
    """
    if reason := _other_format(document):
        return [Fault("version", reason)]
    if generation is not None and (reason := without_table(generation)):
        return [Fault("generation", reason)]
    servers = [entry for entry in _entries(document.get("server_list")) if isinstance(entry[1], dict)]
    if own is not None and any(own.is_named(server) for _, server in servers):
        generation = generation or own.generation
    faults = [Fault(*fault) for fault in _head_faults(document)]
    faults += [Fault(place, text, warning) for place, text, warning in _server_list_faults(document)]
    faults += _rank_faults(servers)
    faults += _group_faults(servers, generation)
    faults += _own_faults(servers, own)
    return faults


def _other_format(document: Mapping[str, Any]) -> str | None:
    version = document.get("version")
    servers = [entry for _, entry in _entries(document.get("server_list")) if isinstance(entry, dict)]
    devices = [one for entry in servers for _, one in _entries(entry.get("device")) if isinstance(one, dict)]
    pods = any("super_device_id" in one for one in devices)
    if version == "1.2" or "super_pod_list" in document or pods:
        return "the table is of version 1.2, that of super pods (910C), which this program can neither check nor make"
    if "group_list" in document and "server_list" not in document:
        return "the table is of HCCL's older format with group_list, which this program can neither check nor make"
    if version == "2.0" or "rank_list" in document:
        return (
            "the table is of version 2.0, that of Atlas 350, 850 and 950, which this program can neither check nor make"
        )
    return None


def _head_faults(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, wanted in (("version", VERSION), ("status", COMPLETED)):
        if name not in document:
            yield name, f"is missing: it must be {wanted!r}"
        elif document[name] != wanted:
            yield name, f"is {shown(document[name])}, and must be {wanted!r}"
    servers = document.get("server_list")
    if "server_list" not in document:
        yield "server_list", "is missing"
    elif not isinstance(servers, list) or not servers:
        yield "server_list", "must be a list with at least one server"
    elif text := _count_fault(document, len(servers)):
        yield "server_count", text


def _count_fault(document: Mapping[str, Any], servers: int) -> str | None:
    if "server_count" not in document:
        return "is missing"
    count = document["server_count"]
    number = whole_number(count)
    if number is None:
        return f"is {shown(count)}, and must be a number in quotes"
    return None if number == servers else f"is {count!r}, and server_list has {servers}"


def _server_list_faults(document: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Of each server and device by itself, then what is there twice."""
    servers = _entries(document.get("server_list"))
    for number, server in servers:
        place = f"server_list[{number}]"
        yield from server_faults(place, server)
        devices = _entries(server.get("device")) if isinstance(server, dict) else []
        for index, device in devices:
            yield from device_faults(f"{place}.device[{index}]", device)
        yield from _twice((f"{place}.device[{index}].device_id", device) for index, device in devices)
    for name in ("server_id", "pod_ip"):
        yield from _twice((f"server_list[{number}].{name}", server) for number, server in servers)
    everywhere = [
        (f"server_list[{number}].device[{index}]", device)
        for number, server in servers
        if isinstance(server, dict)
        for index, device in _entries(server.get("device"))
    ]
    for name in ("device_ip", "rank_id"):
        yield from _twice((f"{place}.{name}", device) for place, device in everywhere)


def _twice(entries: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str, bool]]:
    """Faults of entries whose value of the key that ends their place another one before them has."""
    seen: dict[object, str] = {}
    for place, entry in entries:
        value = entry.get(place.rpartition(".")[2]) if isinstance(entry, dict) else None
        if not isinstance(value, str):
            continue
        meant = meaning(value)
        if meant in seen:
            yield place, f"{shown(value)} is also {seen[meant]}", False
        seen.setdefault(meant, place)


def _entries(value: object) -> list[tuple[int, Any]]:
    return list(enumerate(value)) if isinstance(value, list) else []


def _numbers(server: Mapping[str, Any], name: str) -> list[int]:
    devices = [one for _, one in _entries(server.get("device")) if isinstance(one, dict)]
    return [number for one in devices if (number := whole_number(one.get(name))) is not None]


def _rank_faults(servers: list[tuple[int, Any]]) -> Iterator[Fault]:
    ranks = [sorted(set(_numbers(server, "rank_id"))) for _, server in servers]
    total = sum(len(_entries(server.get("device"))) for _, server in servers)
    every = {rank for own in ranks for rank in own}
    if missing := sorted(set(range(total)) - every):
        text = f"{total} devices need the ranks 0 to {total - 1}, and there is no {_some(missing)}"
        yield Fault("server_list", text)
    for (number, _), own in zip(servers, ranks, strict=True):
        if own and own[-1] - own[0] != len(own) - 1:
            text = f"its ranks {_some(own)} do not follow one another: HCCL does not take ranks crossed between servers"
            yield Fault(f"server_list[{number}]", text)
    yield from _order_faults(servers, ranks)


def _order_faults(servers: list[tuple[int, Any]], ranks: list[list[int]]) -> Iterator[Fault]:
    """MindSpore: the order of rank_id is that of server_id in the dictionary."""
    known = [
        (own[0], server["server_id"], number)
        for (number, server), own in zip(servers, ranks, strict=True)
        if own and isinstance(server.get("server_id"), str)
    ]
    by_rank = sorted(known)
    for (_, before, _), (_, name, number) in pairwise(by_rank):
        if name < before:
            text = f"{shown(name)} comes before {shown(before)} in the dictionary, and its ranks come after"
            yield Fault(f"server_list[{number}].server_id", text)


def _group_faults(servers: list[tuple[int, Any]], generation: str | None) -> Iterator[Fault]:
    counts = set()
    for number, server in servers:
        ids = set(_numbers(server, "device_id"))
        counts.add(len(ids))
        if ids and (text := group_fault(generation or FIRST_910, ids)):
            note = "" if generation else " (no matter on other generations: say --generation)"
            yield Fault(f"server_list[{number}].device", text + note, warning=generation is None)
    if generation == FIRST_910 and len(counts) > 1:
        yield Fault("server_list", "the servers have different numbers of devices: those of 910A need the same number")


def _own_faults(servers: list[tuple[int, Any]], own: OwnHost | None) -> Iterator[Fault]:
    """Devices that this host, where it is in the table, does not have."""
    for number, server in servers:
        if own is None or not own.is_named(server):
            continue
        for index, device in _entries(server.get("device")):
            found = whole_number(device.get("device_id")) if isinstance(device, dict) else None
            if found is not None and found not in own.physical_ids:
                place = f"server_list[{number}].device[{index}].device_id"
                text = f"this host has no device with the physical id {found}: it has {_some(sorted(own.physical_ids))}"
                yield Fault(place, text)


def _some(numbers: list[int]) -> str:
    first = ", ".join(map(str, numbers[:8]))
    return f"{first} and {len(numbers) - 8} more" if len(numbers) > 8 else first or "none"
