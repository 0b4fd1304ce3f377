"""Scripted `erfnet_infer`, `erfnet_convert` and `converter_lite`: a file tells what they print, write and end with.

`python -m tests.scripted_lite PROGRAM STATE ARGUMENT...`. What they do by themselves is the contract of
ascend310_infer/README.md: pictures are found, each gets its files, and the metric is a matrix that is told.
"""

import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TextIO

# Tests may name another one, beside which there is something.
PYTHON = sys.executable
PROGRAMS = ("erfnet_infer", "erfnet_convert")
VENDOR = Path("tools/converter/converter/converter_lite")
VERSION_LINE = "erfnet_infer 0.1.0 (MindSpore Lite 2.0.0)"
ROWS, COLUMNS = 19, 20
MATRIX = [[90 if row == column else 1 if column == 19 else 0 for column in range(COLUMNS)] for row in range(ROWS)]
FILES = {"labels": "_pred_labelIds.png", "color": "_prediction.png", "overlay": "_overlay.png", "logits": ".npy"}
# Black, 1 x 1.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6360000000020001"
    "48afa4710000000049454e44ae426082"
)


@dataclass
class Script:
    """How the programs differ from those that work. `lines` are printed as they are, first of all.

    `skip` are the names of images that cannot be read; `die` is a signal that comes when `after` are done; with `hang`
    it waits then for ever, with `replaces` another model is in the given one's place. `error` is (exit code, message),
    `code` an exit code without one. `size` is the model's.
    """

    lines: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    skip: list[str] = field(default_factory=list)
    die: int | None = None
    hang: bool = False
    after: int = 0
    replaces: bool = False
    error: list[Any] | None = None
    code: int | None = None
    matrix: list[list[int]] = field(default_factory=lambda: [list(row) for row in MATRIX])
    size: list[int] = field(default_factory=lambda: [64, 128])
    engine: str | None = None
    silent: bool = False
    # Models are ONNX files, and ONNX Runtime runs them; the logits of the first class get `wrong` added.
    runs: bool = False
    wrong: float = 0.0
    convert_code: int = 0
    convert_says: list[str] = field(default_factory=list)
    convert_writes: bool = True


@dataclass(frozen=True)
class Programs:
    """Where they are, and what was asked of them."""

    folder: Path

    @property
    def infer(self) -> Path:
        return self.folder / PROGRAMS[0]

    def script(self, **values: Any) -> None:
        (self.folder / "script.json").write_text(json.dumps(asdict(Script(**values))))

    @property
    def calls(self) -> list[dict[str, Any]]:
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def install(folder: Path, vendor: bool = False, own: bool = True, **values: Any) -> Programs:
    """Put them into a folder, the vendor's converter as LITE_HOME has it."""
    names = [Path(name) for name in (PROGRAMS if own else PROGRAMS[:1])] + ([VENDOR] if vendor else [])
    root = Path(__file__).parents[1]
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        command = f'exec "{PYTHON}" -m tests.scripted_lite {name.name} "{folder}" "$@"'
        path.write_text(f'#!/bin/sh\nPYTHONPATH="{root}" {command}\n')
        path.chmod(0o755)
    programs = Programs(folder)
    programs.script(**values)
    return programs


def tell(line: str, stream: TextIO = sys.stdout) -> None:
    stream.write(f"{line}\n")
    stream.flush()


def say(event: str, **values: Any) -> None:
    tell(json.dumps({"event": event, **values}))


def main(name: str, folder: Path, arguments: list[str]) -> int:
    kept = ("ASCEND_RT_VISIBLE_DEVICES", "LD_LIBRARY_PATH")
    call = {"program": name, "arguments": arguments, "pid": os.getpid(), "group": os.getpgrp()}
    call["environ"] = {name: os.environ[name] for name in kept if name in os.environ}
    with (folder / "calls.jsonl").open("a") as file:
        file.write(json.dumps(call) + "\n")
    script = Script(**json.loads((folder / "script.json").read_text()))
    if arguments == ["--version"]:
        tell(VERSION_LINE)
        return 0
    for line in script.errors:
        tell(line, sys.stderr)
    if name != PROGRAMS[0]:
        return convert(name, script, arguments)
    return infer(script, options_of(arguments))


def convert(name: str, script: Script, arguments: list[str]) -> int:
    for line in script.convert_says:
        tell(line)
    if name == PROGRAMS[1]:
        given = dict(zip(arguments[::2], arguments[1::2], strict=True))
        onnx, output = Path(given["--onnx"]), Path(given["--output"])
    else:
        given = dict(argument.split("=", 1) for argument in arguments)
        onnx, output = Path(given["--modelFile"]), Path(given["--outputFile"] + ".mindir")
        if "--configFile" in given:
            tell(Path(given["--configFile"]).read_text())
        tell("CONVERT RESULT SUCCESS:0")
    if script.convert_writes:
        output.write_bytes(onnx.read_bytes())
    if script.die and not script.convert_code:
        os.kill(os.getpid(), script.die)
    if script.hang:
        wait_for_ever()
    return script.convert_code


