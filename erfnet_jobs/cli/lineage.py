"""What came of a checkpoint, for people: a tree of its models and their figures, and where engines differ."""

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence

from erfnet_jobs.choices import CLASSES, FP16
from erfnet_jobs.cli.measures import difference_lines, difference_text, hash_text, iou_text, where_text
from erfnet_jobs.cli.output import Document, file_size, terminal_width, wrapped
from erfnet_jobs.cli.output import difference_text as from_network

STEP = "  "
Evaluations = Mapping[int, Document]


def tree_lines(checkpoint: Document) -> list[str]:
    """The models made of a checkpoint, each below what it was made from, with what was measured of it."""
    evaluations = {row["evaluation"]: row for row in checkpoint["evaluations"]}
    lineage = checkpoint["lineage"]
    if not lineage["models"]:
        return []
    head = f"checkpoint {checkpoint['checkpoint']}  {hash_text(checkpoint['sha256'])}  {file_size(checkpoint['size'])}"
    lines = [head, *(STEP + _measured(evaluations[number], None) for number in lineage["evaluations"])]
    for model in lineage["models"]:
        lines += (STEP + line for line in _model(model, evaluations))
    return ["Lineage", *map(_fitting, lines)]


def _model(model: Document, evaluations: Evaluations) -> Iterator[str]:
    if model["files"]:
        first = model["files"][-1]
        size, differs = file_size(model["size"]), from_network(model["difference"])
        by = f"by job {first['job']}{_again(model['files'])}"
        yield f"{model['format']:<6}  {hash_text(model['sha256'])}  {size}  {by}{differs}"
        yield f"{STEP}{first['path']}"
    else:
        yield f"model   {hash_text(model['sha256'])}  recorded by no export"
    for one in model["evaluations"]:
        yield STEP + _measured(evaluations[one["evaluation"]], one["precision"])
    for child in model["converted"]:
        yield from (STEP + line for line in _model(child, evaluations))


def _again(files: Sequence[Document]) -> str:
    """How often the model was found again where it was made, and made again elsewhere; the first file is the last."""
    *later, first = files
    found = len({file["job"] for file in later if file["path"] == first["path"]} - {first["job"]})
    made = len({file["path"] for file in later} - {first["path"]})
    jobs = f", used again by {found} job{'s' if found > 1 else ''}" if found else ""
    return jobs + (f", and {made} more file{'s' if made > 1 else ''}" if made else "")


def _measured(row: Document, precision: str | None) -> str:
    speed = f", {row['images_per_second']:.1f} images/s" if row["images_per_second"] else ""
    return f"{_engine(row['engine'], precision)}  mean IoU {_mean(row)}{speed}, {where_text(row)}, job {row['job']}"


def _mean(row: Document) -> str:
    return iou_text(row["mean_iou"] if any(iou is not None for iou in row["iou_class"]) else None)


def _engine(engine: str, precision: str | None) -> str:
    return f"{engine} {precision}" if precision else engine


def _fitting(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return wrapped(f"{STEP}{line}", terminal_width(sys.stdout), STEP + indent)


def engine_lines(checkpoint: Document) -> list[str]:
    """Of each engine, how far its newest figures are from MindSpore's, by class, with a warning where that is far."""
    evaluations = {row["evaluation"]: row for row in checkpoint["evaluations"]}
    lines: list[str] = []
    for difference in checkpoint["differences"]:
        theirs = evaluations[difference["evaluation"]]
        who = f"{_engine(theirs['engine'], difference['precision'])}, model {hash_text(theirs['model_sha256'])}"
        lines += ["", *_compared(difference, who, theirs, evaluations.get(difference["reference"]), checkpoint)]
    return lines[1:]


def _compared(
    difference: Document, who: str, theirs: Document, ours: Document | None, checkpoint: Document
) -> Iterator[str]:
    if ours is None:
        data = shlex.quote(difference["data"]) if difference["data"] else "D"
        measure = f"submit eval --checkpoint {checkpoint['checkpoint']} --data {data} --split {theirs['split']}"
        size = f"--size {theirs['height']}x{theirs['width']}"
        yield _wide(
            f"{who}: nothing to compare with on {where_text(theirs)}. 'erfnet-jobs {measure} {size}' on the same data "
            "makes it."
        )
        return
    yield _wide(f"{who}, minus {ours['engine']} (jobs {theirs['job']} and {ours['job']}), on {where_text(theirs)}")
    yield f"mean IoU      {difference_text(difference['mean_iou'], 4)}"
    yield from difference_lines(difference["iou_class"])
    if difference["exceeds"]:
        yield _wide(_warning(difference))


def _wide(text: str) -> str:
    return wrapped(text, terminal_width(sys.stdout), STEP)


def _warning(difference: Document) -> str:
    mean, limits = difference["mean_iou"], difference["limits"]
    found = []
    if mean is not None and abs(mean) > limits["mean_iou"]:
        found.append(f"{difference_text(mean, 4)} in the mean IoU (limit {limits['mean_iou']})")
    if classes := _far(difference["iou_class"], limits["iou_class"]):
        found.append(f"more than {limits['iou_class']} in {', '.join(classes)}")
    return (
        f"warning: {difference['engine']} differs by {' and '.join(found)}. {_look_at(difference['precision'])} Then "
        "see above whether the model was made of this checkpoint, how far its logits are from the network's ('differs "
        "by'), and compare one picture of both ('--save labels,logits', 'submit infer --logits DIR'): logits that "
        "differ everywhere point to another model, at edges only to another resize."
    )


def _far(ious: Sequence[float | None], limit: float) -> list[str]:
    return [
        f"{name} ({difference_text(iou, 3)})"
        for name, iou in zip(CLASSES, ious, strict=True)
        if iou is not None and abs(iou) > limit
    ]


def _look_at(precision: str | None) -> str:
    if precision == FP16:
        return "It ran in fp16: run it again with '--precision fp32' first."
    return f"It ran in {precision}, so rounding is not why." if precision else "See first in what precision it ran."
