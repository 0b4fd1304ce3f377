"""HCCL's rank table, version 1.0: which rank runs on which device of which server. Stdlib only.

Keys, their order and their values are those of MindSpore's hccl_tools.py (mindspore-ai/models:utils/hccl_tools), with
`pod_ip` added: by it MindSpore 2.10's scheduler finds a worker's server, and gives the worker the rank that stands at
its local index in that server's device list. All values are strings.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

VERSION = "1.0"
COMPLETED = "completed"


@dataclass(frozen=True)
class TableDevice:
    """A device of a server: its physical id (N of /dev/davinciN), the address of its network port, and its rank."""

    device_id: int
    device_ip: str
    rank: int


@dataclass(frozen=True)
class Server:
    """A host in the table. `pod_ip` of None is not written; MindSpore then leaves the ranks as they were started."""

    server_id: str
    devices: tuple[TableDevice, ...]
    pod_ip: str | None = None

    @property
    def ranks(self) -> tuple[int, ...]:
        """Its ranks, ascending."""
        return tuple(sorted(device.rank for device in self.devices))


@dataclass(frozen=True)
class RankTable:
    """All servers of a job, in the order of their ranks."""

    servers: tuple[Server, ...]

    @property
    def world_size(self) -> int:
        """How many ranks there are."""
        return sum(len(server.devices) for server in self.servers)


def numbered(servers: Iterable[Server]) -> RankTable:
    """A table of these servers with ranks counted anew: servers by server_id, within one in the order of its ranks.

    MindSpore's documentation (tutorials, rank_table.md): "the order of rank_id is consistent with the dictionary order
    of server_id". A server's devices stay in their places.
    """
    ordered = sorted(servers, key=lambda server: server.server_id)
    first = 0
    made = []
    for server in ordered:
        rank_of = {rank: first + place for place, rank in enumerate(server.ranks)}
        devices = tuple(TableDevice(one.device_id, one.device_ip, rank_of[one.rank]) for one in server.devices)
        made.append(Server(server.server_id, devices, server.pod_ip))
        first += len(devices)
    return RankTable(tuple(made))


def to_document(table: RankTable) -> dict[str, Any]:
    """The table as JSON has it."""
    return {
        "version": VERSION,
        "server_count": str(len(table.servers)),
        "server_list": [_server(server) for server in table.servers],
        "status": COMPLETED,
    }


def _server(server: Server) -> dict[str, Any]:
    devices = [
        {"device_id": str(one.device_id), "device_ip": one.device_ip, "rank_id": str(one.rank)}
        for one in server.devices
    ]
    document = {"server_id": server.server_id, "device": devices, "host_nic_ip": "reserve"}
    return document if server.pod_ip is None else {**document, "pod_ip": server.pod_ip}


def to_text(table: RankTable) -> str:
    """The file's text."""
    return json.dumps(to_document(table), indent=4) + "\n"


def from_document(document: dict[str, Any]) -> RankTable:
    """The table of a document without faults (`rank_table_check`)."""
    servers = [
        Server(
            entry["server_id"],
            tuple(TableDevice(int(one["device_id"]), one["device_ip"], int(one["rank_id"])) for one in entry["device"]),
            entry.get("pod_ip"),
        )
        for entry in document["server_list"]
    ]
    return RankTable(tuple(sorted(servers, key=lambda server: server.ranks)))
