"""Rows of the registry as JSON documents with stable keys: what the client returns and what `--json` prints.

Times are ISO 8601 in UTC, sizes bytes, durations seconds, fractions 0 to 1. Nothing is left out: what is not known is
null.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from erfnet_jobs.registry.evaluations import BestResult, BestRow
from erfnet_jobs.registry.hosts import HostSummary
from erfnet_jobs.registry.metrics import Value
from erfnet_jobs.registry.status import JobDetails
from erfnet_jobs.registry.tables import (
    Artifact,
    Attempt,
    Checkpoint,
    Evaluation,
    Event,
    Job,
    LogTail,
    Placement,
)
from erfnet_jobs.specs import Spec, known_spec
from erfnet_jobs.train_spec import TrainSpec

Document = dict[str, Any]


def time_text(at: datetime | None) -> str | None:
    """ISO 8601 in UTC, whole seconds, with Z."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def job_document(job: Job) -> Document:
    """A job: what was asked for, its state and why, and how far its newest attempt is."""
    return {
        "id": job.id,
        "kind": job.kind,
        "name": job.name,
        "state": job.state,
        "reason": job.reason,
        "cards": job.cards,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "time_limit": job.time_limit,
        "priority": job.priority,
        "hosts": job.placed_on.split(", ") if job.placed_on else [],
        "cancel_requested": job.cancel_requested,
        "progress": job.fraction,
        "phase": job.phase,
        "stage": job.stage,
        "epoch": job.epoch,
        "epochs": job.epochs,
        "step": job.step,
        "steps": job.steps,
        "loss": job.loss,
        "lr": job.lr,
        "mean_iou": job.mean_iou,
        "images_per_second": job.images_per_second,
        "eta_seconds": job.eta_seconds,
        "created_at": time_text(job.created_at),
        "started_at": time_text(job.started_at),
        "ended_at": time_text(job.ended_at),
        "not_before": time_text(job.not_before),
        "group": job.group_id,
        "wanted_host": job.host_name,
        "wanted_devices": json.loads(job.devices) if job.devices else None,
        "user": f"{job.user_name}@{job.user_host}",
        "spec": json.loads(job.spec),
    }


def attempt_document(attempt: Attempt, placements: Iterable[Placement]) -> Document:
    """An attempt: where it ran, how it ended, and which rank failed first."""
    own = [placement for placement in placements if placement.attempt == attempt.number]
    return {
        "number": attempt.number,
        "outcome": attempt.outcome,
        "reason": attempt.reason,
        "error": attempt.error,
        "permanent": attempt.permanent,
        "failed_rank": attempt.failed_rank,
        "exit_code": attempt.exit_code,
        "signal": attempt.signal,
        "last_lines": attempt.last_lines,
        "run_dir": attempt.run_dir,
        "resumed_from": attempt.resumed_from,
        "placements": [
            {
                "host": placement.host_name,
                "devices": json.loads(placement.devices),
                "first_rank": placement.first_rank,
                "state": placement.state,
            }
            for placement in own
        ],
        "created_at": time_text(attempt.created_at),
        "started_at": time_text(attempt.started_at),
        "ended_at": time_text(attempt.ended_at),
    }


def event_document(event: Event) -> Document:
    """A line of the audit log."""
    user = f"{event.user_name}@{event.user_host}" if event.user_name else None
    return {
        "id": event.id,
        "at": time_text(event.at),
        "kind": event.kind,
        "text": event.text,
        "job": event.job_id,
        "attempt": event.attempt,
        "host": event.host_name,
        "user": user,
    }


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


def tail_document(tail: LogTail) -> Document:
    """The end of a rank's log, and where the whole of it is."""
    return {
        "job": tail.job_id,
        "attempt": tail.attempt,
        "rank": tail.rank,
        "host": tail.host_name,
        "path": tail.path,
        "text": tail.text,
        "bytes": tail.log_bytes,
    }


def training_document(spec: Spec | None, steps: int | None = None, lr: float | None = None) -> Document | None:
    """How a training steps: batch over all cards, and learning rates; None for other kinds of job, and unknown specs.

    `steps` of an epoch and `lr` are those that it has now, where it runs.
    """
    if not isinstance(spec, TrainSpec):
        return None
    return {
        "cards": spec.cards,
        "batch_size": spec.batch_size,
        "global_batch": spec.global_batch,
        "steps_per_epoch": steps,
        "lr": lr,
        "first_lr": spec.first_lr,
        "base_lr": spec.base_lr,
        "scale_lr": spec.lr_scaling,
    }


def details_document(details: JobDetails) -> Document:
    """Everything about a job: `job_document` and lists of what belongs to it; events oldest first."""
    failure = details.first_failure
    return {
        **job_document(details.job),
        "training": training_document(known_spec(details.job.spec), details.job.steps, details.job.lr),
        "needs": list(details.needs),
        "needed_by": list(details.needed_by),
        "attempts": [attempt_document(attempt, details.placements) for attempt in details.attempts],
        "events": [event_document(event) for event in reversed(details.events)],
        "checkpoints": [checkpoint_document(checkpoint) for checkpoint in details.checkpoints],
        "evaluations": [evaluation_document(evaluation) for evaluation in details.evaluations],
        "artifacts": [artifact_document(artifact) for artifact in details.artifacts],
        "first_failure": None if failure is None else tail_document(failure),
        "logs": [{**tail_document(tail), "text": None} for tail in details.tails],
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


def value_document(value: Value) -> Document:
    """A metric's value at a global step of a stage."""
    return {
        "name": value.name,
        "value": value.value,
        "attempt": value.attempt,
        "stage": value.stage,
        "epoch": value.epoch,
        "step": value.step,
    }


def _host_state(host: HostSummary, lease_timeout: float) -> str:
    if host.stopped_at:
        return "stopped"
    if host.silence > lease_timeout:
        return "silent"
    return "drained" if host.drained else "up"


def host_document(host: HostSummary, lease_timeout: float) -> Document:
    """A machine with a worker, its devices and the jobs on them. `seen_at` is its worker's newest beat.

    `state` is 'up', 'drained', 'stopped', or 'silent' where that beat is older than `lease_timeout` seconds; a host
    that is stopped or silent may be drained as well.
    """
    return {
        "name": host.name,
        "address": host.address,
        "state": _host_state(host, lease_timeout),
        "drained": host.drained,
        "version": host.version,
        "storage": host.storage_id,
        "family": host.family,
        "driver": host.driver,
        "cann": host.cann,
        "trouble": host.trouble,
        "seen_at": time_text(host.seen_at),
        "registered_at": time_text(host.registered_at),
        "usable": len(host.usable),
        "free": len(host.free),
        "jobs": sorted({device.job for device in host.devices if device.job is not None}),
        "devices": [
            {
                "id": device.id,
                "kind": device.kind,
                "name": device.name,
                "generation": device.generation,
                "health": device.health,
                "error_code": device.error_code,
                "present": device.present,
                "usable": device.usable,
                "busy": device.busy,
                "cordoned": device.cordoned,
                "npu_id": device.npu_id,
                "chip_id": device.chip_id,
                "physical_id": device.physical_id,
                "memory": device.memory,
                "device_ip": device.device_ip,
                "link": device.link,
                "job": device.job,
            }
            for device in host.devices
        ],
    }
