"""A network as a MINDIR file, and such a file run by MindSpore."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mindspore
from mindspore import Tensor, nn
from numpy.typing import NDArray

from erfnet_jobs import __version__
from erfnet_jobs.erfnet.mindspore_errors import mindspore_errors
from erfnet_jobs.erfnet.transforms import Images

if TYPE_CHECKING:
    from erfnet_jobs.erfnet.agreement import Run


def write_mindir(network: nn.Cell, images: Tensor, properties: Mapping[str, str], path: Path) -> None:
    """Write `network` for inputs like `images`, with `properties` as the model's user info.

    Raises ErfnetJobsError where MindSpore cannot, and OSError.
    """

    def describe(model: Any) -> None:
        model.producer_name, model.producer_version = "erfnet-jobs", __version__
        for name, value in properties.items():
            model.user_info[name] = value

    # MindSpore takes plain ASCII paths only, and `path` may have other characters in it.
    with tempfile.TemporaryDirectory() as folder, _syntax_level():
        raw = Path(folder, "model.mindir")
        with mindspore_errors("export the network"):
            mindspore.export(
                network, images, file_name=str(raw.with_suffix("")), file_format="MINDIR", custom_func=describe
            )
        shutil.copyfile(raw, path)


@contextmanager
def _syntax_level() -> Iterator[None]:
    """Leave the level as it is: `mindspore.export` sets it to STRICT, and back only where nothing goes wrong."""
    level = mindspore.get_context("jit_syntax_level")
    try:
        yield
    finally:
        mindspore.set_context(jit_syntax_level=level)


def open_mindir(path: Path) -> "Run":
    """The model in a file, to be called with images; both raise ErfnetJobsError where MindSpore refuses."""
    with mindspore_errors("load what it wrote"):
        cell = nn.GraphCell(mindspore.load(str(path)))

    def run(images: Images) -> NDArray[Any]:
        with mindspore_errors("run what it wrote"):
            result: NDArray[Any] = cell(Tensor(images)).asnumpy()
        return result

    return run
