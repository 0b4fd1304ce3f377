"""Rows of weights and what was made of them: checkpoints, exported and converted models, evaluations."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from erfnet_jobs.plan import Plan
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.given import record_given
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.lineage import checkpoint_of_model
from erfnet_jobs.registry.tables import Artifact, Checkpoint, Evaluation, Job, Metric
from erfnet_jobs.registry.text import finite, printable
from erfnet_jobs.reports import ArtifactWritten, CheckpointRemoved, CheckpointWritten, Evaluated
from erfnet_jobs.specs import known_spec
from workers.own_figure import is_own_figure


class ModelRows:
    """Stores what one attempt reports of weights. `storage_id` is where its files lie."""

    def __init__(self, plan: Plan, storage_id: str | None) -> None:
        self._plan = plan
        self._storage_id = storage_id
        self._job, self._attempt = plan.job or 0, plan.attempt

    def checkpoint(self, session: Session, report: CheckpointWritten) -> None:
        """The row of a new checkpoint, which other attempts may need from now on."""
        row = {
            "job_id": self._job,
            "attempt": self._attempt,
            "network": printable(report.network),
            "stage": report.stage,
            "epoch": report.epoch,
            "step": report.step,
            "path": self._path(report.path),
            "sha256": report.sha256,
            "size": report.size,
            "origin": "train",
            "created_at": now(session),
        }
        insert_new(session, Checkpoint, [row])
        # From now on another attempt needs the files of this one.
        own = update(Job).where(Job.id == self._job, Job.attempt == self._attempt, Job.storage_id.is_(None))
        session.execute(own.values(storage_id=self._storage_id).execution_options(synchronize_session=False))

    def removed(self, session: Session, report: CheckpointRemoved) -> None:
        """Say of a checkpoint that it has left the disk."""
        session.execute(
            update(Checkpoint)
            .where(Checkpoint.job_id == self._job, Checkpoint.attempt == self._attempt)
            .where(Checkpoint.path == self._path(report.path), Checkpoint.removed_at.is_(None))
            .values(removed_at=now(session))
        )

    def evaluation(self, session: Session, report: Evaluated) -> None:
        """The row of an evaluation; the job's mean IoU, and that of the training where it is its own figure."""
        checkpoint = _recorded(session, report.checkpoint_id) or _exported_as(session, report.model_sha256)
        session.add(
            Evaluation(
                job_id=self._job,
                attempt=self._attempt,
                checkpoint_id=checkpoint.id if checkpoint else None,
                checkpoint_path=self._path(report.checkpoint_path),
                dataset_hash=report.dataset_hash,
                split=printable(report.split),
                protocol=printable(report.protocol),
                height=report.height,
                width=report.width,
                engine=printable(report.engine),
                images=report.images,
                mean_iou=report.mean_iou,
                mean_iou_19=report.mean_iou_19,
                pixel_accuracy=report.pixel_accuracy,
                mean_loss=report.mean_loss,
                iou_class=json.dumps(report.iou_class),
                mean_iou_category=report.mean_iou_category,
                iou_category=None if report.iou_category is None else json.dumps(report.iou_category),
                model_sha256=report.model_sha256,
                images_per_second=finite(report.images_per_second),
                created_at=now(session),
            )
        )
        session.flush()
        _best_so_far(session, self._job, report.mean_iou)
        if checkpoint is not None and checkpoint.job_id is not None:
            training = known_spec(get_job(session, checkpoint.job_id).spec)
            if is_own_figure(training, self._plan.spec, report):
                _best_so_far(session, checkpoint.job_id, report.mean_iou)

    def artifact(self, session: Session, report: ArtifactWritten) -> None:
        """The row of a file, with the checkpoint that it came of."""
        checkpoint = (
            _recorded(session, report.checkpoint_id)
            or self._given(session, report)
            or _exported_as(session, report.made_from)
        )
        session.add(
            Artifact(
                job_id=self._job,
                attempt=self._attempt,
                checkpoint_id=checkpoint.id if checkpoint else None,
                format=printable(report.format),
                path=self._path(report.path),
                sha256=report.sha256,
                size=report.size,
                difference=finite(report.difference),
                made_from=report.made_from,
                created_at=now(session),
            )
        )
        session.flush()

    def _given(self, session: Session, report: ArtifactWritten) -> Checkpoint | None:
        """The checkpoint of an exported model that was named by path, as it was read."""
        path, sha256, size, network = (
            report.checkpoint_path,
            report.checkpoint_sha256,
            report.checkpoint_size,
            report.network,
        )
        if path is None or sha256 is None or size is None or network is None:
            return None
        return record_given(session, self._path(path), network, sha256, size)

    def _path(self, path: str) -> str:
        return printable(os.path.normpath(Path(self._plan.run_dir, path)))


def _recorded(session: Session, checkpoint_id: int | None) -> Checkpoint | None:
    return None if checkpoint_id is None else session.get(Checkpoint, checkpoint_id)


def _exported_as(session: Session, model_sha256: str | None) -> Checkpoint | None:
    return None if model_sha256 is None else checkpoint_of_model(session, model_sha256)


def _best_so_far(session: Session, job: int, mean_iou: float) -> None:
    session.execute(
        update(Job)
        .where(Job.id == job, or_(Job.mean_iou.is_(None), Job.mean_iou < mean_iou))
        .values(mean_iou=mean_iou)
        .execution_options(synchronize_session=False)
    )


def insert_new(session: Session, table: type[Metric] | type[Checkpoint], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; those that are there already stay as they are."""
    dialect = session.get_bind().dialect.name
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    session.execute(insert.on_conflict_do_nothing(), rows)
