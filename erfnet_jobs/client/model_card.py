"""A checkpoint's model card: what it is, how it was trained and measured, for whom, and where it came from. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from erfnet_jobs.choices import CLASSES, ENCODER
from erfnet_jobs.client.document import Document

_FRONT = """---
license: other
library_name: mindspore
pipeline_tag: image-segmentation
tags: [erfnet, semantic-segmentation, cityscapes, ascend]
---
"""
# Of a training's spec, in the order in which people ask.
_RECIPE = (
    *("data", "size", "stages", "epochs", "batch_size", "cards", "lr", "scale_lr", "augment", "amp", "seed"),
    *("checkpoint", "from_scratch"),
)


def model_card(
    checkpoint: Document, job: Mapping[str, Any] | None, evaluations: Sequence[Document], data: str | None
) -> str:
    """Markdown. `job` is the training's document with its spec, None for weights trained elsewhere; `data` its hash."""
    parts = [
        _FRONT + f"# {_name(checkpoint)}",
        _what(checkpoint),
        "\n".join(["## Training", "", *_training(checkpoint, job, data)]),
        "\n".join(["## Figures", "", *_figures(evaluations)]),
        _preprocessing(job),
        _limits(checkpoint, evaluations),
        _licence(),
        "\n".join(["## Provenance", "", *_provenance(checkpoint, job, data)]),
    ]
    return "\n\n".join(parts) + "\n"


def _name(checkpoint: Document) -> str:
    network = "ERFNet's encoder" if checkpoint["network"] == ENCODER else "ERFNet"
    where = [f"stage {checkpoint['stage']}", f"epoch {checkpoint['epoch']}"] if checkpoint["stage"] else []
    return ", ".join([network, *where, f"checkpoint {checkpoint['checkpoint']}"])


def _what(checkpoint: Document) -> str:
    encoder = checkpoint["network"] == ENCODER
    what = (
        "the encoder of ERFNet, as a stage between or as the start of a training; its output has 1/8 of the resolution"
        if encoder
        else "ERFNet (Romera et al. 2017, https://doi.org/10.1109/TITS.2017.2750080), which tells for each "
        "pixel of a street scene which of Cityscapes' 19 classes it shows"
    )
    return f"Weights of {what}. A MindSpore checkpoint (`.ckpt`): erfnet-jobs evaluates, exports and runs it."


def _training(checkpoint: Document, job: Mapping[str, Any] | None, data: str | None) -> Iterator[str]:
    if job is None:
        yield f"Trained elsewhere, and imported from {checkpoint['source'] or 'a file whose origin is not known'}."
        return
    yield f"Job {job['job']}, attempt {checkpoint['attempt']}, with erfnet-jobs:"
    yield ""
    yield "| setting | value |"
    yield "|---|---|"
    spec = job["spec"]
    yield from (f"| {name} | {_value(spec[name])} |" for name in _RECIPE if spec.get(name) is not None)
    if data is not None:
        yield f"| content of the data (SHA-256) | `{data}` |"


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _figures(evaluations: Sequence[Document]) -> Iterator[str]:
    if not evaluations:
        yield "None: the registry has no evaluation of it."
        return
    for number, row in enumerate(evaluations):
        yield from [""] if number else []
        yield from _evaluation(row)


def _evaluation(row: Document) -> Iterator[str]:
    yield (
        f"Split {row['split']} ({row['images']} images) of dataset `{row['dataset_hash'][:12]}`, protocol "
        f"{row['protocol']}, at {row['height']}x{row['width']}, with {row['engine']}:"
    )
    yield ""
    yield "| figure | value |"
    yield "|---|---|"
    for name in ("mean_iou", "mean_iou_19", "mean_iou_category", "pixel_accuracy", "mean_loss"):
        yield f"| {name} | {_number(row[name])} |"
    for name, iou in zip(CLASSES, row["iou_class"], strict=False):
        yield f"| IoU of {name} | {_number(iou)} |"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _preprocessing(job: Mapping[str, Any] | None) -> str:
    size = job["spec"].get("size") if job else None
    at = f"{size[0]}x{size[1]}, as in training" if size else "the size at which it was measured"
    return (
        "## Input and output\n\n"
        f"RGB pictures of any size, resized bilinearly (antialiased where they shrink) to height x width {at}, then "
        "divided by 255: float32 in [0, 1], N x 3 x H x W, without a mean or deviation taken off. Sides are multiples "
        "of 8. Out come 20 logits for each pixel, of the 19 classes by trainId and of none of them; the largest says "
        "which."
    )


def _limits(checkpoint: Document, evaluations: Sequence[Document]) -> str:
    worst = _weakest(evaluations)
    told = f" Its weakest classes here: {worst}." if worst else ""
    head = " Without the decoder, its answers are coarse." if checkpoint["network"] == ENCODER else ""
    return (
        "## Limits\n\n"
        "It knows street scenes like those of its training data (Cityscapes: from a car, by day, in fair weather); for "
        f"others its figures say nothing.{told}{head} It gives no measure of doubt, and is no sole basis for what "
        "safety depends on."
    )


def _weakest(evaluations: Sequence[Document]) -> str:
    if not evaluations:
        return ""
    known = [(iou, name) for name, iou in zip(CLASSES, evaluations[0]["iou_class"], strict=False) if iou is not None]
    return ", ".join(f"{name} ({iou:.3f})" for iou, name in sorted(known)[:3])


def _licence() -> str:
    return (
        "## Licence\n\n"
        "erfnet-jobs, which made it, is Apache-2.0. The licence of the weights is not recorded: whoever trained them "
        "says it, within the terms of the data (Cityscapes: non-commercial use) and, for imported weights, of those "
        "they come from."
    )


def _provenance(checkpoint: Document, job: Mapping[str, Any] | None, data: str | None) -> Iterator[str]:
    yield "| what | value |"
    yield "|---|---|"
    rows: dict[str, object] = {
        "checkpoint (SHA-256)": checkpoint["sha256"],
        "size in bytes": checkpoint["size"],
        "written at": checkpoint["created_at"],
        "origin": checkpoint["origin"],
        "imported from": checkpoint["source"],
        "data (SHA-256)": data,
    }
    if job is not None:
        versions = job.get("versions") or {}
        rows |= {"registry": job.get("registry"), "job": job["job"], "submitted by": job.get("user")}
        rows |= {"git revision": job.get("revision"), **{f"version of {name}": text for name, text in versions.items()}}
    yield from (f"| {name} | {_value(value)} |" for name, value in rows.items() if value is not None)
