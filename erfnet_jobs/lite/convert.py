"""From ONNX to what MindSpore Lite reads: by our own converter, or by the vendor's for Ascend. Stdlib only."""

import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from erfnet_jobs.choices import FP16, FP32
from erfnet_jobs.errors import ErfnetJobsError, MissingDependency, UsageError
from erfnet_jobs.lite.child import LAST_LINES, LINE_LENGTH, run_child
from erfnet_jobs.lite.programs import (
    CONVERT,
    LITE_HOME,
    VENDOR_CONVERT,
    find_convert,
    find_vendor_convert,
    lite_environ,
)

# For a model of any engine on CPUs, and one that only the Ascend chips of its kind run (converter_tool.md of Lite).
CPU_TARGET = "cpu"
ASCEND_TARGET = "ascend"
OPTIMIZE: Mapping[str, str] = {CPU_TARGET: "general", ASCEND_TARGET: "ascend_oriented"}
# What a model for Ascend computes in is compiled into it, and is fp16 unless said otherwise (converter_tool_ascend.md).
PRECISION_MODES: Mapping[str, str] = {FP32: "preferred_fp32", FP16: "enforce_fp16"}
SUFFIX = ".mindir"
# The vendor's compiles every operator for the chip, which takes minutes.
TIME_LIMIT = 1800.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Converter:
    """A converter on this host and what it converts for: `target` is 'cpu' or 'ascend'.

    `precision` is what a model for Ascend computes in; a model for CPUs is told that when it runs.
    """

    path: Path
    target: str
    precision: str = FP32

    @property
    def is_vendor(self) -> bool:
        """Whether it is the vendor's."""
        return self.path.name == VENDOR_CONVERT

    def command(self, onnx: Path, output: Path, settings: Path) -> list[str]:
        """How it is called to make `output`, whose name ends in '.mindir'; `settings` is a file with its `settings`."""
        if not self.is_vendor:
            return [str(self.path), "--onnx", str(onnx), "--output", str(output)]
        # It adds the suffix itself.
        return [
            str(self.path),
            "--fmk=ONNX",
            "--saveType=MINDIR",
            f"--optimize={OPTIMIZE[self.target]}",
            f"--modelFile={onnx}",
            f"--outputFile={output.with_suffix('')}",
            *([f"--configFile={settings}"] if self.settings else []),
        ]

    @property
    def settings(self) -> str:
        """What a file must tell it; empty where nothing."""
        for_chips = self.is_vendor and self.target == ASCEND_TARGET
        return f"[ascend_context]\nprecision_mode={PRECISION_MODES[self.precision]}\n" if for_chips else ""


def find_converter(infer: Path | None, target: str, environ: Mapping[str, str] = os.environ) -> Converter:
    """What converts for `target` here; `infer` is the program beside which our own converter lies.

    Raises MissingDependency with the way to get it.
    """
    vendor = find_vendor_convert(environ)
    own = find_convert(infer) if infer else None
    found = vendor if target == ASCEND_TARGET else own or vendor
    if found is not None:
        return Converter(found, target)
    if target == ASCEND_TARGET:
        raise MissingDependency(
            f"{VENDOR_CONVERT}, which makes models for Ascend, is not on this host: set {LITE_HOME} to the folder of "
            "MindSpore Lite's release for this host"
        )
    raise MissingDependency(
        f"neither {CONVERT} nor {VENDOR_CONVERT} is on this host: build the first with 'make infer310', or set "
        f"{LITE_HOME} to the folder of MindSpore Lite"
    )


def convert(
    converter: Converter, onnx: Path, output: Path, environ: Mapping[str, str] = os.environ, timeout: float = TIME_LIMIT
) -> None:
    """Convert an ONNX file, as mended by an export, to `output`, whose folder must exist; nothing proves it yet.

    Raises ErfnetJobsError with the converter's last lines where it does not (some converters end well and write
    nothing), MissingDependency where it cannot be run, and what its exit code means.
    """
    if output.suffix != SUFFIX:
        raise UsageError(f"{output} is to be a model of MindSpore Lite: give a name that ends in {SUFFIX}")
    said: list[str] = []

    def note(line: str) -> None:
        log.info("%s: %s", converter.path.name, line)
        said.append(line[:LINE_LENGTH])
        del said[:-LAST_LINES]

    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
        settings = Path(folder, "settings.ini")
        settings.write_text(converter.settings)
        ending = run_child(converter.command(onnx, output, settings), lite_environ(environ), note, timeout)
    whole = replace(ending, last=(*said, *ending.last))
    if whole.code != 0:
        fault = whole.error(f"{onnx.name} was not converted")
        # The vendor's exit codes mean something else.
        raise ErfnetJobsError(str(fault)) if converter.is_vendor and whole.code > 0 else fault
    if not output.is_file() or output.stat().st_size == 0:
        raise ErfnetJobsError(f"{onnx.name} was not converted: {whole.name} ended well without a model; {whole.told}")
