"""Cityscapes' labels: 34 label ids to 19 training classes and one to ignore; names, colours and class weights.

Names, ids and colours are those of the table in cityscapesScripts (`cityscapesscripts/helpers/labels.py`).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

CLASSES: Final = 19
IGNORE: Final = 19
OUTPUTS: Final = 20
LABEL_IDS: Final = 34
NONE: Final = 255

LABEL_IDS_SUFFIX: Final = "_labelIds.png"
TRAIN_IDS_SUFFIX: Final = "_labelTrainIds.png"


@dataclass(frozen=True)
class TrainClass:
    """One training class: its index (trainId), its labelId in ground truth files, and its colour (R, G, B)."""

    name: str
    train_id: int
    label_id: int
    colour: tuple[int, int, int]


TRAIN_CLASSES: Final = (
    TrainClass("road", 0, 7, (128, 64, 128)),
    TrainClass("sidewalk", 1, 8, (244, 35, 232)),
    TrainClass("building", 2, 11, (70, 70, 70)),
    TrainClass("wall", 3, 12, (102, 102, 156)),
    TrainClass("fence", 4, 13, (190, 153, 153)),
    TrainClass("pole", 5, 17, (153, 153, 153)),
    TrainClass("traffic light", 6, 19, (250, 170, 30)),
    TrainClass("traffic sign", 7, 20, (220, 220, 0)),
    TrainClass("vegetation", 8, 21, (107, 142, 35)),
    TrainClass("terrain", 9, 22, (152, 251, 152)),
    TrainClass("sky", 10, 23, (70, 130, 180)),
    TrainClass("person", 11, 24, (220, 20, 60)),
    TrainClass("rider", 12, 25, (255, 0, 0)),
    TrainClass("car", 13, 26, (0, 0, 142)),
    TrainClass("truck", 14, 27, (0, 0, 70)),
    TrainClass("bus", 15, 28, (0, 60, 100)),
    TrainClass("train", 16, 31, (0, 80, 100)),
    TrainClass("motorcycle", 17, 32, (0, 0, 230)),
    TrainClass("bicycle", 18, 33, (119, 11, 32)),
)
CLASS_NAMES: Final = tuple(entry.name for entry in TRAIN_CLASSES)
# Cityscapes' categories that are evaluated, with the train ids in each.
CATEGORIES: Final = (
    ("flat", range(2)),
    ("construction", range(2, 5)),
    ("object", range(5, 8)),
    ("nature", range(8, 10)),
    ("sky", range(10, 11)),
    ("human", range(11, 13)),
    ("vehicle", range(13, 19)),
)
CATEGORY_NAMES: Final = tuple(name for name, _ in CATEGORIES)

# The tables of Eromera/erfnet_pytorch's train/main.py: 1 / ln(1.2 + p) for the encoder and 1 / ln(1.1 + p) for the
# decoder, p a class' share of the pixels of Cityscapes' train split (ENet, Paszke et al. 2016, section 5.2, has the
# formula). Ignored: 0.
ENCODER_WEIGHTS: Final = (
    2.3653597831726,
    4.4237880706787,
    2.9691488742828,
    5.3442072868347,
    5.2983593940735,
    5.2275490760803,
    5.4394111633301,
    5.3659925460815,
    3.4170460700989,
    5.2414722442627,
    4.7376127243042,
    5.2286224365234,
    5.455126285553,
    4.3019247055054,
    5.4264230728149,
    5.4331531524658,
    5.433765411377,
    5.4631009101868,
    5.3947434425354,
    0.0,
)
DECODER_WEIGHTS: Final = (
    2.8149201869965,
    6.9850029945374,
    3.7890393733978,
    9.9428062438965,
    9.7702074050903,
    9.5110931396484,
    10.311357498169,
    10.026463508606,
    4.6323022842407,
    9.5608062744141,
    7.8698215484619,
    9.5168733596802,
    10.373730659485,
    6.6616044044495,
    10.260489463806,
    10.287888526917,
    10.289801597595,
    10.405355453491,
    10.138095855713,
    0.0,
)

INVALID: Final = 254


def _from_label_ids() -> NDArray[np.uint8]:
    table = np.full(256, INVALID, np.uint8)
    table[:LABEL_IDS] = IGNORE
    table[NONE] = IGNORE
    for entry in TRAIN_CLASSES:
        table[entry.label_id] = entry.train_id
    table.setflags(write=False)
    return table


def _from_train_ids() -> NDArray[np.uint8]:
    table = np.full(256, INVALID, np.uint8)
    table[:CLASSES] = np.arange(CLASSES, dtype=np.uint8)
    table[NONE] = IGNORE
    table.setflags(write=False)
    return table


def _to_label_ids() -> NDArray[np.uint8]:
    table = np.zeros(OUTPUTS, np.uint8)
    table[:CLASSES] = [entry.label_id for entry in TRAIN_CLASSES]
    table.setflags(write=False)
    return table


def _palette() -> NDArray[np.uint8]:
    colours = np.zeros((OUTPUTS, 3), np.uint8)
    colours[:CLASSES] = [entry.colour for entry in TRAIN_CLASSES]
    colours.setflags(write=False)
    return colours


# uint8[256] each: what a file holds -> 0..18, 19 for what is ignored, INVALID for what no such file may hold.
# labelIds files: -1 (license plate) cannot stand in 8 bits; where a tool wrote it as 255 it is ignored.
FROM_LABEL_IDS: Final = _from_label_ids()
FROM_TRAIN_IDS: Final = _from_train_ids()
# uint8[20]: train ids -> labelIds, as Cityscapes' server takes predictions; what is ignored becomes 0 (unlabeled).
TO_LABEL_IDS: Final = _to_label_ids()
# uint8[20, 3]: the colour of each class, black for what is ignored.
PALETTE: Final = _palette()


def table_for(name: str) -> NDArray[np.uint8]:
    """The lookup table for a label file of this name: trainIds by its suffix, else labelIds."""
    return FROM_TRAIN_IDS if name.endswith(TRAIN_IDS_SUFFIX) else FROM_LABEL_IDS


def colourize(label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Train ids (uint8 H x W, values 0 to 19) as Cityscapes' colours (uint8 H x W x 3)."""
    return PALETTE[label]
