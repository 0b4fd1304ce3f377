"""What a submission becomes: the jobs that follow a training, and its paths as other programs will see them. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
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

FOLLOWERS = (JobKind.EXPORT, JobKind.INFER, JobKind.INFER_310)
# Enough to look at; `submit infer` does all of a split.
PICTURES = 16
# Stages 1 and 2 train the encoder with a head of its own, 3 and 4 the whole network.
FIRST_STAGE_OF_ERFNET = 3


@dataclass(frozen=True)
class Following:
    """What follows a training: the evaluation of its checkpoints, and kinds of job that use the best of them.

    `allow_cpu` lets a 310-infer job among them have CPU slots.
    """

    evaluate: bool = True
    then: tuple[JobKind, ...] = ()
    allow_cpu: bool = False

    def __post_init__(self) -> None:
        if self.allow_cpu and JobKind.INFER_310 not in self.then:
            raise UsageError(f"--allow-cpu is for --then {JobKind.INFER_310}: leave it out, or add that")


def network_of(spec: TrainSpec) -> str:
    """The network that the last stage trains."""
    return ERFNET if spec.stages[-1] >= FIRST_STAGE_OF_ERFNET else ENCODER


def check_followers(request: Request, following: Following) -> None:
    """Raises UsageError where jobs are to follow that cannot."""
    spec, then = request.spec, following.then
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
    if pictured := [kind for kind in then if kind in (JobKind.INFER, JobKind.INFER_310)]:
        raise UsageError(
            f"--then {pictured[0]} needs pictures, and {spec.data} is a MindRecord: give --data a dataset folder"
        )
    if following.evaluate:
        raise UsageError(
            f"{spec.data} is a MindRecord of one split, and the evaluation after a training needs another: add "
            "--no-eval and use 'erfnet-jobs submit eval' then, or give --data a dataset folder"
        )


def follow_ups(request: Request, job: int | str, following: Following) -> Iterator[Request]:
    """The jobs after a training, without what they come after: its evaluation, then what uses the best weights.

    `job` is the training's id. Without an evaluation nothing says which weights are best, and the last ones are used.
    They are for the host of the training where that was named, but a 310-infer job, which other hosts run.
    """
    spec = request.spec
    if not isinstance(spec, TrainSpec):
        return
    if following.evaluate:
        every = EvalSpec(checkpoints=(f"{job}:all",), data=spec.data, network=network_of(spec), size=spec.size)
        yield _like(request, every)
    checkpoint = f"{job}:best" if following.evaluate else f"{job}:last"
    for kind in following.then:
        yield _like(request, _following_spec(kind, checkpoint, spec, following.allow_cpu))


def _following_spec(kind: JobKind, checkpoint: str, training: TrainSpec, allow_cpu: bool) -> Spec:
    data, size = training.data, training.size
    if kind == JobKind.EXPORT:
        return ExportSpec(checkpoint=checkpoint, size=size)
    if kind == JobKind.INFER:
        return InferSpec(checkpoint=checkpoint, images=data, size=size, limit=PICTURES)
    # The whole split, as the evaluation has it: the two are to be compared.
    return Infer310Spec(images=data, labels=data, checkpoint=checkpoint, size=size, allow_cpu=allow_cpu)


def _like(request: Request, spec: Spec) -> Request:
    # Devices and a time limit are meant for the training: what follows is another kind of work.
    host = None if spec.kind == JobKind.INFER_310 else request.host
    return replace(request, spec=spec, host=host, devices=None, rank_table=None, pinned=None, after=(), time_limit=None)


def input_paths(spec: Spec) -> list[tuple[str, Path, bool]]:
    """What a spec reads from disk: (option, path, whether it is a file of weights)."""
    named = [("--checkpoint", checkpoint) for checkpoint in _checkpoints(spec) if not is_reference(checkpoint)]
    found = [(option, Path(checkpoint), True) for option, checkpoint in named]
    if isinstance(spec, TrainSpec | EvalSpec):
        found.append(("--data", Path(spec.data), False))
    if isinstance(spec, InferSpec | Infer310Spec):
        found.append(("--images", Path(spec.images), False))
    if isinstance(spec, Infer310Spec):
        found += [("--model", Path(spec.model), True)] if spec.model is not None else []
        found += [("--labels", Path(spec.labels), False)] if spec.labels is not None else []
    return found


def _checkpoints(spec: Spec) -> tuple[str, ...]:
    if isinstance(spec, EvalSpec):
        return spec.checkpoints
    return () if spec.checkpoint is None else (spec.checkpoint,)


def checkpoint_references(spec: Spec) -> tuple[str, ...]:
    """The checkpoints that a spec names by id or by job."""
    return tuple(checkpoint for checkpoint in _checkpoints(spec) if is_reference(checkpoint))


def checkpoint_paths(spec: Spec) -> tuple[str, ...]:
    """The checkpoints that a spec names by path."""
    return tuple(checkpoint for checkpoint in _checkpoints(spec) if not is_reference(checkpoint))


def fault_of(option: str, path: Path, weights: bool) -> BadData | BadCheckpoint | None:
    """What is wrong with an input as this machine sees it."""
    kind = BadCheckpoint if weights else BadData
    try:
        return _fault(kind, option, path, weights)
    except OSError as error:
        return kind(f"{option} {path} cannot be read ({error.strerror}): correct the path or its permissions")


def _fault(
    kind: type[BadData | BadCheckpoint], option: str, path: Path, weights: bool
) -> BadData | BadCheckpoint | None:
    is_model = option == "--model"
    if not path.exists():
        return kind(f"{option} {path}: there is no such file or folder; correct the path")
    if weights and not path.is_file():
        wanted = (
            "a .mindir file of MindSpore Lite" if is_model else "a .ckpt file, a checkpoint's id, JOB:best or JOB:last"
        )
        return kind(f"{option} {path} is no file: name {wanted}")
    if weights and path.stat().st_size == 0:
        return kind(f"{option} {path} is empty: name a {'model' if is_model else 'checkpoint'} that is whole")
    if option == "--labels" and not path.is_dir():
        return kind(f"{option} {path} is no folder: name the dataset, or the folder of the labelIds images")
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
