"""A network as an ONNX file, and such a file run by ONNX Runtime. Both packages come with the extra `onnx`."""

import importlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mindspore
import numpy as np
from mindspore import Tensor, nn
from numpy.typing import NDArray

from erfnet_jobs import __version__
from erfnet_jobs.erfnet.mindspore_errors import mindspore_errors
from erfnet_jobs.erfnet.transforms import Images
from erfnet_jobs.errors import ErfnetJobsError, MissingDependency

if TYPE_CHECKING:
    from erfnet_jobs.erfnet.agreement import Run

INPUT = "images"


def check_packages() -> None:
    """Raise MissingDependency unless all that ONNX needs can be imported."""
    for name in ("onnx", "onnxruntime"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise MissingDependency(
                f"exporting to onnx or lite needs {name}, which cannot be imported here ({error}): "
                "pip install 'erfnet-jobs[worker,onnx]', or in a clone '.[worker,onnx]'"
            ) from error


def write_onnx(network: nn.Cell, images: Tensor, output: str, properties: Mapping[str, str], path: Path) -> None:
    """Write `network` for inputs like `images`, its output called `output`.

    Raises ErfnetJobsError where MindSpore cannot, or what it writes is not valid and cannot be mended, and OSError.
    """
    import onnx

    from erfnet_jobs.erfnet.onnx_mend import described, mended, renamed

    # MindSpore takes plain ASCII paths only, and `path` may have other characters in it.
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "model.onnx")
        with mindspore_errors("export the network"):
            mindspore.onnx.export(network, images, file_name=str(raw))
        model = onnx.load(raw)
    whole = mended(renamed(model, INPUT, output))
    onnx.save(described(whole, ("erfnet-jobs", __version__), properties), path)


def open_onnx(path: Path) -> "Run":
    """The model in a file, to be called with images; both raise ErfnetJobsError where ONNX Runtime refuses."""
    import onnxruntime

    with _known_errors("load"):
        session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])

    def run(images: Images) -> NDArray[Any]:
        with _known_errors("run"):
            return np.asarray(session.run(None, {INPUT: images})[0])

    return run


@contextmanager
def _known_errors(what: str) -> Iterator[None]:
    """ONNX Runtime's errors, which have no base of their own, as ErfnetJobsError."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        raise ErfnetJobsError(f"ONNX Runtime does not {what} it: {error}") from error
