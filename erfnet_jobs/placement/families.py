"""Families of devices: which kinds of job each can run, and which of its devices may work together."""

from erfnet_jobs.ascend.generation import INFERENCE_ONLY
from erfnet_jobs.states import JobKind

CPU_FAMILY = "cpu"
# They get the C++ program's jobs only.
INFERENCE_FAMILIES = INFERENCE_ONLY
MINDSPORE_FAMILIES = frozenset({CPU_FAMILY, "910A", "910B", "910C"})

# Of a 910A host 1, 2, 4 or 8 devices work together, and of several hosts as many of each; 0-3 and 4-7, by physical ids,
# are separate networks, which 2 and 4 may not cross (CANN's "1n/2n/4n/8n", a rule of the 910A boards only).
GROUPED_FAMILY = "910A"
GROUP_COUNTS = (8, 4, 2, 1)
SECOND_HALF = frozenset(range(4, 8))
WHOLE = 8
GROUP_RULE = "of a 910A host 1, 2, 4 or 8 devices work together (2 and 4 within 0-3 or within 4-7)"


def families_of_kind(kind: str, allow_cpu: bool = False) -> frozenset[str]:
    """The families that can run a kind of job; `allow_cpu` lets a 310-infer job have CPU slots too."""
    if kind != JobKind.INFER_310:
        return MINDSPORE_FAMILIES
    return INFERENCE_FAMILIES | {CPU_FAMILY} if allow_cpu else INFERENCE_FAMILIES


def regions(family: str, usable: frozenset[int], second_half: frozenset[int], count: int) -> list[frozenset[int]]:
    """The devices among which any `count` may work together; several where a choice among them is to be made.

    `second_half` are those of a host with groups that lie in the second one.
    """
    if family != GROUPED_FAMILY:
        found = [usable]
    elif count not in GROUP_COUNTS:
        found = []
    elif count == WHOLE:
        found = [usable]
    else:
        found = [usable - second_half, usable & second_half]
    return [region for region in found if len(region) >= count]


def may_work_together(family: str, devices: frozenset[int], second_half: frozenset[int]) -> bool:
    """Whether exactly these devices of one host may be a gang, or a gang's part."""
    return devices in regions(family, devices, second_half, len(devices))
