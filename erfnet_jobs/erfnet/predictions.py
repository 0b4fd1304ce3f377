"""Predictions as Cityscapes' server and scripts take them: 8-bit labelIds PNGs, as large as the image."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from erfnet_jobs.erfnet.labels import TO_LABEL_IDS
from erfnet_jobs.erfnet.pictures import Pixels, encode_label
from erfnet_jobs.erfnet.samples import Sample
from erfnet_jobs.erfnet.split_measure import enlarged
from erfnet_jobs.errors import BadData, UsageError
from erfnet_jobs.files import write_atomically

OPTION = "--save-predictions"
# cityscapesScripts finds the prediction of CITY_SEQUENCE_FRAME as CITY_SEQUENCE_FRAME*.png, anywhere in a folder, and
# tells predictions on its command line by 'pred' in their names.
SUFFIX = "_pred_labelIds.png"
# Names of other datasets' MindRecords may hold anything.
_UNFIT = re.compile(r"[^\w.-]+")

log = logging.getLogger(__name__)


def safe_name(name: str) -> str:
    """A sample's name as part of a file's."""
    return _UNFIT.sub("_", name)


def file_name(name: str) -> str:
    """What the prediction of a sample is called."""
    return safe_name(name) + SUFFIX


def check_names(names: Sequence[str]) -> None:
    """Raise BadData where two samples' predictions would be one file."""
    first: dict[str, str] = {}
    for name in names:
        if (other := first.setdefault(file_name(name), name)) != name:
            raise BadData(
                f"the predictions of {other!r} and {name!r} would both be called {file_name(name)}: rename one, or "
                f"leave out {OPTION}"
            )


def check_folder(folder: Path, names: Sequence[str], own: Sequence[str]) -> None:
    """Raise UsageError where `folder` holds pictures other than the predictions of the samples `names`.

    Cityscapes' scripts take every PNG below a folder. Predictions of the same samples may be an earlier attempt's: they
    are replaced, which is said of the samples `own`, since other ranks may have begun.
    """
    found = [path for path in folder.rglob("*") if path.suffix.lower() == ".png"]
    ours = {folder / file_name(name) for name in names}
    if others := sorted(path for path in found if path not in ours):
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise UsageError(
            f"{folder} holds pictures that this evaluation does not write ({others[0].relative_to(folder)}{more}), and "
            f"Cityscapes' scripts would take them for predictions: give an empty {OPTION}, or remove them"
        )
    if count := len({folder / file_name(name) for name in own}.intersection(found)):
        log.warning("%d predictions in %s are there already and are replaced", count, folder)


def save_prediction(folder: Path, sample: Sample, prediction: Pixels) -> None:
    """Write a prediction (uint8 h x w, train ids), enlarged to its image by the nearest pixel; raises OSError."""
    label_ids = TO_LABEL_IDS[enlarged(prediction, sample.label.shape)]
    write_atomically(folder / file_name(sample.name), encode_label(label_ids))
