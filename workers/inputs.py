"""What a job reads: its checkpoints as files, where a training goes on, and whether all of it is on this host."""

import logging
from dataclasses import replace
from pathlib import Path

from sqlalchemy.orm import Session

from erfnet_jobs.client.data_folders import data_fault
from erfnet_jobs.errors import BadCheckpoint, BadData
from erfnet_jobs.files import sha256_of
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.plan import CheckpointFile
from erfnet_jobs.registry.checkpoints import resolve_checkpoints, resumable
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.spec_checks import is_reference
from erfnet_jobs.specs import EvalSpec, ExportSpec, InferSpec, Spec
from erfnet_jobs.train_spec import TrainSpec

log = logging.getLogger(__name__)


def named_checkpoints(session: Session, spec: Spec) -> tuple[CheckpointFile, ...]:
    """The files of the checkpoints that a spec names, each once; raises NotFound."""
    match spec:
        case TrainSpec(checkpoint=None) | Infer310Spec(checkpoint=None):
            return ()
        case EvalSpec():
            return _to_evaluate(session, spec)
        case TrainSpec() | ExportSpec() | InferSpec() | Infer310Spec():
            return tuple(resolve_checkpoints(session, str(spec.checkpoint)))


def _to_evaluate(session: Session, spec: EvalSpec) -> tuple[CheckpointFile, ...]:
    found: dict[str, CheckpointFile] = {}
    for name in spec.checkpoints:
        optional = is_reference(name) and name.endswith(":all")
        for file in resolve_checkpoints(session, name, spec.network):
            known = found.get(file.path, file)
            found[file.path] = replace(file, optional=optional and (known is file or known.optional))
    return tuple(found.values())


def newest_on_disk(registry: Registry, job: int) -> CheckpointFile | None:
    """Where the next attempt of a training goes on: its newest checkpoint that this host still has whole.

    Files are read to their ends, so this is not to be asked within a transaction.
    """
    with registry.read() as session:
        found = resumable(session, job)
    return next((file for file, size in found if _is_whole(file, size)), None)


def _is_whole(file: CheckpointFile, size: int) -> bool:
    path = Path(file.path)
    try:
        if not path.is_file():
            return False
        whole = path.stat().st_size == size and sha256_of(path) == file.sha256
    except OSError as error:
        log.warning("checkpoint %s cannot be read here (%s)", path, error.strerror)
        return False
    if not whole:
        log.warning("checkpoint %s is damaged: an older one is taken", path)
    return whole


def check_paths(spec: Spec, inputs: tuple[CheckpointFile, ...]) -> None:
    """Raise BadData or BadCheckpoint, saying what is missing on this host."""
    if isinstance(spec, TrainSpec | EvalSpec):
        _exists(spec.data, "dataset")
    if isinstance(spec, InferSpec | Infer310Spec):
        _exists(spec.images, "images")
    if isinstance(spec, Infer310Spec):
        named = ((spec.model, "model"), (spec.labels, "labels"))
        for path, what in named:
            if path is not None:
                _exists(path, what)
    if unfit := data_fault(spec):
        raise unfit
    faults = [fault for checkpoint in inputs if (fault := _fault_of(Path(checkpoint.path)))]
    # An evaluation measures what it can, and tells of the others at its end.
    if faults and (not isinstance(spec, EvalSpec) or len(faults) == len(inputs)):
        raise faults[0]


def _exists(text: str, what: str) -> None:
    remedy = "correct the path, or name a host that has it with --host"
    try:
        found = Path(text).exists()
    except OSError as error:
        raise BadData(f"{what} {text} cannot be read here ({error.strerror}): {remedy}") from error
    if not found:
        raise BadData(f"{what} {text} is not there: {remedy}")


def _fault_of(path: Path) -> BadCheckpoint | None:
    remedy = "name another, or a host that has it with --host"
    try:
        size = path.stat().st_size if path.is_file() else None
    except OSError as error:
        return BadCheckpoint(f"checkpoint {path} cannot be read here ({error.strerror}): {remedy}")
    if size is None:
        return BadCheckpoint(f"checkpoint {path} is not there: {remedy}")
    if size == 0:
        return BadCheckpoint(f"checkpoint {path} is empty: name one that is whole")
    return None
