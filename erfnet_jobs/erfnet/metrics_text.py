"""`NAME.metrics.txt`: three lines as the MindSpore port's eval.py leaves them, class IoUs as PyTorch prints a tensor.

The form is that of torch.Tensor's repr (torch/_tensor_str.py) for float64: 4 digits, 80 columns, scientific where the
largest is more than 1000 times the smallest that is not 0.
"""

import math
from collections.abc import Sequence

PREFIX = "tensor("
DTYPE = "dtype=torch.float64"
COLUMNS = 80
RATIO = 1000.0
SMALLEST = 1e-4


def metrics_text(mean_iou: float, mean_loss: float | None, iou_class: Sequence[float | None]) -> str:
    """The file's content; absent classes, and a loss that was not measured, stand as nan."""
    values = [math.nan if iou is None else iou for iou in iou_class]
    loss = math.nan if mean_loss is None else mean_loss
    return f"mean_iou {mean_iou}\nmean_loss {loss}\niou_class {tensor_text(values)}\n"


def tensor_text(values: Sequence[float]) -> str:
    """A vector of shares (0 to 1, or nan) as PyTorch prints it."""
    layout = _layout(values)
    entries = [_entry(value, layout) for value in values]
    # PyTorch takes the width from the numbers that are neither 0 nor nan.
    width = max((len(entry) for entry, value in zip(entries, values, strict=True) if value > 0), default=1)
    per_line = (COLUMNS - len(PREFIX)) // (width + 2)
    padded = [entry.rjust(width) for entry in entries]
    lines = [", ".join(padded[start : start + per_line]) for start in range(0, len(padded), per_line)]
    indent = " " * len(PREFIX)
    text = PREFIX + "[" + f",\n{indent} ".join(lines) + "]"
    last_line = len(text) - text.rfind("\n") + 1
    separator = ", " if last_line + len(DTYPE) + 2 <= COLUMNS else f",\n{indent}"
    return f"{text}{separator}{DTYPE})"


def _layout(values: Sequence[float]) -> str:
    counted = [value for value in values if value > 0]
    if all(value == int(value) for value in counted):
        return ".0f"
    return ".4e" if max(counted) / min(counted) > RATIO or min(counted) < SMALLEST else ".4f"


def _entry(value: float, layout: str) -> str:
    point = "." if layout == ".0f" and not math.isnan(value) else ""
    return f"{value:{layout}}{point}"
