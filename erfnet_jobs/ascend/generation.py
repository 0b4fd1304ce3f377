"""Which generation a chip is of, by the names that the tools give it. Pure; stdlib only."""

import re

# 910, 910ProA, 910PremiumA, and 910B and 910ProB without a digit are names of the first generation; with a digit 910B
# is Atlas A2, 910_93xx Atlas A3 (the SoC lists of MindSpore's and CANN's sources).
NAMES = {
    "910A": r"910(a|b|proa|prob|premiuma)?",
    "910B": r"910b[1-9]c?(-[0-9])?",
    "910C": r"910(c|_?93[0-9]{2})",
    "310": r"310|minid",
    "310P": r"310p[0-9]?",
}
# Those that have no training, and on which MindSpore 2.10 does not run.
INFERENCE_ONLY = frozenset({"310", "310P"})
A3_NAME = "910"


def generation_of(name: str | None, physical_ids: bool = False) -> str | None:
    """'910A', '910B', '910C', '310' or '310P'; None for a masked name ('xxx') and for chips that we do not know.

    `physical_ids`: the tool has a column Phy-ID, which it prints for Atlas A3 only, whose chips it calls Ascend910.
    """
    if name is None:
        return None
    bare = name.strip().lower().removeprefix("ascend").strip(" -_")
    if physical_ids and bare == A3_NAME:
        return "910C"
    return next((generation for generation, pattern in NAMES.items() if re.fullmatch(pattern, bare)), None)
