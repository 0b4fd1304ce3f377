"""Where a model came from, and what became of it: checkpoint, exported model, converted model, evaluations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.choices import EXPORT_FORMATS
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.registry.tables import Artifact, Checkpoint, Evaluation, Job
from erfnet_jobs.specs import known_spec


@dataclass(frozen=True)
class Model:
    """A model by its hash: its files, newest first; what was measured of it, oldest first; what was converted from it.

    Where the registry has evaluations of a model and no file, `files` is empty.
    """

    sha256: str
    files: tuple[Artifact, ...]
    evaluations: tuple[Evaluation, ...]
    converted: tuple["Model", ...]


@dataclass(frozen=True)
class Lineage:
    """What came of a checkpoint. `evaluations` are of the network itself.

    By the jobs that measured models: `precisions` are those asked for, `data` the datasets, where they were whole ones.
    """

    checkpoint: Checkpoint
    evaluations: tuple[Evaluation, ...]
    models: tuple[Model, ...]
    precisions: Mapping[int, str]
    data: Mapping[int, str]


def checkpoint_of_model(session: Session, sha256: str) -> Checkpoint | None:
    """The checkpoint that a model of this hash came of, by the newest export that wrote it; None where none did."""
    came_of = select(Artifact.checkpoint_id).where(Artifact.sha256 == sha256, Artifact.checkpoint_id.is_not(None))
    newest = session.scalars(came_of.order_by(Artifact.id.desc()).limit(1)).one_or_none()
    return None if newest is None else session.get(Checkpoint, newest)


def lineage_of(session: Session, checkpoint: Checkpoint) -> Lineage:
    """Everything that was exported, converted and measured of a checkpoint."""
    made = select(Artifact).where(Artifact.checkpoint_id == checkpoint.id, Artifact.format.in_(EXPORT_FORMATS))
    files = session.scalars(made.order_by(Artifact.id)).all()
    of_checkpoint = select(Evaluation).where(Evaluation.checkpoint_id == checkpoint.id)
    measured = session.scalars(of_checkpoint.order_by(Evaluation.id)).all()
    converted = [evaluation for evaluation in measured if evaluation.model_sha256 is not None]
    specs = _specs(session, {evaluation.job_id for evaluation in converted})
    return Lineage(
        checkpoint=checkpoint,
        evaluations=tuple(evaluation for evaluation in measured if evaluation.model_sha256 is None),
        models=_models(files, converted),
        precisions={job: spec.precision for job, spec in specs.items()},
        data={job: spec.images for job, spec in specs.items() if spec.images == spec.labels},
    )


def _models(files: Sequence[Artifact], evaluations: Iterable[Evaluation]) -> tuple[Model, ...]:
    """The models that came of no other known one, in order of their first file; each holds what was made from it."""
    of_hash: dict[str, list[Artifact]] = {}
    for file in files:
        of_hash.setdefault(file.sha256, []).insert(0, file)
    measured: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        measured.setdefault(evaluation.model_sha256 or "", []).append(evaluation)
    parents = {sha256: _parent(sha256, own, of_hash) for sha256, own in of_hash.items()}

    def model(sha256: str) -> Model:
        children = (model(child) for child, parent in parents.items() if parent == sha256)
        return Model(sha256, tuple(of_hash.get(sha256, ())), tuple(measured.get(sha256, ())), tuple(children))

    roots = [sha256 for sha256, parent in parents.items() if parent is None]
    return tuple(model(sha256) for sha256 in (*roots, *(sha256 for sha256 in measured if sha256 not in of_hash)))


def _parent(sha256: str, files: Iterable[Artifact], known: Mapping[str, object]) -> str | None:
    sources = (file.made_from for file in files)
    return next((source for source in sources if source in known and source != sha256), None)


def _specs(session: Session, jobs: Iterable[int]) -> dict[int, Infer310Spec]:
    specs = session.execute(select(Job.id, Job.spec).where(Job.id.in_(jobs)))
    known = {number: known_spec(spec) for number, spec in specs}
    return {number: spec for number, spec in known.items() if isinstance(spec, Infer310Spec)}
