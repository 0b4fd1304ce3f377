"""What can be seen of a dataset without opening its files: whether it is a MindRecord, and has the folders it needs.

Stdlib only: who submits has no NumPy. erfnet_jobs.erfnet.cityscapes says what lies in these folders.
"""

from collections.abc import Sequence
from pathlib import Path

from erfnet_jobs.errors import BadData
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.specs import EvalSpec, Spec
from erfnet_jobs.states import JobKind
from erfnet_jobs.train_spec import TrainSpec

IMAGES, LABELS = "leftImg8bit", "gtFine"


def is_mindrecord(path: Path) -> bool:
    """Whether a path is a MindRecord: its folder, a data file of it, or that file's name without shard number.

    Not where it cannot be looked at.
    """
    try:
        if path.is_dir():
            return (path / "meta.json").is_file() or any(path.glob("*.db"))
        shards = (index.stem.removeprefix(path.name) for index in path.parent.glob("*.db"))
        return any(not rest or rest.isdecimal() for rest in shards)
    except OSError:
        return False


def folders_of(spec: Spec, evaluate: bool = False, then: Sequence[JobKind] = ()) -> tuple[str, ...]:
    """The folders that a spec and what follows it read of a dataset in Cityscapes' layout, relative to it."""
    if isinstance(spec, EvalSpec):
        return f"{IMAGES}/{spec.split}", f"{LABELS}/{spec.split}"
    if not isinstance(spec, TrainSpec):
        return ()
    folders = [f"{IMAGES}/train", f"{LABELS}/train"]
    if evaluate or JobKind.INFER_310 in then:
        folders += [f"{IMAGES}/val", f"{LABELS}/val"]
    elif JobKind.INFER in then:
        folders.append(f"{IMAGES}/val")
    return tuple(folders)


def data_fault(spec: Spec, evaluate: bool = False, then: Sequence[JobKind] = ()) -> BadData | None:
    """What keeps a job from reading its dataset, as this machine sees it; None if nothing.

    `evaluate` and `then` are what follows a training.
    """
    try:
        match spec:
            case TrainSpec() | EvalSpec():
                return _fault(spec, evaluate, then)
            case Infer310Spec():
                return _fault_310(spec)
            case _:
                return None
    except OSError as error:
        return BadData(f"{error.filename} cannot be read ({error.strerror}): correct the path or its permissions")


def _fault(spec: TrainSpec | EvalSpec, evaluate: bool, then: Sequence[JobKind]) -> BadData | None:
    root = Path(spec.data)
    if is_mindrecord(root):
        return None
    missing = [name for name in folders_of(spec, evaluate, then) if not (root / name).is_dir()]
    if not missing:
        return None
    why = f"{root} has no {', '.join(missing)}: give a dataset in Cityscapes' layout, or a MindRecord"
    only_val = evaluate and JobKind.INFER_310 not in then and f"{IMAGES}/train" not in missing
    return BadData(why + ("; or add --no-eval, which needs no val" if only_val else ""))


def _fault_310(spec: Infer310Spec) -> BadData | None:
    """Of a dataset in Cityscapes' layout the split must be there; flat folders have none."""
    for text, kind in ((spec.images, IMAGES), (spec.labels, LABELS)):
        if text is not None and Path(text, kind).is_dir() and not Path(text, kind, spec.split).is_dir():
            return BadData(f"{text} has no {kind}/{spec.split}: correct the path, or name another split with --split")
    return None
