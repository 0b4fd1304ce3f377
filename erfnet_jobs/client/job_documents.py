"""Jobs and what happened to them as JSON documents; their keys are stable."""

import json
from collections.abc import Iterable

from erfnet_jobs.client.document import Document, time_text
from erfnet_jobs.client.model_documents import artifact_document, checkpoint_document, evaluation_document
from erfnet_jobs.registry.metrics import Value
from erfnet_jobs.registry.status import JobDetails
from erfnet_jobs.registry.tables import (
    Attempt,
    Event,
    Job,
    LogTail,
    Placement,
)
from erfnet_jobs.specs import Spec, known_spec
from erfnet_jobs.train_spec import TrainSpec


def job_document(job: Job, wait: float | None = None) -> Document:
    """A job: what was asked for, its state and why, and how far its newest attempt is.

    `wait`: in how many seconds what it needs is first free, or the jobs that it waits for have ended, where known.
    """
    return {
        "id": job.id,
        "kind": job.kind,
        "name": job.name,
        "state": job.state,
        "reason": job.reason,
        "wait_seconds": wait,
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


def details_document(details: JobDetails, wait: float | None = None) -> Document:
    """Everything about a job: `job_document` and lists of what belongs to it; events oldest first."""
    failure = details.first_failure
    return {
        **job_document(details.job, wait),
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
