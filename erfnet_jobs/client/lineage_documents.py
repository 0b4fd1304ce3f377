"""What came of a checkpoint, and how far other engines' figures of it are apart, as JSON documents."""

from collections.abc import Iterable, Mapping

from erfnet_jobs.client.document import Document
from erfnet_jobs.client.model_documents import artifact_document, checkpoint_document, evaluation_document
from erfnet_jobs.registry.engine_differences import CLASS_LIMIT, MEAN_LIMIT, Difference, differences_of
from erfnet_jobs.registry.lineage import Lineage, Model
from erfnet_jobs.registry.tables import Evaluation


def checkpoint_lineage(lineage: Lineage) -> Document:
    """`checkpoint_document` and all its evaluations, the models made of it, and the differences between engines.

    `lineage` is a tree that names evaluations by their id.
    """
    evaluations = sorted((*lineage.evaluations, *_measured(lineage.models)), key=lambda one: one.id)
    return {
        **checkpoint_document(lineage.checkpoint),
        "evaluations": [evaluation_document(evaluation) for evaluation in evaluations],
        "lineage": {
            "evaluations": [evaluation.id for evaluation in lineage.evaluations],
            "models": [_model(model, lineage.precisions) for model in lineage.models],
        },
        "differences": [_difference(difference, lineage.data) for difference in differences_of(lineage)],
    }


def _measured(models: Iterable[Model]) -> list[Evaluation]:
    return [one for model in models for one in (*model.evaluations, *_measured(model.converted))]


def _model(model: Model, precisions: Mapping[int, str]) -> Document:
    newest = artifact_document(model.files[0]) if model.files else {}
    return {
        "sha256": model.sha256,
        **{name: newest.get(name) for name in ("format", "size", "difference", "made_from")},
        "files": [
            {name: file[name] for name in ("artifact", "path", "job", "created_at")}
            for file in map(artifact_document, model.files)
        ],
        "evaluations": [
            {"evaluation": evaluation.id, "precision": precisions.get(evaluation.job_id)}
            for evaluation in model.evaluations
        ],
        "converted": [_model(child, precisions) for child in model.converted],
    }


def _difference(difference: Difference, data: Mapping[int, str]) -> Document:
    return {
        "evaluation": difference.evaluation.id,
        "reference": difference.reference.id if difference.reference else None,
        "engine": difference.evaluation.engine,
        "model_sha256": difference.evaluation.model_sha256,
        "precision": difference.precision,
        "data": data.get(difference.evaluation.job_id),
        "mean_iou": difference.mean_iou,
        "iou_class": list(difference.iou_class),
        "limits": {"mean_iou": MEAN_LIMIT, "iou_class": CLASS_LIMIT},
        "exceeds": difference.exceeds,
    }
