from dataclasses import MISSING, fields
from functools import partial
from typing import Any

import click
import pytest
from click.testing import CliRunner

from erfnet_jobs.cli import spec_options
from erfnet_jobs.errors import UsageError
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.specs import EvalSpec, ExportSpec, InferSpec, Spec
from erfnet_jobs.train_spec import TrainSpec

BEST = spec_options.Best("7", (64, 128))


def offered(options: Any) -> Any:
    """The options of a command of `submit`."""
    return lambda command: options(spec_options.best_options(command))


KINDS: dict[type[Spec], tuple[Any, Any, list[str]]] = {
    TrainSpec: (spec_options.train_options, spec_options.train_spec, ["--data", "D"]),
    EvalSpec: (spec_options.eval_options, spec_options.eval_spec, ["--data", "D", "--checkpoint", "C"]),
    ExportSpec: (offered(spec_options.export_options), spec_options.export_spec, ["--checkpoint", "C"]),
    InferSpec: (offered(spec_options.infer_options), spec_options.infer_spec, ["--checkpoint", "C", "--images", "D"]),
    Infer310Spec: (
        offered(spec_options.infer_310_options),
        partial(spec_options.infer_310_spec, allow_cpu=False),
        ["--images", "D"],
    ),
}


def spec_of(kind: type[Spec], *arguments: str) -> Spec:
    options, build, required = KINDS[kind]
    found: list[Spec] = []
    command = click.command()(options(lambda **values: found.append(build(values))))
    result = CliRunner().invoke(command, [*required, *arguments], standalone_mode=False)
    if result.exception:
        raise result.exception
    return found[0]


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_the_specs(kind: type[Spec]) -> None:
    spec = spec_of(kind, *(["--checkpoint", "C"] if kind is Infer310Spec else []))
    for entry in fields(kind):
        if entry.default is not MISSING and not (kind is Infer310Spec and entry.name == "checkpoint"):
            assert getattr(spec, entry.name) == entry.default, entry.name


def test_all_of_train() -> None:
    given = (
        "--devices 0,2-3 --stages 3-4 --epochs 1,2,3,4 --batch-size 2 --lr 0.01 --size 64x128 --seed 7 --checkpoint c"
    )
    assert spec_of(TrainSpec, *given.split(), "--keep", "1") == TrainSpec(
        "D", 3, (3, 4), (1, 2, 3, 4), 2, 0.01, (64, 128), 7, "c", 1
    )


def test_all_of_eval() -> None:
    given = "--checkpoint E --split test --encoder --size 64x128 --batch-size 2 --devices 0,3 --protocol full"
    assert spec_of(EvalSpec, *given.split(), "--save-predictions", "P", "--worst", "0") == EvalSpec(
        ("C", "E"), "D", "test", "encoder", (64, 128), 2, 2, "full", "P", 0
    )


@pytest.mark.parametrize("arguments", [["--protocol", "quarter"], ["--worst", "-1"], ["--save-predictions", ""]])
def test_the_evaluation_refuses(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        spec_of(EvalSpec, *arguments)


def test_all_of_infer() -> None:
    given = "--split test --size 64x128 --limit 3 --output O --logits L"
    assert spec_of(InferSpec, *given.split()) == InferSpec("C", "D", "test", (64, 128), 3, "O", 1, "L")


def test_all_of_310_infer() -> None:
    given = "--model M --labels L --split test --save color,logits --limit 3 --output O"
    assert spec_of(Infer310Spec, *given.split(), "--precision", "fp16", "--threads", "2") == Infer310Spec(
        "D", None, "M", "L", "test", (512, 1024), ("color", "logits"), 3, "O", "fp16", 2
    )
    assert spec_of(Infer310Spec, "--checkpoint", "C", "--save", "none") == Infer310Spec("D", "C", save=())


@pytest.mark.parametrize("given", ["", "--checkpoint C --model M", "--best mean_iou --model M"])
def test_one_source_of_weights_for_310_infer(given: str) -> None:
    with pytest.raises(UsageError, match="--checkpoint, --best or --model, one of them"):
        spec_of(Infer310Spec, *given.split())


def test_a_model_says_its_size_itself() -> None:
    with pytest.raises(UsageError, match="leave --size out"):
        spec_of(Infer310Spec, "--model", "M", "--size", "64x128")


@pytest.mark.parametrize("output", ["D", "L"])
def test_310_infer_does_not_write_among_what_it_reads(output: str) -> None:
    with pytest.raises(UsageError, match=f"--output {output} is the folder of --images or --labels"):
        spec_of(Infer310Spec, "--checkpoint", "C", "--labels", "L", "--output", output)


def test_all_of_export() -> None:
    given = "--format onnx,mindir --size 64x128 --batch 4 --head argmax"
    wanted = ExportSpec("C", ("onnx", "mindir"), (64, 128), 1, 4, "argmax")
    assert spec_of(ExportSpec, *given.split()) == wanted
    assert spec_of(ExportSpec, "--format", "mindir, onnx") == ExportSpec("C", ("mindir", "onnx"))


def test_a_format_that_is_no_name() -> None:
    with pytest.raises(click.BadParameter, match="no list of names"):
        spec_of(ExportSpec, "--format", "mindir,")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cards", "0"],
        ["--cards", "-1"],
        ["--epochs", "1,2"],
        ["--epochs", "1,2,3,0"],
        ["--stages", "4-5"],
        ["--stages", "2-3"],
        ["--size", "100x100"],
        ["--lr", "0"],
    ],
)
def test_the_spec_refuses(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        spec_of(TrainSpec, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [["--epochs", "a,b"], ["--stages", "4-1"], ["--size", "big"], ["--devices", "0;1"], ["--devices", "x"]],
)
def test_what_cannot_be_read(arguments: list[str]) -> None:
    with pytest.raises(click.BadParameter):
        spec_of(TrainSpec, *arguments)


@pytest.mark.parametrize("kind", [ExportSpec, InferSpec])
def test_best_or_a_checkpoint(kind: type[Spec]) -> None:
    with pytest.raises(UsageError, match="give --checkpoint or --best, one of them"):
        spec_of(kind, "--best", "mean_iou")


def test_where_there_is_no_registry_a_checkpoint_alone_is_asked_for() -> None:
    with pytest.raises(UsageError, match="give --checkpoint: it says which weights to use"):
        spec_options.export_spec({"checkpoint": None, "size": None})


@pytest.mark.parametrize(("given", "size"), [(None, (64, 128)), ((256, 512), (256, 512))])
def test_the_best_has_the_size_at_which_it_was_measured(given: Any, size: tuple[int, int]) -> None:
    values = {"checkpoint": None, "best": "mean_iou", "size": given, "formats": ("mindir",), "batch": 1}
    values["head"] = "logits"
    assert spec_options.export_spec(values, BEST) == ExportSpec("7", size=size)
    some = dict.fromkeys(("model", "images", "labels", "limit", "output", "threads"))
    more = {"images": "D", "split": "val", "save": ("labels",), "precision": "fp32"}
    spec = spec_options.infer_310_spec({**values, **some, **more}, BEST, allow_cpu=False)
    assert spec == Infer310Spec("D", "7", size=size)
