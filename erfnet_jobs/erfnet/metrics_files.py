"""The files that an evaluation leaves of each checkpoint: their names, metrics as text and as JSON, and pictures."""

import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from erfnet_jobs.erfnet.metrics_text import metrics_text
from erfnet_jobs.files import sha256_of, write_atomically
from erfnet_jobs.plan import CheckpointFile
from erfnet_jobs.reports import ArtifactWritten, Evaluated


def file_names(inputs: Sequence[CheckpointFile]) -> list[str]:
    """What the files about each checkpoint are called, without suffix: its stem, and its id where stems repeat.

    The names of checkpoints hold no job, so two jobs have the same; a file without id has its place instead.
    """
    stems = [Path(checkpoint.path).stem for checkpoint in inputs]
    counts = Counter(stems)
    own = [
        f"given{place}" if checkpoint.id is None else str(checkpoint.id) for place, checkpoint in enumerate(inputs, 1)
    ]
    return [stem if counts[stem] == 1 else f"{stem}.{name}" for stem, name in zip(stems, own, strict=True)]


def write_metrics(base: Path, evaluated: Evaluated) -> ArtifactWritten:
    """Write BASE.metrics.txt and BASE.metrics.json; gives the report of the first."""
    text = metrics_text(evaluated.mean_iou, evaluated.mean_loss, evaluated.iou_class)
    path = base.with_name(f"{base.name}.metrics.txt")
    write_atomically(path, text.encode())
    document = json.dumps(asdict(evaluated), indent=2).encode() + b"\n"
    write_atomically(base.with_name(f"{base.name}.metrics.json"), document)
    return artifact("metrics", path, evaluated.checkpoint_id)


def write_picture(path: Path, kind: str, picture: Image.Image, checkpoint_id: int | None) -> ArtifactWritten:
    """Write a picture in the format of its suffix (PNG or JPEG); gives its report."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG" if path.suffix == ".png" else "JPEG", optimize=True, quality=88, subsampling=0)
    write_atomically(path, buffer.getvalue())
    return artifact(kind, path, checkpoint_id)


def artifact(kind: str, path: Path, checkpoint_id: int | None) -> ArtifactWritten:
    """The report of a file in the attempt's own folder."""
    return ArtifactWritten(kind, path.name, sha256_of(path), path.stat().st_size, checkpoint_id)
