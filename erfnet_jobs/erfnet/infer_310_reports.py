"""What the C++ program says of a 310-infer job, made into reports: progress, pictures, figures."""

import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from erfnet_jobs.choices import ERFNET, HALF, MEASURED_PART
from erfnet_jobs.erfnet.labels import OUTPUTS
from erfnet_jobs.erfnet.measured_files import MeasuredFiles
from erfnet_jobs.erfnet.metrics import Matrix, scores
from erfnet_jobs.erfnet.overlay import PREVIEW_NAME, PREVIEW_ROWS, REPORTED, page
from erfnet_jobs.errors import BadCheckpoint, BadData
from erfnet_jobs.files import sha256_of, write_atomically
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.lite.messages import Advanced, Ended, Measured, Message, Saved, Skipped, Started, Stopped
from erfnet_jobs.plan import CheckpointFile
from erfnet_jobs.reports import ArtifactWritten, Evaluated, Phase, Progress, Report

METRICS_NAME = "metric.txt"
# How many of the skipped pictures are named in a job's reason.
NAMED = 3
# By what the program saves: what an artifact is called, the one to look at first before the others.
PICTURES = {"overlay": "overlay", "color": "prediction", "labels": "labels"}
# What the program writes for bytes of a name that are not UTF-8: no file has that name.
NOT_TEXT = "\N{REPLACEMENT CHARACTER}"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ran:
    """What is run: files go into `folder`, `checkpoint` is None where a model is given, `files` where no labels are."""

    spec: Infer310Spec
    folder: Path
    checkpoint: CheckpointFile | None
    model: Path
    model_sha256: str
    files: MeasuredFiles | None

    @property
    def checkpoint_id(self) -> int | None:
        """The checkpoint's in the registry, where it has one."""
        return self.checkpoint.id if self.checkpoint else None


class Infer310Reports:
    """Writes a report of each message that somebody waits for."""

    def __init__(self, ran: Ran, write: Callable[[Report], None]) -> None:
        self._ran, self._write = ran, write
        self._engine = ""
        self._reported = 0
        self._first: list[tuple[str, Path]] = []
        self._skipped: list[str] = []
        self._images: int | None = None

    def take(self, message: Message) -> None:
        """One message of the program. Raises BadCheckpoint where figures are of a model replaced meanwhile."""
        match message:
            case Started():
                self._engine = message.engine
                self._write(Phase("infer"))
            case Advanced(done, total, rate, left):
                fraction = done / total if total else 1.0
                self._write(Progress(fraction, done, total, images_per_second=rate, eta_seconds=left))
            case Saved():
                self._saved(message)
            case Skipped(image, reason):
                self._skipped.append(Path(image).name)
                log.warning("skipped: %s", reason if image in reason else f"{image}: {reason}")
            case Ended():
                self._ended(message)
            case Stopped():
                pass  # who runs the program raises it

    def skipped_some(self) -> BadData | None:
        """What is told where the program has done all pictures but some; None where it has not come to its end."""
        if self._images is None or not self._skipped:
            return None
        total, more = self._images + len(self._skipped), len(self._skipped) - NAMED
        names = ", ".join(self._skipped[:NAMED]) + (f" and {more} more" if more > 0 else "")
        return BadData(
            f"{self._images} of {total} pictures are done, in {self._ran.folder}; skipped, for reasons that the log of "
            f"rank 0 has: {names}"
        )

    def _saved(self, saved: Saved) -> None:
        if any(NOT_TEXT in path for path in saved.files.values()):
            log.warning("%s: a name that is not UTF-8; what was written of it is not in the registry", saved.name)
            return
        if "overlay" in saved.files and len(self._first) < PREVIEW_ROWS:
            self._first.append((saved.name, Path(saved.files["overlay"])))
        if self._reported >= REPORTED:
            return
        self._reported += 1
        best = next((kind for kind in PICTURES if kind in saved.files), None)
        if best is not None:
            self._artifact(PICTURES[best], Path(saved.files[best]))
        if "logits" in saved.files:
            self._artifact("logits", Path(saved.files["logits"]))

    def _ended(self, ended: Ended) -> None:
        self._images = ended.images
        log.info("%d pictures in %.1f s, %.2f a second", ended.images, ended.seconds, ended.images_per_second)
        for name, phase in ended.phases.items():
            times = (phase.mean, phase.p50, phase.p95, phase.p99)
            log.info("%s: mean %.1f ms, p50 %.1f, p95 %.1f, p99 %.1f, in %d at once", name, *times, phase.threads)
        log.info("peak memory of the program: %.0f MB", ended.peak_memory / 1e6)
        if self._first:
            preview = self._ran.folder / PREVIEW_NAME
            _write_preview(self._first, preview)
            self._artifact("preview", preview)
        if ended.measured is not None:
            self._artifact("metrics", self._ran.folder / METRICS_NAME)
            self._measured(ended, ended.measured)

    def _measured(self, ended: Ended, measured: Measured) -> None:
        """Report the evaluation, unless it is of a part only: under the hash of all it would be compared with all."""
        ran, files = self._ran, self._ran.files
        if files is None or measured.images != files.images:
            total = "?" if files is None else files.images
            told = (
                f"{MEASURED_PART} {measured.images} of {total} images: {self._ran.folder / METRICS_NAME} alone has them"
            )
            log.warning("%s, and the registry has no evaluation", told)
            self._write(Phase(told))
            return
        if sha256_of(ran.model) != ran.model_sha256:
            raise BadCheckpoint(
                f"{ran.model} was replaced while it was in use, and no figures are recorded of it: the pictures and "
                f"{METRICS_NAME} may be of either model; submit the job again"
            )
        found = scores(_matrix(measured))
        self._write(
            Evaluated(
                checkpoint_path=ran.checkpoint.path if ran.checkpoint else str(ran.model),
                network=ERFNET,
                dataset_hash=files.dataset_hash,
                split=ran.spec.split,
                protocol=HALF,
                height=measured.height,
                width=measured.width,
                engine=self._engine,
                images=measured.images,
                mean_iou=found.mean_iou,
                mean_iou_19=found.mean_iou_19,
                pixel_accuracy=found.pixel_accuracy,
                mean_loss=None,
                iou_class=found.iou_class,
                checkpoint_id=ran.checkpoint_id,
                mean_iou_category=found.mean_iou_category,
                iou_category=found.iou_category,
                model_sha256=ran.model_sha256,
                images_per_second=ended.images_per_second,
            )
        )

    def _artifact(self, kind: str, path: Path) -> None:
        size = path.stat().st_size
        self._write(ArtifactWritten(kind, str(path), sha256_of(path), size, self._ran.checkpoint_id))


def _matrix(measured: Measured) -> Matrix:
    """OUTPUTS x OUTPUTS: the program counts no pixels whose truth is ignored."""
    matrix = np.zeros((OUTPUTS, OUTPUTS), np.int64)
    matrix[: len(measured.confusion)] = measured.confusion
    return matrix


def _write_preview(pictures: Sequence[tuple[str, Path]], path: Path) -> None:
    opened = [(name, Image.open(picture)) for name, picture in pictures]
    buffer = io.BytesIO()
    page(opened).save(buffer, "PNG", compress_level=3)
    write_atomically(path, buffer.getvalue())
