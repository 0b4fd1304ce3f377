"""What an evaluation draws: confusion matrix, IoU of each class, and the images that the network does worst on.

It draws them of each checkpoint that was named, and of those that came with JOB:all only of the best: a training leaves
a hundred, and 2 MB of pictures of each would be more than anyone looks at.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from erfnet_jobs.erfnet.inference import use_weights
from erfnet_jobs.erfnet.metrics_files import write_picture
from erfnet_jobs.erfnet.predictions import safe_name
from erfnet_jobs.erfnet.score_pictures import draw_scores
from erfnet_jobs.erfnet.split_measure import Measured, SplitMeasure, enlarged
from erfnet_jobs.erfnet.worst_pictures import worst_images, worst_picture
from erfnet_jobs.errors import BadCheckpoint
from erfnet_jobs.jobs import EvalSpec
from erfnet_jobs.plan import CheckpointFile
from erfnet_jobs.reports import Phase, Report

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """A checkpoint that was measured; `name` begins the names of its files."""

    checkpoint: CheckpointFile
    name: str
    measured: Measured


def draw(
    results: Sequence[Result], split: SplitMeasure, spec: EvalSpec, folder: Path, write: Callable[[Report], None]
) -> None:
    """Write pictures of some results into `folder` and report them, on one rank alone; raises BadData and OSError.

    `split.network` gets the weights of what is drawn: the worst images are predicted once more, whoever had them.
    """
    drawn = worth_drawing(results)
    for number, result in enumerate(drawn):
        write(Phase("draw", number, len(drawn)))
        title = f"{Path(result.checkpoint.path).name} on {spec.split} at {spec.size[0]}x{spec.size[1]}"
        pictures = draw_scores(
            result.measured.matrix, result.measured.scores, f"{title}, protocol {spec.recorded_protocol}"
        )
        for kind, picture in pictures.items():
            path = folder / f"{result.name}.{kind}.png"
            write(write_picture(path, kind, picture, result.checkpoint.id))
        for name, picture in _worst(result, split, spec.worst):
            path = folder / f"{result.name}.{name}.jpg"
            write(write_picture(path, "worst", picture, result.checkpoint.id))
    write(Phase("draw", len(drawn), len(drawn)))


def worth_drawing(results: Sequence[Result]) -> list[Result]:
    """Those that were named, and the best of the others by mean IoU."""
    named = [result for result in results if not result.checkpoint.optional]
    others = [result for result in results if result.checkpoint.optional]
    return named + ([max(others, key=lambda result: result.measured.scores.mean_iou)] if others else [])


def _worst(result: Result, split: SplitMeasure, count: int) -> Iterator[tuple[str, Image.Image]]:
    places = worst_images(result.measured.image_ious, count)
    if not places:
        return
    try:
        use_weights(split.network, split.name, result.checkpoint)
    except BadCheckpoint as error:
        # It has been measured; its training may since have removed it.
        log.warning("the worst images are not drawn: %s", error)
        return
    for order, (place, (sample, prediction)) in enumerate(zip(places, split.predict(places), strict=True), 1):
        title = f"{order}. of the worst: {sample.name}, mean IoU {result.measured.image_ious[place]:.4f}"
        seen = enlarged(prediction, sample.label.shape)
        yield f"worst{order}.{safe_name(sample.name)}", worst_picture(sample.image, sample.label, seen, title)
