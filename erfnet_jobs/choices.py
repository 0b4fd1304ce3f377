"""What a spec can name: networks, splits, protocols, formats, and the reference's values. Stdlib only."""

import math
from collections.abc import Callable, Mapping

ERFNET = "erfnet"
ENCODER = "encoder"
NETWORKS = (ERFNET, ENCODER)
SPLITS = ("train", "val", "test")
AUGMENTATIONS = ("flip", "translate", "crop", "blur")
DEFAULT_AUGMENT = ("crop", "flip")
# Where predictions and labels meet: at the network's size, or at the label's own.
HALF = "half"
FULL = "full"
PROTOCOLS = (HALF, FULL)
MINDIR = "mindir"
ONNX = "onnx"
# MindSpore Lite's own MINDIR, converted from ONNX: what the C++ program for Ascend 310 reads.
LITE = "lite"
EXPORT_FORMATS = (MINDIR, ONNX, LITE)
LOGITS = "logits"
ARGMAX = "argmax"
HEADS = (LOGITS, ARGMAX)
# What the C++ program can write of each picture.
SAVES = ("labels", "color", "overlay", "logits")
FP32 = "fp32"
FP16 = "fp16"
PRECISIONS = (FP32, FP16)
# How a MindRecord stores frames: PNGs without compression, for speed, or each file as it was found.
RAW = "raw"
FOUND = "found"
STORES = (RAW, FOUND)
STAGES = (1, 2, 3, 4)
# Cityscapes' classes by trainId (cityscapesScripts, helpers/labels.py).
CLASSES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
    *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)
# The figures of an evaluation by which checkpoints are compared.
EVALUATION_METRICS = ("mean_iou", "mean_iou_19", "pixel_accuracy", "mean_loss")

# How the first learning rate follows the number of cards.
LR_SCALINGS: Mapping[str, Callable[[int], float]] = {"none": lambda _cards: 1.0, "linear": float, "sqrt": math.sqrt}
# MindSpore's levels of automatic mixed precision (mindspore.amp.auto_mixed_precision).
AMP_LEVELS = ("O0", "O1", "O2", "O3", "auto")

# The reference port's recipe (mindspore-ai/models, research/cv/erfnet): epochs of its four stages, batch per rank,
# height x width, and the first learning rate on one card; on its four cards it has 1e-3, which is sqrt(4) times that.
REFERENCE_EPOCHS = (65, 85, 65, 85)
REFERENCE_BATCH_SIZE = 6
REFERENCE_SIZE = (512, 1024)
REFERENCE_LR = 5e-4

MAX_CARDS = 4096
# An exported model is run on a whole batch beside the network, and an image of 512x1024 takes 0.4 GB for that (measured
# from 1 to 3 images, MINDIR and ONNX on a CPU): these are 32 of them.
MAX_EXPORT_PIXELS = 2**24
DOWNSAMPLING = 8
# The beginning of a 310-infer job's last phase where its figures are of a part of the data, and so not recorded.
MEASURED_PART = "figures of"
# A training's phase before its first step; its ETA is that of the phase, not of the job.
BUILD_DATA = "build data"
