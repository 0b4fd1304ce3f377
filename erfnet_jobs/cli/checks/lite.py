"""What 310-infer needs on a host: the C++ program, MindSpore Lite, and the way from a checkpoint to its models."""

import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from erfnet_jobs.ascend.devices import HostDevices
from erfnet_jobs.ascend.group_rule import WITHOUT_HCCL
from erfnet_jobs.cli.checks.answer import ERROR, OK, WARNING, Answer
from erfnet_jobs.errors import ErfnetJobsError, MissingDependency
from erfnet_jobs.lite.convert import ASCEND_TARGET, CPU_TARGET, find_converter
from erfnet_jobs.lite.infer import version_of
from erfnet_jobs.lite.programs import LIBRARIES, LITE_HOME, find_infer
from erfnet_jobs.settings import Settings

ONNX_PACKAGES = ("onnx", "onnxruntime")
READY_ONLY = "until then only models that are converted already run here (--model FILE)"


def has_310(found: HostDevices) -> bool:
    """Whether there are chips here that 310-infer goes to."""
    return any(device.generation in WITHOUT_HCCL for device in found.devices)


def check_infer_310(settings: Settings, on_chips: bool, environ: Mapping[str, str] = os.environ) -> Iterator[Answer]:
    """The program and its version, Lite's folder, the converter and ONNX; `on_chips`: for Ascend, else for the CPU."""
    program: Path | None = None
    try:
        program = find_infer(settings.infer_310, environ)
        yield Answer(OK, f"{version_of(program, environ)}, at {program}")
    except ErfnetJobsError as error:
        wanted = on_chips or settings.infer_310 is not None or program is not None
        yield Answer(ERROR if wanted else WARNING, f"310-infer cannot run here: {error}")
    if on_chips:
        yield home_answer(environ)
    yield from converter_answers(program, ASCEND_TARGET if on_chips else CPU_TARGET, environ)


def home_answer(environ: Mapping[str, str]) -> Answer:
    """Whether LITE_HOME is the vendor's release, which alone drives the chips."""
    remedy = f"unpack the release of MindSpore Lite for this host, set {LITE_HOME} to its folder in the worker's shell"
    home = environ.get(LITE_HOME)
    if not home:
        return Answer(WARNING, f"{LITE_HOME} is not set, by which the vendor's MindSpore Lite is found", remedy)
    if not Path(home).is_dir():
        return Answer(ERROR, f"{LITE_HOME} is {home}, which is no folder", remedy)
    if not Path(home, LIBRARIES[0]).is_dir():
        what = f"{LITE_HOME} is {home}, without {LIBRARIES[0]}: not the vendor's release, and others run on CPUs only"
        return Answer(ERROR, what, remedy)
    return Answer(OK, f"{LITE_HOME} is {home}")


def converter_answers(program: Path | None, target: str, environ: Mapping[str, str]) -> Iterator[Answer]:
    """Whether a checkpoint can be exported to ONNX and converted here."""
    try:
        yield Answer(OK, f"models are converted by {find_converter(program, target, environ).path}")
    except MissingDependency as error:
        yield Answer(WARNING, str(error), READY_ONLY)
    if missing := [name for name in ONNX_PACKAGES if find_spec(name) is None]:
        what = f"no {' and no '.join(missing)} here, by which checkpoints become models"
        yield Answer(WARNING, what, f"pip install 'erfnet-jobs[worker,onnx]'; {READY_ONLY}")
