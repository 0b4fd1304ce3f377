"""Rank tables on disk: reading one that has no fault, and merging those of several hosts. Stdlib only."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from erfnet_jobs.ascend.rank_table import RankTable, from_document, numbered, to_document
from erfnet_jobs.ascend.rank_table_check import Fault, OwnHost, read_document, table_faults
from erfnet_jobs.errors import BadData

# 1,000 hosts of 16 devices take some 2 MB.
MAX_BYTES = 16 << 20


def content_of(path: Path) -> bytes:
    """The bytes of a rank table's file; raises BadData."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadData(f"rank table {path} cannot be read ({error.strerror}): correct the path") from error
    if len(content) > MAX_BYTES:
        raise BadData(f"rank table {path} is larger than {MAX_BYTES} bytes: that is no rank table")
    return content


def check_content(
    content: bytes, *, generation: str | None = None, own: OwnHost | None = None
) -> tuple[dict[str, Any] | None, list[Fault]]:
    """The document, where there is one, and all its faults and warnings."""
    document, faults = read_document(content)
    if document is None:
        return None, faults
    return document, faults + table_faults(document, generation=generation, own=own)


def sound_table(content: bytes, name: str, *, generation: str | None = None) -> RankTable:
    """The table of a file without faults; raises BadData naming all of them. Warnings do not count."""
    document, found = check_content(content, generation=generation)
    faults = [str(fault) for fault in found if not fault.warning]
    if document is None or faults:
        raise BadData(f"rank table {name} has faults: {'; '.join(faults)}")
    return from_document(document)


def merge(paths: Sequence[Path], generation: str | None = None) -> RankTable:
    """One table of the servers of all files, ranks counted anew; raises BadData naming the file.

    Servers come in the dictionary order of their server_id, as MindSpore's documentation demands, whatever the order of
    the files; merge_hccl.py keeps the latter.
    """
    real = [path.resolve() for path in paths]
    if twice := next((path for number, path in enumerate(paths) if real[number] in real[:number]), None):
        raise BadData(f"rank table {twice} is given twice: name each host's once")
    tables = [sound_table(content_of(path), str(path)) for path in paths]
    owners: dict[str, Path] = {}
    for path, table in zip(paths, tables, strict=True):
        for name in _unique_names(table):
            if name in owners:
                raise BadData(f"{name} stands in {owners[name]} and in {path}: these are not tables of different hosts")
            owners[name] = path
    merged = numbered(server for table in tables for server in table.servers)
    if faults := [
        str(fault) for fault in table_faults(to_document(merged), generation=generation) if not fault.warning
    ]:
        raise BadData(f"the merged rank table would have faults: {'; '.join(faults)}")
    return merged


def _unique_names(table: RankTable) -> list[str]:
    names = [f"server_id {server.server_id}" for server in table.servers]
    names += [f"pod_ip {server.pod_ip}" for server in table.servers if server.pod_ip is not None]
    return names + [f"device_ip {one.device_ip}" for server in table.servers for one in server.devices]