def options_of(arguments: list[str]) -> dict[str, list[str]]:
    options: dict[str, list[str]] = {}
    for argument in arguments:
        if argument.startswith("--"):
            current = options.setdefault(argument, [])
        else:
            current.append(argument)
    return options


def pictures_of(path: Path, split: str) -> list[Path]:
    if (path / "leftImg8bit").is_dir():
        return sorted((path / "leftImg8bit" / split).glob("*/*_leftImg8bit.png"))
    return sorted(entry for entry in path.iterdir() if entry.suffix in {".png", ".jpg"})


def wait_for_ever() -> None:
    signal.pause()
    time.sleep(3600)


def infer(script: Script, options: dict[str, list[str]]) -> int:
    for line in script.lines:
        tell(line)
    if script.error is not None and not script.after:
        fail(*script.error)
    given = Path(options["--images"][0])
    images = [given] if given.is_file() else pictures_of(given, options["--split"][0])
    images = images[: int(options.get("--limit", ["1000000"])[0])]
    device = options["--device"][0]
    engine = script.engine or ("lite-cpu" if device == "cpu" else "lite-ascend310")
    model = {"path": options["--model"][0], "input": [1, 3, *script.size], "input_type": "float32"}
    model |= {"output": [1, COLUMNS, *script.size], "output_type": "float32"}
    say(
        "start", version="0.1.0", lite="2.0.0", engine=engine, device=device, threads=1,
        precision=options["--precision"][0], images=len(images), labelled=len(images), model=model,
    )  # fmt: skip
    return course(script, options, images)


def course(script: Script, options: dict[str, list[str]], images: list[Path]) -> int:
    for done, image in enumerate(images, 1):
        if image.name in script.skip:
            say("skipped", image=str(image), reason="it is no picture")
        else:
            save(script, options, image, image.name.removesuffix("_leftImg8bit.png").removesuffix(image.suffix))
        say("progress", done=done, total=len(images), images_per_second=2.5, eta_seconds=(len(images) - done) / 2.5)
        if done == script.after:
            befall(script, options)
    skipped = sum(image.name in script.skip for image in images)
    if not script.silent:
        end(script, options, len(images), skipped)
    if skipped:
        fail(3, f"{skipped} of {len(images)} images were skipped")
    return script.code or 0


def befall(script: Script, options: dict[str, list[str]]) -> None:
    if script.replaces:
        Path(options["--model"][0]).write_bytes(b"another model")
    if script.die:
        os.kill(os.getpid(), script.die)
    if script.hang:
        wait_for_ever()
    if script.error:
        fail(*script.error)


def fail(code: int, message: str) -> NoReturn:
    say("error", exit_code=code, message=message)
    sys.exit(code)


def save(script: Script, options: dict[str, list[str]], image: Path, name: str) -> None:
    output = Path(options["--output"][0])
    output.mkdir(parents=True, exist_ok=True)
    kinds = [kind for kind in options["--save"][0].split(",") if kind != "none"]
    files = {kind: str(output / f"{name}{FILES[kind]}") for kind in kinds}
    for path in files.values():
        Path(path).write_bytes(PNG)
    if script.runs:
        run(script, options, image, files)
    say("saved", name=as_told(name), files={kind: as_told(path) for kind, path in files.items()})


def as_told(name: str) -> str:
    """A name as JSON of the program has it: bytes that are not UTF-8 are replaced."""
    return os.fsencode(name).decode(errors="replace")


def run(script: Script, options: dict[str, list[str]], image: Path, files: dict[str, str]) -> None:
    import numpy as np
    import onnxruntime
    from PIL import Image

    from erfnet_jobs.erfnet.labels import TO_LABEL_IDS

    session = onnxruntime.InferenceSession(options["--model"][0], providers=["CPUExecutionProvider"])
    pixels = np.asarray(Image.open(image)).transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
    (output,) = session.run(None, {"images": pixels})[0]
    if output.ndim == 3:
        output[0] += script.wrong
        if "logits" in files:
            np.save(files["logits"], output)
    classes = output if output.ndim == 2 else output.argmax(0)
    if "labels" in files:
        Image.fromarray(TO_LABEL_IDS[classes + int(script.wrong)]).save(files["labels"])


def end(script: Script, options: dict[str, list[str]], images: int, skipped: int) -> None:
    metric = None
    if "--labels" in options:
        metric = {"height": script.size[0], "width": script.size[1], "images": images - skipped}
        metric |= {"confusion": script.matrix, "mean_iou": 0.9, "mean_iou_19": 0.9, "pixel_accuracy": 0.9}
        metric |= {"iou_class": [0.9] * ROWS}
        Path(options["--output"][0], "metric.txt").write_text("mean_iou 0.9\n")
        Path(options["--output"][0], "metric.json").write_text(json.dumps(metric))
    phase = {"mean": 1.0, "p50": 1.0, "p95": 2.0, "p99": 3.0, "threads": 2}
    say(
        "end", images=images - skipped, skipped=skipped, seconds=4.0, images_per_second=2.5,
        peak_memory_bytes=1 << 28, phases_ms=dict.fromkeys(("read", "prepare", "predict", "write"), phase),
        metric=metric,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
