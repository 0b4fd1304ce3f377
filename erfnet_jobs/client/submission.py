"""What a submission becomes: the jobs that follow a training, and its paths as other programs will see them. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from erfnet_jobs.choices import ENCODER, ERFNET
from erfnet_jobs.client.data_folders import is_mindrecord
from erfnet_jobs.errors import BadCheckpoint, BadData, UsageError
from erfnet_jobs.files import absolute_path
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.jobs import Request
from erfnet_jobs.spec_checks import is_reference
from erfnet_jobs.specs import EvalSpec, ExportSpec, InferSpec, Spec
from erfnet_jobs.states import JobKind
from erfnet_jobs.train_spec import TrainSpec

FOLLOWERS = (JobKind.EXPORT, JobKind.INFER)
# Enough to look at; `submit infer` does all of a split.
PICTURES = 16
# Stages 1 and 2 train the encoder with a head of its own, 3 and 4 the whole network.
FIRST_STAGE_OF_ERFNET = 3


def network_of(spec: TrainSpec) -> str:
    """The network that the last stage trains."""
    return ERFNET if spec.stages[-1] >= FIRST_STAGE_OF_ERFNET else ENCODER


def check_followers(request: Request, evaluate: bool, then: Sequence[JobKind]) -> None:
    """Raises UsageError where jobs are to follow that cannot."""
    spec = request.spec
    if not isinstance(spec, TrainSpec):
        if then:
            raise UsageError(f"--then follows a training, and this is {spec.kind}: submit the jobs with --after")
        return
    if then and network_of(spec) == ENCODER:
        raise UsageError(
            f"--then {','.join(then)} needs the whole network, and stages {spec.stages[0]}-{spec.stages[-1]} train "
            "its encoder only: train up to stage 3 or 4, or leave --then out"
        )
    if unknown := [kind for kind in then if kind not in FOLLOWERS]:
        raise UsageError(f"--then {','.join(unknown)}: give some of {', '.join(FOLLOWERS)}")
    if not is_mindrecord(Path(spec.data)):
        return
    if JobKind.INFER in then:
        raise UsageError(f"--then infer needs pictures, and {spec.data} is a MindRecord: give --data a dataset folder")
    if evaluate:
        raise UsageError(
            f"{spec.data} is a MindRecord of one split, and the evaluation after a training needs another: add "
            "--no-eval and use 'erfnet-jobs submit eval' then, or give --data a dataset folder"
        )


def follow_ups(request: Request, job: int | str, evaluate: bool, then: Sequence[JobKind]) -> Iterator[Request]:
    """The jobs after a training, without what they come after: its evaluation, then what uses the best weights.

    `job` is the training's id. Without an evaluation nothing says which weights are best, and the last ones are used.
    """
    spec = request.spec
    if not isinstance(spec, TrainSpec):
        return
    if evaluate:
        every = EvalSpec(checkpoints=(f"{job}:all",), data=spec.data, network=network_of(spec), size=spec.size)
        yield _like(request, every)
    checkpoint = f"{job}:best" if evaluate else f"{job}:last"
    for kind in then:
        if kind == JobKind.EXPORT:
            yield _like(request, ExportSpec(checkpoint=checkpoint, size=spec.size))
        else:
            yield _like(request, InferSpec(checkpoint=checkpoint, images=spec.data, size=spec.size, limit=PICTURES))


def _like(request: Request, spec: Spec) -> Request:
    # Devices and a time limit are meant for the training: what follows is another kind of work.
    return replace(request, spec=spec, devices=None, rank_table=None, pinned=None, after=(), time_limit=None)


def input_paths(spec: Spec) -> list[tuple[str, Path, bool]]:
    """What a spec reads from disk: (option, path, whether it is a checkpoint)."""
    named = [("--checkpoint", checkpoint) for checkpoint in _checkpoints(spec) if not is_reference(checkpoint)]
    found = [(option, Path(checkpoint), True) for option, checkpoint in named]
    if isinstance(spec, TrainSpec | EvalSpec):
        found.append(("--data", Path(spec.data), False))
    if isinstance(spec, InferSpec | Infer310Spec):
        found.append(("--images", Path(spec.images), False))
    if isinstance(spec, Infer310Spec):
        found += [("--model", Path(spec.model), False)] if spec.model is not None else []
        found += [("--labels", Path(spec.labels), False)] if spec.labels is not None else []
    return found


def _checkpoints(spec: Spec) -> tuple[str, ...]:
    if isinstance(spec, EvalSpec):
        return spec.checkpoints
    return () if spec.checkpoint is None else (spec.checkpoint,)


def checkpoint_references(spec: Spec) -> tuple[str, ...]:
    """The checkpoints that a spec names by id or by job."""
    return tuple(checkpoint for checkpoint in _checkpoints(spec) if is_reference(checkpoint))


def fault_of(option: str, path: Path, checkpoint: bool) -> BadData | BadCheckpoint | None:
    """What is wrong with an input as this machine sees it."""
    kind = BadCheckpoint if checkpoint else BadData
    try:
        return _fault(kind, option, path, checkpoint)
    except OSError as error:
        return kind(f"{option} {path} cannot be read ({error.strerror}): correct the path or its permissions")


def _fault(
    kind: type[BadData | BadCheckpoint], option: str, path: Path, checkpoint: bool
) -> BadData | BadCheckpoint | None:
    if not path.exists():
        return kind(f"{option} {path}: there is no such file or folder; correct the path")
    if checkpoint and not path.is_file():
        return kind(f"{option} {path} is no file: name a .ckpt file, a checkpoint's id, JOB:best or JOB:last")
    if checkpoint and path.stat().st_size == 0:
        return kind(f"{option} {path} is empty: name a checkpoint that is whole")
    return None


def with_absolute_paths(spec: Spec) -> Spec:
    """The same spec with paths that mean the same in every folder."""
    if isinstance(spec, EvalSpec):
        names = tuple(_absolute_checkpoint(checkpoint) for checkpoint in spec.checkpoints)
        output = None if spec.save_predictions is None else _absolute(spec.save_predictions)
        return replace(spec, data=_absolute(spec.data), checkpoints=names, save_predictions=output)
    if isinstance(spec, TrainSpec):
        start = None if spec.checkpoint is None else _absolute_checkpoint(spec.checkpoint)
        return replace(spec, data=_absolute(spec.data), checkpoint=start)
    if isinstance(spec, InferSpec):
        output, logits = (None if path is None else _absolute(path) for path in (spec.output, spec.logits))
        checkpoint = _absolute_checkpoint(spec.checkpoint)
        return replace(spec, images=_absolute(spec.images), checkpoint=checkpoint, output=output, logits=logits)
    if isinstance(spec, Infer310Spec):
        named = None if spec.checkpoint is None else _absolute_checkpoint(spec.checkpoint)
        model, labels, output = (
            None if path is None else _absolute(path) for path in (spec.model, spec.labels, spec.output)
        )
        images = _absolute(spec.images)
        return replace(spec, images=images, checkpoint=named, model=model, labels=labels, output=output)
    return replace(spec, checkpoint=_absolute_checkpoint(spec.checkpoint))


def _absolute(path: str) -> str:
    return str(absolute_path(path))


def _absolute_checkpoint(checkpoint: str) -> str:
    return checkpoint if is_reference(checkpoint) else _absolute(checkpoint)
