"""Which of the host's cores each rank may use: those near its device, shared fairly. Pure; stdlib only."""

from collections.abc import Collection, Iterable, Sequence

# Of cores in one range; a longer one was not meant.
MOST = 1 << 16


def parse_cores(text: str) -> frozenset[int]:
    """The cores of a list such as '0-23,48-71' (`npu-smi info -t topo`, taskset); raises ValueError."""
    cores: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        begin, end = int(first), int(last or first)
        if not 0 <= begin <= end < MOST:
            raise ValueError(f"{part!r} is no range of cores")
        cores.update(range(begin, end + 1))
    return frozenset(cores)


def format_cores(cores: Iterable[int]) -> str:
    """The shortest such list."""
    ordered = sorted(set(cores))
    starts = [core for index, core in enumerate(ordered) if index == 0 or ordered[index - 1] != core - 1]
    ends = [core for index, core in enumerate(ordered) if index + 1 == len(ordered) or ordered[index + 1] != core + 1]
    spans = zip(starts, ends, strict=True)
    return ",".join(str(start) if start == end else f"{start}-{end}" for start, end in spans)


def shared_cores(near: Sequence[str | None], available: Collection[int]) -> list[frozenset[int]]:
    """The cores of each rank of a host, by local rank; none where it is not known what is near its device.

    Ranks whose devices have the same cores near them get parts of those that differ by one core at most; where there
    are fewer cores than ranks they all get all of them. `available` is what the ranks may use at all.
    """
    shares: list[frozenset[int]] = [frozenset()] * len(near)
    nodes = [_parsed(text) for text in near]
    for node in set(nodes):
        ranks = [rank for rank, own in enumerate(nodes) if own == node]
        usable = sorted(node & set(available))
        for place, rank in enumerate(ranks):
            first, last = (len(usable) * edge // len(ranks) for edge in (place, place + 1))
            shares[rank] = frozenset(usable[first:last] if len(usable) >= len(ranks) else usable)
    return shares


def _parsed(text: str | None) -> frozenset[int]:
    """Nothing where it cannot be read either: a rank then runs as if nothing were known."""
    try:
        return frozenset() if text is None else parse_cores(text)
    except ValueError:
        return frozenset()
