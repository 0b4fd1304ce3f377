"""Inference: pictures of what a checkpoint's network sees in a folder of images or in a split of a dataset."""

import io
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from erfnet_jobs.erfnet.cityscapes import find_images, is_cityscapes, list_split
from erfnet_jobs.erfnet.disk import make_folder
from erfnet_jobs.erfnet.inference import only_input
from erfnet_jobs.erfnet.labels import colourize
from erfnet_jobs.erfnet.overlay import PREVIEW_NAME, PREVIEW_ROWS, REPORTED, Pixels, Seen, overlay, sheet, side_by_side
from erfnet_jobs.erfnet.pictures import SUFFIXES, check_same_size, load_image, load_label
from erfnet_jobs.erfnet.prefetch import prefetch
from erfnet_jobs.erfnet.progress import PROGRESS_INTERVAL
from erfnet_jobs.erfnet.segmentation import Segmentation
from erfnet_jobs.erfnet.thinning import Thinning
from erfnet_jobs.erfnet.transforms import Images
from erfnet_jobs.errors import BadData, UsageError
from erfnet_jobs.files import sha256_of, write_atomically
from erfnet_jobs.plan import PICTURES_FOLDER, Plan
from erfnet_jobs.reports import ArtifactWritten, Phase, Progress, Report
from erfnet_jobs.specs import InferSpec

# So many that were skipped are named in the error; all are in the log.
LISTED = 10

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Picture:
    name: str
    image: Path
    label: Path | None = None


@dataclass(frozen=True)
class _Loaded:
    name: str
    image: Pixels
    truth: Pixels | None


class _Gallery:
    """The pictures of what was seen, in a folder, with a sheet of the first of them."""

    def __init__(self, folder: Path, checkpoint_id: int | None, write: Callable[[Report], None]) -> None:
        self.folder, self.checkpoint_id, self.write = folder, checkpoint_id, write
        self.count = 0
        self.first: list[Seen] = []

    def add_logits(self, path: Path, logits: Images) -> None:
        buffer = io.BytesIO()
        np.save(buffer, logits, allow_pickle=False)
        write_atomically(path, buffer.getvalue())
        if self.count < REPORTED:
            size = path.stat().st_size
            self.write(ArtifactWritten("logits", str(path), sha256_of(path), size, self.checkpoint_id))

    def add(self, seen: Seen) -> None:
        best = _save(self.folder, seen)
        self.count += 1
        if self.count <= REPORTED:
            self.write(_artifact(best, self.checkpoint_id))
        if self.count <= PREVIEW_ROWS:
            self.first.append(seen)

    def finish(self) -> None:
        if self.first:
            _write_png(self.folder / PREVIEW_NAME, sheet(self.first))
            self.write(_artifact(self.folder / PREVIEW_NAME, self.checkpoint_id))


def infer(plan: Plan, write: Callable[[Report], None]) -> None:
    """Segment the spec's pictures and write them; raises BadData, BadCheckpoint, UsageError and OSError.

    A broken picture is skipped, and BadData names it when all others have been written.
    """
    spec = plan.spec
    if not isinstance(spec, InferSpec):
        raise UsageError(f"an inference needs an infer spec, not one of {spec.kind}")
    pictures = _find(Path(spec.images), spec.split)[: spec.limit]
    folder = make_folder(Path(spec.output) if spec.output else Path(plan.run_dir, PICTURES_FOLDER), "--output")
    if any(folder.samefile(picture.image.parent) for picture in pictures[:1]):
        raise UsageError(
            f"--output {folder} is the folder of the pictures themselves, and the next run would read what is written "
            "there as pictures: give a folder of its own"
        )
    logits = make_folder(Path(spec.logits), "--logits") if spec.logits else None
    checkpoint = only_input(plan)
    segmentation = Segmentation(checkpoint, spec.size, with_logits=logits is not None)
    gallery = _Gallery(folder, checkpoint.id, write)
    faults: list[BadData] = []
    thinning = Thinning(PROGRESS_INTERVAL)
    write(Phase("infer"))
    with prefetch(_load, pictures) as loaded:
        for number, picture in enumerate(loaded, 1):
            if isinstance(picture, BadData):
                log.warning("skipped: %s", picture)
                faults.append(picture)
            else:
                prediction, said = segmentation(picture.image)
                if logits is not None and said is not None:
                    gallery.add_logits(logits / f"{picture.name}.npy", said)
                gallery.add(Seen(picture.name, picture.image, prediction, picture.truth))
            if thinning.is_due(always=number == len(pictures)):
                write(Progress(fraction=number / len(pictures), step=number, steps=len(pictures)))
    gallery.finish()
    if faults:
        raise BadData(_skipped(faults, len(pictures)))


def _skipped(faults: Sequence[BadData], total: int) -> str:
    more = [f"and {len(faults) - LISTED} more, in the log"] if len(faults) > LISTED else []
    named = [str(fault) for fault in faults[:LISTED]]
    return "\n".join([f"{len(faults)} of {total} pictures were skipped:", *named, *more])


def _find(images: Path, split: str) -> Sequence[_Picture]:
    if is_cityscapes(images):
        labels = {pair.name: pair.label for pair in list_split(images, split).pairs}
        return [_Picture(name, image, labels.get(name)) for name, image in find_images(images, split)]
    if not images.is_dir():
        raise BadData(f"{images} is no folder: give one with pictures, or a dataset in Cityscapes' layout")
    found = sorted(path for path in images.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise BadData(f"{images} has no pictures ({', '.join(SUFFIXES)}): give another folder")
    return [_Picture(name, path) for name, path in zip(distinct_names(found), found, strict=True)]


def distinct_names(files: Sequence[Path]) -> list[str]:
    """What is written for each file of a folder is called so: its stem, or its whole name where that is another's."""
    stems = Counter(path.stem for path in files)
    names = {path.name for path in files}
    return [path.stem if stems[path.stem] == 1 and path.stem not in names else path.name for path in files]


def _load(picture: _Picture) -> _Loaded | BadData:
    """The picture, or what is wrong with it: one that is broken does not end the others."""
    try:
        image = load_image(picture.image)
        truth = load_label(picture.label) if picture.label else None
        if truth is not None:
            check_same_size(image, truth, str(picture.image))
    except BadData as error:
        return error
    return _Loaded(picture.name, image, truth)


def _save(folder: Path, seen: Seen) -> Path:
    """Write a picture's files; gives the one to look at first."""
    _write_png(folder / f"{seen.name}_prediction.png", Image.fromarray(colourize(seen.prediction)))
    best = folder / f"{seen.name}_overlay.png"
    _write_png(best, Image.fromarray(overlay(seen.image, seen.prediction)))
    if seen.truth is not None:
        best = folder / f"{seen.name}_triptych.png"
        _write_png(best, side_by_side(seen))
    return best


def _write_png(path: Path, picture: Image.Image) -> None:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=3)
    write_atomically(path, buffer.getvalue())


def _artifact(path: Path, checkpoint_id: int | None) -> ArtifactWritten:
    kind = path.stem.rpartition("_")[2]
    return ArtifactWritten(kind, str(path), sha256_of(path), path.stat().st_size, checkpoint_id)
