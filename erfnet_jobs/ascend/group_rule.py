"""What the generations of Ascend chips demand of a job's devices. Stdlib only."""

from collections.abc import Collection

FIRST_910 = "910A"
# Whose rank table is version 1.0: "Atlas training series" and Atlas A2 (HCCL guide, cluster information file).
WITH_TABLES = (FIRST_910, "910B")
# Inference cards: no network port either.
WITHOUT_HCCL = ("310", "310P")
GENERATIONS = (*WITH_TABLES, "910C", *WITHOUT_HCCL)
# 910A: one server has 1, 2, 4 or 8 devices of a job, and 0-3 and 4-7 are networks of their own.
# https://hiascend.com/document/detail/zh/canncommercial/63RC1/modeldev/tfmigr1/tfmigr1_000033.html
GROUP = 4
COUNTS = (1, 2, 4, 8)


def without_table(generation: str) -> str | None:
    """Why no rank table can be made for devices of this generation; None where one can."""
    if generation in WITH_TABLES:
        return None
    if generation == "910C":
        return "910C is a super pod, whose rank table (version 1.2) this program cannot make; jobs there need none"
    if generation in GENERATIONS:
        return f"{generation} has no HCCL, and so no rank tables"
    return f"generation {generation!r} is unknown: rank tables can be made for {' and '.join(WITH_TABLES)}"


def group_fault(generation: str, physical_ids: Collection[int]) -> str | None:
    """What is wrong with a job's devices on one server by the rule of 910A; None for all other generations."""
    if generation != FIRST_910:
        return None
    if absent := sorted(number for number in physical_ids if number >= max(COUNTS)):
        return f"a 910A server has the devices 0-7, and no {', '.join(map(str, absent))}"
    if len(physical_ids) not in COUNTS:
        return f"{len(physical_ids)} devices of a 910A server: HCCL takes 1, 2, 4 or 8 there"
    if len(physical_ids) <= GROUP and len({number // GROUP for number in physical_ids}) > 1:
        return "the devices lie in both groups of a 910A server, 0-3 and 4-7: only all 8 may cross them"
    return None
