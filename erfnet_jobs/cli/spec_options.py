"""The options of train, eval, export, infer and 310-infer, shared by `submit` and `run`, and the specs built from them.

Each decorator adds its kind's options; the command then has them as keyword arguments, and hands those to the spec
function of the same name. Options that only `submit` has (--host, --after, ...) are not here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from erfnet_jobs.cli.parameters import AUGMENT, DEVICES, DURATION, EPOCHS, FORMATS, SAVE, SIZE, STAGES

if TYPE_CHECKING:
    from erfnet_jobs.infer_310_spec import Infer310Spec
    from erfnet_jobs.specs import EvalSpec, ExportSpec, InferSpec
    from erfnet_jobs.train_spec import TrainSpec


@dataclass(frozen=True)
class Best:
    """What --best has led to: a checkpoint's id or path, and the size (height, width) at which it is the best."""

    checkpoint: str
    size: tuple[int, int]


Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]

# What `--help` shows; tests hold them equal to the specs' defaults, which importing here would cost --help its speed.
DEFAULT_EPOCHS = "65,85,65,85"
DEFAULT_SIZE = "512x1024"
DEFAULT_AUGMENT = "crop,flip"
DEFAULT_SAVE = "labels"


def _together(*decorators: Callable[[Any], Any]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


_size = click.option("--size", type=SIZE, default=DEFAULT_SIZE, show_default=True, help="Input in pixels, HxW.")
_data = click.option("--data", required=True, metavar="D", help="Cityscapes-layout folder, or a MindRecord.")
_split = click.option("--split", default="val", show_default=True, help="Split of the dataset: train, val or test.")

_cards = click.option("--cards", type=int, default=None, help="Devices, one rank each.  [default: 1, or as --devices]")
_devices = click.option("--devices", type=DEVICES, default=None, help="Exactly these devices, such as 0,1 or 0-3.")

time_limit_option = click.option(
    "--time-limit",
    type=DURATION,
    default=None,
    help="End an attempt that runs longer, such as 45m, 36h or 2d, and do not try again.",
)

train_options = _together(
    _data,
    _cards,
    _devices,
    click.option("--stages", type=STAGES, default="1-4", show_default=True, help="Stages to train, such as 3-4."),
    click.option("--epochs", type=EPOCHS, default=DEFAULT_EPOCHS, show_default=True, help="Epochs of stages 1,2,3,4."),
    click.option("--batch-size", type=int, default=6, show_default=True, help="Images per rank."),
    click.option("--lr", type=float, default=None, help="First learning rate on one card.  [default: 5e-4]"),
    click.option(
        "--scale-lr",
        default=None,
        metavar="HOW",
        help="How it follows the cards: none, linear, sqrt.  [default: none with --lr, else sqrt]",
    ),
    _size,
    click.option("--seed", type=int, default=1, show_default=True, help="Seed of weights, order and augmentation."),
    click.option(
        "--augment",
        type=AUGMENT,
        default=DEFAULT_AUGMENT,
        show_default=True,
        help="Done to images by chance: some of flip, translate, crop, blur; or none.",
    ),
    click.option("--checkpoint", default=None, metavar="C", help="Weights to start from when stage 1 is left out."),
    click.option("--from-scratch", is_flag=True, help="Or start that stage from random weights."),
    click.option(
        "--keep", type=int, default=3, show_default=True, help="Newest checkpoints kept of each stage, beside its best."
    ),
    click.option(
        "--validate-every",
        type=int,
        default=1,
        show_default=True,
        metavar="EPOCHS",
        help="How often the split val is measured, where D has one; 0 for never.",
    ),
    click.option(
        "--amp",
        default=None,
        metavar="LEVEL",
        help="Mixed precision: O0 to O3, auto.  [default: O2 on Ascend, else O0]",
    ),
)

eval_options = _together(
    click.option("--checkpoint", "checkpoints", required=True, multiple=True, metavar="C", help="May be repeated."),
    _data,
    _split,
    click.option("--encoder", is_flag=True, help="The checkpoint is of the encoder with its head (stages 1 and 2)."),
    _cards,
    _devices,
    _size,
    click.option("--batch-size", type=int, default=1, show_default=True, help="Images per step and rank."),
    click.option(
        "--protocol",
        default="half",
        show_default=True,
        help="Compare at --size, labels resized (half), or at each label's own size, predictions resized (full).",
    ),
    click.option("--save-predictions", default=None, metavar="DIR", help="Predictions as labelIds PNGs, into DIR."),
    click.option("--worst", type=int, default=8, show_default=True, help="Draw so many images of the lowest mean IoU."),
)

size_option = click.option(
    "--size", type=SIZE, default=None, help=f"Input of the checkpoint in pixels, HxW.  [default: {DEFAULT_SIZE}]"
)

# Of `submit` only, which has a registry to ask.
best_options = _together(
    click.option(
        "--best", default=None, metavar="METRIC", help="Or, for --checkpoint, the best one by a metric: see `best`."
    ),
    click.option(
        "--size",
        type=SIZE,
        default=None,
        help=f"Input of the checkpoint in pixels, HxW.  [default: as --best was measured, else {DEFAULT_SIZE}]",
    ),
)

export_options = _together(
    click.option("--checkpoint", default=None, metavar="C", help="The weights to export."),
    click.option(
        "--format",
        "formats",
        type=FORMATS,
        default="mindir",
        show_default=True,
        help="Files to write: mindir,onnx,lite.",
    ),
    click.option("--batch", type=int, default=1, show_default=True, help="Images that go in at a time."),
    click.option("--head", default="logits", show_default=True, help="What comes out: logits, or argmax: train ids."),
)

infer_options = _together(
    click.option("--checkpoint", default=None, metavar="C", help="The weights to use."),
    click.option("--images", required=True, metavar="D", help="Folder of pictures, or a Cityscapes-layout dataset."),
    _split,
    click.option("--limit", type=int, default=None, help="End after this many pictures."),
    click.option("--output", default=None, metavar="DIR", help="Where the pictures go.  [default: the run's folder]"),
    click.option("--logits", default=None, metavar="DIR", help="Write the network's logits there too, as NAME.npy."),
)

infer_310_options = _together(
    click.option("--checkpoint", default=None, metavar="C", help="Weights, exported and converted where needed."),
    click.option("--model", default=None, metavar="FILE", help="Or a model that MindSpore Lite reads, as it is."),
    click.option("--images", required=True, metavar="D", help="Folder of pictures, or a Cityscapes-layout dataset."),
    click.option("--labels", default=None, metavar="D", help="Labels to measure by: the dataset again, or a folder."),
    _split,
    click.option(
        "--save",
        type=SAVE,
        default=DEFAULT_SAVE,
        show_default=True,
        help="Files of each picture: some of labels,color,overlay,logits; or none.",
    ),
    click.option("--limit", type=int, default=None, help="End after this many pictures."),
    click.option("--output", default=None, metavar="DIR", help="Where files go.  [default: the run's folder]"),
    click.option("--precision", default="fp32", show_default=True, help="What Ascend computes in: fp32 or fp16."),
    click.option("--threads", type=int, default=None, help="CPU threads of the program.  [default: its cores]"),
)


def train_spec(values: Mapping[str, Any]) -> "TrainSpec":
    """The TrainSpec of `train_options`' values; --devices alone says --cards too. Raises UsageError."""
    from erfnet_jobs.train_spec import TrainSpec

    names = ("data", "stages", "epochs", "batch_size", "lr", "size", "seed", "checkpoint", "keep")
    more = ("scale_lr", "augment", "from_scratch", "validate_every", "amp")
    return TrainSpec(cards=_cards_of(values), **{name: values[name] for name in (*names, *more)})


def _cards_of(values: Mapping[str, Any]) -> int:
    cards, devices = values["cards"], values["devices"]
    if cards is None:
        return len(devices) if devices else 1
    return int(cards)


def eval_spec(values: Mapping[str, Any]) -> "EvalSpec":
    """The EvalSpec of `eval_options`' values; --devices alone says --cards too. Raises UsageError."""
    from erfnet_jobs.choices import ENCODER, ERFNET
    from erfnet_jobs.specs import EvalSpec

    names = ("checkpoints", "data", "split", "size", "batch_size", "protocol", "save_predictions", "worst")
    network = ENCODER if values["encoder"] else ERFNET
    return EvalSpec(network=network, cards=_cards_of(values), **{name: values[name] for name in names})


def _weights(values: Mapping[str, Any], found_best: Best | None, *names: str) -> dict[str, Any]:
    """Of those options that are offered the one that is given, as a spec has it; the size, where that is known."""
    from erfnet_jobs.errors import UsageError

    offered = [name for name in ("checkpoint", "best", *names) if name in values]
    given = [name for name in offered if values[name] is not None]
    if len(given) != 1:
        of_them = ", one of them: it says" if len(offered) > 1 else ": it says"
        *others, last = (f"--{name}" for name in offered)
        raise UsageError(
            f"give {' or '.join([*filter(None, [', '.join(others)]), last])}{of_them} which weights to use"
        )
    found = {"size": values["size"]} if values["size"] is not None else {}
    if found_best is not None:
        return {"checkpoint": found_best.checkpoint, "size": found_best.size, **found}
    return {given[0]: values[given[0]], **found}


def export_spec(values: Mapping[str, Any], found_best: Best | None = None) -> "ExportSpec":
    """The ExportSpec of `export_options`' values; `found_best` is what --best led to. Raises UsageError."""
    from erfnet_jobs.specs import ExportSpec

    names = ("formats", "batch", "head")
    return ExportSpec(**_weights(values, found_best), **{name: values[name] for name in names})


def infer_spec(values: Mapping[str, Any], found_best: Best | None = None) -> "InferSpec":
    """The InferSpec of `infer_options`' values; `found_best` is what --best led to. Raises UsageError."""
    from erfnet_jobs.specs import InferSpec

    names = ("images", "split", "limit", "output", "logits")
    return InferSpec(**_weights(values, found_best), **{name: values[name] for name in names})


def infer_310_spec(values: Mapping[str, Any], found_best: Best | None = None, *, allow_cpu: bool) -> "Infer310Spec":
    """The Infer310Spec of `infer_310_options`' values; `found_best` is what --best led to. Raises UsageError."""
    from erfnet_jobs.errors import UsageError
    from erfnet_jobs.infer_310_spec import Infer310Spec

    weights = _weights(values, found_best, "model")
    if "model" in weights and "size" in weights:
        raise UsageError("--size is for --checkpoint: a model says its size itself; leave --size out")
    names = ("images", "labels", "split", "save", "limit", "output", "precision", "threads")
    return Infer310Spec(allow_cpu=allow_cpu, **weights, **{name: values[name] for name in names})
