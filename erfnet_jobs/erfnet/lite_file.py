"""A network as a model of MindSpore Lite, converted from its ONNX file, and such a model run by the C++ program.

Nothing here needs MindSpore: the programs read and write files.
"""

import logging
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from erfnet_jobs.choices import ARGMAX, FP32, LITE
from erfnet_jobs.erfnet.pictures import load_label
from erfnet_jobs.erfnet.transforms import Images
from erfnet_jobs.errors import BadData, ErfnetJobsError, MissingDependency
from erfnet_jobs.lite.convert import ASCEND_TARGET, CPU_TARGET, SUFFIX, Converter, convert, find_converter
from erfnet_jobs.lite.infer import CPU_DEVICE, Inference, run_infer
from erfnet_jobs.lite.messages import Message
from erfnet_jobs.lite.programs import find_infer, find_vendor_convert, given_program
from erfnet_jobs.plan import ASCEND, Plan

if TYPE_CHECKING:
    from erfnet_jobs.erfnet.agreement import Run

# What a model of Lite is called after its network: ERFNet.lite.mindir.
NAME_END = f"{LITE}{SUFFIX}"
SCENE = "scene"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiteTools:
    """What makes and runs models of Lite here. `program` is None where nothing on this host runs what is made."""

    converter: Converter
    program: Path | None
    device: str = CPU_DEVICE

    @property
    def for_chips(self) -> bool:
        """Whether models are made for Ascend's chips."""
        return self.converter.target == ASCEND_TARGET


def device_name(plan: Plan) -> str:
    """The device of a plan's one rank as the C++ program takes it: 'cpu', or 'ascend:ID' with its logical id."""
    return f"ascend:{plan.ranks[0].device}" if plan.device_target == ASCEND else CPU_DEVICE


def lite_tools(plan: Plan, precision: str = FP32) -> LiteTools:
    """The tools for a plan's device: with the vendor's converter models for Ascend, in `precision`, else for CPUs.

    Raises MissingDependency where there is no converter, or no program to prove what could be proved here.
    """
    if plan.device_target == ASCEND and find_vendor_convert():
        converter = replace(find_converter(None, ASCEND_TARGET), precision=precision)
        return LiteTools(converter, _program_if_any(), device_name(plan))
    program = find_infer(given_program())
    return LiteTools(find_converter(program, CPU_TARGET), program)


def _program_if_any() -> Path | None:
    try:
        return find_infer(given_program())
    except MissingDependency as error:
        log.warning("models for Ascend cannot be run here: %s", error)
        return None


def write_lite(tools: LiteTools, onnx: Path, path: Path) -> None:
    """Convert a mended ONNX file to `path`; raises ErfnetJobsError and MissingDependency as `convert`."""
    convert(tools.converter, onnx, path)


def open_lite(program: Path, tools: LiteTools, head: str, model: Path) -> "Run":
    """The model in a file, run by `program` on the tools' device.

    It is to be called with images (1 x 3 x height x width of the model, 8-bit values / 255). That raises
    ErfnetJobsError where the program does not run it, or writes something else than it should.
    """

    def run(images: Images) -> NDArray[Any]:
        with tempfile.TemporaryDirectory(prefix=f".{model.name}.", dir=model.parent) as folder:
            scene = Path(folder, f"{SCENE}.png")
            _write_scene(images, scene)
            save = "labels" if head == ARGMAX else "logits"
            precision = tools.converter.precision
            output = Path(folder, "out")
            inference = Inference(model, [scene], output, device=tools.device, precision=precision, save=(save,))
            run_infer(program, inference, _note)
            return _classes(inference.output) if head == ARGMAX else _logits(inference.output)

    return run


def _note(message: Message) -> None:
    log.debug("%s", message)


def _write_scene(images: Images, path: Path) -> None:
    (image,) = images
    pixels = np.rint(image.transpose(1, 2, 0) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, "PNG", compress_level=1)


def _classes(folder: Path) -> NDArray[Any]:
    """Train ids, int32 1 x H x W: pictures hold label ids."""
    try:
        return load_label(folder / f"{SCENE}_pred_labelIds.png").astype(np.int32)[None]
    except BadData as error:
        raise ErfnetJobsError(f"the program wrote no labels: {error}") from error


def _logits(folder: Path) -> NDArray[Any]:
    path = folder / f"{SCENE}.npy"
    try:
        logits: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no NumPy array"
        raise ErfnetJobsError(f"the program wrote no logits ({path.name}: {why})") from error
    return logits[None]
