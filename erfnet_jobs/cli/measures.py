"""What an evaluation measured, for people: the means, and the IoU of every class and category, absent ones as such."""

from collections.abc import Iterator, Sequence

from erfnet_jobs.choices import CLASSES
from erfnet_jobs.cli.output import Document

# Held equal to erfnet.labels by a test, whose import would cost.
CATEGORIES = ("flat", "construction", "object", "nature", "sky", "human", "vehicle")
ABSENT = "-"
COLUMNS = 3
HASH_DIGITS = 12

Ious = Sequence[float | None]


def class_lines(row: Document) -> list[str]:
    """A compact table of the IoU of all classes and categories of an evaluation's document; '-' stands for absent."""
    lines = list(_cells("class IoU", CLASSES, [iou_text(iou, 3) for iou in row["iou_class"]]))
    if row.get("iou_category"):
        lines += _cells("category IoU", CATEGORIES, [iou_text(iou, 3) for iou in row["iou_category"]])
    return lines


def difference_lines(ious: Ious) -> list[str]:
    """The same table of differences of classes' IoUs, with their signs."""
    return list(_cells("class IoU", CLASSES, [difference_text(iou, 3) for iou in ious]))


def _cells(title: str, names: Sequence[str], texts: Sequence[str]) -> Iterator[str]:
    cells = [f"{name:<13} {text:<6}" for name, text in zip(names, texts, strict=True)]
    for start in range(0, len(cells), COLUMNS):
        head = title if start == 0 else ""
        yield f"{head:<14}{'   '.join(cells[start : start + COLUMNS])}".rstrip()


def iou_text(iou: float | None, digits: int = 4) -> str:
    """An IoU, or '-' where there is nothing to measure it by."""
    return ABSENT if iou is None else f"{iou:.{digits}f}"


def difference_text(difference: float | None, digits: int) -> str:
    """A difference of IoUs with its sign, or '-' where there is none to tell."""
    return ABSENT if difference is None else f"{difference:+.{digits}f}"


def hash_text(sha256: str) -> str:
    """The beginning of a hash, which is enough to tell files apart."""
    return sha256[:HASH_DIGITS]


def means_text(row: Document) -> str:
    """'mean IoU 0.7123, of categories 0.8640, of 19 classes 0.7123, accuracy 0.9400, loss 0.2100'.

    Means are '-' where no class occurs, as in Cityscapes' test split, whose labels are not public.
    """
    mean, categories, of_all, accuracy, loss = _measured(
        row, "mean_iou", "mean_iou_category", "mean_iou_19", "pixel_accuracy", "mean_loss"
    )
    return f"mean IoU {mean}, of categories {categories}, of 19 classes {of_all}, accuracy {accuracy}, loss {loss}"


def short_text(row: Document) -> str:
    """'mean IoU 0.7123  categories 0.8640  loss 0.2100', for a list of evaluations; of a converted model its speed."""
    mean, categories, loss = _measured(row, "mean_iou", "mean_iou_category", "mean_loss")
    if row.get("model_sha256"):
        return f"mean IoU {mean}  {engine_text(row)}"
    return f"mean IoU {mean}  categories {categories}  loss {loss}"


def _measured(row: Document, *names: str) -> list[str]:
    labelled = any(iou is not None for iou in row["iou_class"])
    return [iou_text(row[name] if labelled else None) for name in names]


def engine_text(row: Document) -> str:
    """'lite-cpu, model 0123456789ab, 2.1 images/s': what ran a converted model, the model, and how fast where known."""
    speed = f", {row['images_per_second']:.1f} images/s" if row["images_per_second"] else ""
    return f"{row['engine']}, model {hash_text(row['model_sha256'])}{speed}"


def where_text(row: Document) -> str:
    """'val at 512x1024, protocol half, 500 images'."""
    return f"{row['split']} at {row['height']}x{row['width']}, protocol {row['protocol']}, {row['images']} images"


def evaluation_lines(row: Document) -> list[str]:
    """What `run eval` prints of one checkpoint."""
    head = f"evaluation  {row['checkpoint_path']}  on {where_text(row)}"
    return [head, means_text(row), *class_lines(row)]
