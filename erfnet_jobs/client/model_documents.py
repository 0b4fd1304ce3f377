"""Checkpoints, files and evaluations as JSON documents; their keys are stable."""

import json

from erfnet_jobs.client.document import Document, time_text
from erfnet_jobs.registry.evaluations import BestResult, BestRow
from erfnet_jobs.registry.tables import Artifact, Checkpoint, Evaluation


def checkpoint_document(checkpoint: Checkpoint) -> Document:
    """Weights on disk."""
    return {
        "checkpoint": checkpoint.id,
        "path": checkpoint.path,
        "job": checkpoint.job_id,
        "attempt": checkpoint.attempt,
        "network": checkpoint.network,
        "stage": checkpoint.stage,
        "epoch": checkpoint.epoch,
        "step": checkpoint.step,
        "sha256": checkpoint.sha256,
        "size": checkpoint.size,
        "origin": checkpoint.origin,
        "source": checkpoint.source,
        "created_at": time_text(checkpoint.created_at),
        "removed_at": time_text(checkpoint.removed_at),
    }


def artifact_document(artifact: Artifact) -> Document:
    """A file that a job made."""
    return {
        "artifact": artifact.id,
        "format": artifact.format,
        "path": artifact.path,
        "job": artifact.job_id,
        "attempt": artifact.attempt,
        "checkpoint": artifact.checkpoint_id,
        "sha256": artifact.sha256,
        "size": artifact.size,
        "difference": artifact.difference,
        "made_from": artifact.made_from,
        "created_at": time_text(artifact.created_at),
    }


def evaluation_document(evaluation: Evaluation) -> Document:
    """Metrics of one checkpoint on one dataset; `iou_class` has 19 entries in trainId order, `iou_category` 7.

    `model_sha256` is the converted model that `engine` ran, null where the checkpoint's network itself was measured.
    """
    return {
        "evaluation": evaluation.id,
        "checkpoint": evaluation.checkpoint_id,
        "path": evaluation.checkpoint_path,
        "job": evaluation.job_id,
        "attempt": evaluation.attempt,
        "dataset_hash": evaluation.dataset_hash,
        "split": evaluation.split,
        "protocol": evaluation.protocol,
        "height": evaluation.height,
        "width": evaluation.width,
        "engine": evaluation.engine,
        "images": evaluation.images,
        "mean_iou": evaluation.mean_iou,
        "mean_iou_19": evaluation.mean_iou_19,
        "pixel_accuracy": evaluation.pixel_accuracy,
        "mean_loss": evaluation.mean_loss,
        "iou_class": json.loads(evaluation.iou_class),
        "mean_iou_category": evaluation.mean_iou_category,
        "iou_category": json.loads(evaluation.iou_category) if evaluation.iou_category else None,
        "model_sha256": evaluation.model_sha256,
        "images_per_second": evaluation.images_per_second,
        "created_at": time_text(evaluation.created_at),
    }


def _best_row(metric: str, row: BestRow) -> Document:
    evaluation = evaluation_document(row.evaluation)
    places = ("dataset_hash", "split", "protocol", "height", "width", "engine", "images")
    measures = (
        "mean_iou",
        "mean_iou_19",
        "pixel_accuracy",
        "mean_loss",
        "iou_class",
        "mean_iou_category",
        "iou_category",
    )
    return {
        "checkpoint": row.checkpoint,
        "path": row.path,
        "job": row.job,
        "metric": metric,
        "value": row.value,
        "attempt": row.attempt,
        "stage": row.stage,
        "epoch": row.epoch,
        "step": row.step,
        "evaluation": evaluation["evaluation"],
        "evaluated_by": evaluation["job"],
        **{name: evaluation[name] for name in (*places, *measures)},
    }


def best_documents(result: BestResult) -> list[Document]:
    """The best checkpoints, best first; all were measured on one dataset, split, protocol and size."""
    return [_best_row(result.metric, row) for row in result.rows]
