"""What `data check` prints for people."""

from erfnet_jobs.erfnet.data_check import CheckResult, SplitCheck
from erfnet_jobs.erfnet.labels import CLASS_NAMES


def check_table(result: CheckResult) -> str:
    """Splits, sizes, the share of each class and the images that show it, and every fault."""
    lines = [f"{result.root}", *(_headline(split) for split in result.splits), ""]
    lines.append(f"{'class':<16}" + "".join(f"{split.split + ' pixels':>16}{'images':>9}" for split in result.splits))
    for index, name in enumerate(CLASS_NAMES):
        cells = (f"{split.shares[index]:>16.2%}{split.images_with[index]:>9}" for split in result.splits)
        lines.append(f"{name:<16}" + "".join(cells))
    lines.append("")
    faults = result.faults
    lines.append(f"{len(faults)} fault{'s' if len(faults) != 1 else ''}:" if faults else "no faults")
    return "\n".join([*lines, *(f"  {fault}" for fault in faults)])


def _headline(split: SplitCheck) -> str:
    sizes = ", ".join(f"{count} of {size}" for size, count in split.sizes.items()) or "none"
    return f"{split.split}: {split.pairs} good pairs (height x width: {sizes}), {len(split.faults)} faults"
