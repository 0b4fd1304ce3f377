"""Predictions as Cityscapes' server and scripts take them: 8-bit labelIds PNGs, as large as the image."""

import re
from pathlib import Path

from erfnet_jobs.erfnet.labels import TO_LABEL_IDS
from erfnet_jobs.erfnet.pictures import Pixels, encode_label
from erfnet_jobs.erfnet.samples import Sample
from erfnet_jobs.erfnet.split_measure import enlarged
from erfnet_jobs.errors import UsageError
from erfnet_jobs.files import write_atomically

OPTION = "--save-predictions"
# cityscapesScripts finds the prediction of CITY_SEQUENCE_FRAME as CITY_SEQUENCE_FRAME*.png, anywhere in a folder, and
# tells predictions on its command line by 'pred' in their names.
SUFFIX = "_pred_labelIds.png"
# Names of other datasets' MindRecords may hold anything.
_UNFIT = re.compile(r"[^\w.-]+")


def make_folder(path: Path, option: str = OPTION) -> Path:
    """The folder that `option` names, made if need be; raises UsageError where it cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{path} cannot be made ({error.strerror}): give another {option}") from error
    return path


def safe_name(name: str) -> str:
    """A sample's name as part of a file's."""
    return _UNFIT.sub("_", name)


def save_prediction(folder: Path, sample: Sample, prediction: Pixels) -> None:
    """Write a prediction (uint8 h x w, train ids), enlarged to its image by the nearest pixel; raises OSError."""
    label_ids = TO_LABEL_IDS[enlarged(prediction, sample.label.shape)]
    write_atomically(folder / (safe_name(sample.name) + SUFFIX), encode_label(label_ids))
