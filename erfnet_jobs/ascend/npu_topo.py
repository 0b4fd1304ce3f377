"""`npu-smi info -t topo`: which cores of the host are near each chip. Pure and total; stdlib only.

Chips are called NPUn, those of Atlas A3 Phy-IDn. On A3 with ARM processors the tool tells no cores.
"""

import re
from collections.abc import Mapping

from erfnet_jobs.ascend.lines import Line, Parsed, numbered

AFFINITY = "CPU Affinity"
LINKS = re.compile(r"X|SYS|PHB|PIX|PXB|(?:HCCS|XLink)(?:_SW)?|SIO|UB|NA")
DEVICE = re.compile(r"(?:NPU|Phy-ID)(?:0|[1-9][0-9]{0,9})")
OTHER_END = re.compile(r"[A-Za-z_]+[0-9]+")
CORES = re.compile(r"[0-9]{1,5}(?:-[0-9]{1,5})?(?:,[0-9]{1,5}(?:-[0-9]{1,5})?)*")
# Also which network card NICn is.
LEGEND = re.compile(r"Legend:|[A-Za-z_]+\s+=\s.*|NIC[0-9]+:.*")


def parse_topo(text: str) -> Parsed[Mapping[str, str]]:
    """The cores by the chip's name, as '0-23,48-71'; chips for which none are told are not in it.

    A last row without a line's end may be cut: its cores are taken only where another chip has the same.
    """
    ends: list[str] | None = None
    has_cores = False
    cores: dict[str, str] = {}
    unread: list[Line] = []
    lines = numbered(text)
    for line in lines:
        heading = _heading(line.text)
        if heading is not None and ends is None:
            ends, has_cores = heading, line.text.endswith(AFFINITY)
        elif ends is not None and (row := _row(line.text, ends, has_cores)) is not None:
            chip, near = row
            unread += [line] if chip in cores else []
            cut = line == lines[-1] and not text.endswith("\n") and near not in cores.values()
            unread += [line] if cut and near else []
            if near and chip is not None and not cut:
                cores.setdefault(chip, near)
        elif not LEGEND.fullmatch(line.text):
            unread.append(line)
    return Parsed(cores, tuple(unread))


def _heading(text: str) -> list[str] | None:
    names = text.removesuffix(AFFINITY).split()
    known = all(DEVICE.fullmatch(name) or OTHER_END.fullmatch(name) for name in names) and any(
        DEVICE.fullmatch(name) for name in names
    )
    return names if known and len(set(names)) == len(names) else None


def _row(text: str, ends: list[str], has_cores: bool) -> tuple[str | None, str | None] | None:
    """The name of a row's chip and its cores; None for what is no whole row of this table."""
    name, *cells = text.split()
    links, rest = cells[: len(ends)], cells[len(ends) :]
    if name not in ends or len(links) != len(ends) or not all(map(LINKS.fullmatch, links)):
        return None
    if links[ends.index(name)] != "X" or links.count("X") != 1 or len(rest) > (1 if has_cores else 0):
        return None
    if rest and not CORES.fullmatch(rest[0]) and rest[0] != "NA":
        return None
    near = rest[0] if rest and rest[0] != "NA" else None
    return (name if DEVICE.fullmatch(name) else None), near
