"""An oracle: what MindSpore's hccl_tools.py and merge_hccl.py do on the inputs that they handle, in our own words."""

from collections.abc import Mapping, Sequence
from typing import Any


def hccl_tools_document(
    first: int,
    last: int,
    visible: Sequence[str],
    server: str,
    printed: Mapping[int, list[str]] | None,
    hccn_conf: Sequence[str] = (),
) -> dict[str, Any]:
    """The table of `--device_num "[first,last)"`.

    `printed` are the lines that `hccn_tool -i N -ip -g` prints for each N; None: it cannot be called. Raises what the
    script raises.
    """
    if first < 0 or last > 8 or first > last or (first < 4 < last and (first, last) != (0, 8)):
        raise ValueError("device num")
    addresses: dict[str, str] = {}
    try:
        for number in range(first, last):
            lines = [] if printed is None else printed[number]
            addresses[str(number)] = lines[0].split(":")[1].replace("\n", "")
    except IndexError:
        for line in hccn_conf:
            if line.strip().startswith("address_"):
                name, address = line.split("=")
                addresses[name.split("_")[1]] = address.strip()
    devices = [
        {"device_id": visible[number], "device_ip": addresses[visible[number]], "rank_id": str(rank)}
        for rank, number in enumerate(range(first, last))
    ]
    server_entry = {"server_id": server, "device": devices, "host_nic_ip": "reserve"}
    return {"version": "1.0", "server_count": "1", "server_list": [server_entry], "status": "completed"}


def merge_hccl_document(documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The table of several; its ranks are JSON numbers."""
    servers = [server for document in documents for server in document["server_list"]]
    rank = 0
    merged = []
    for server in servers:
        devices = []
        for device in server["device"]:
            devices.append({**device, "rank_id": rank})
            rank += 1
        merged.append({**server, "device": devices})
    count = str(sum(int(document["server_count"]) for document in documents))
    return {"version": "1.0", "server_count": count, "server_list": merged, "status": "completed"}
