"""Reports into rows: what the ranks of one host wrote, exactly once, with the file offsets in the same transaction."""

import json
import logging
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from erfnet_jobs.plan import Plan
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.given import record_given
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.tables import Artifact, Checkpoint, Evaluation, Job, LogTail, Metric
from erfnet_jobs.registry.text import printable
from erfnet_jobs.reports import (
    ArtifactWritten,
    CheckpointRemoved,
    CheckpointWritten,
    Evaluated,
    Hello,
    Phase,
    Progress,
    Report,
)
from erfnet_jobs.reports import Metric as MetricReport
from erfnet_jobs.specs import known_spec
from workers.own_figure import is_own_figure
from workers.rank_files import log_end, read_block

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """What one transaction stored: the ranks that said hello in it, and whether there is more to read."""

    hellos: frozenset[int]
    more: bool


class Records:
    """Stores what the ranks of one part report. `storage_id` is where their files lie."""

    def __init__(self, plan: Plan, host: str, storage_id: str | None) -> None:
        self._plan = plan
        self._host = host
        self._storage_id = storage_id
        self._job, self._attempt = plan.job or 0, plan.attempt
        self._ranks = tuple(place.rank for place in plan.on_host(host))

    def store(self, session: Session) -> Batch:
        """New whole lines as rows, and the ends of the logs; the caller holds the lease in this transaction."""
        tails = self._tails(session)
        reports: list[tuple[int, Report]] = []
        more = False
        for rank, row in tails.items():
            block = read_block(self._plan.report_path(rank), rank, row.report_bytes)
            row.report_bytes = block.end
            reports += [(rank, report) for report in block.reports]
            more = more or block.more
        self._apply(session, reports)
        for rank, row in tails.items():
            self._renew_tail(row, self._plan.log_path(rank))
        hellos = frozenset(rank for rank, report in reports if isinstance(report, Hello))
        return Batch(hellos, more)

    def _tails(self, session: Session) -> dict[int, LogTail]:
        mine = select(LogTail).where(LogTail.job_id == self._job, LogTail.attempt == self._attempt)
        found = {row.rank: row for row in session.scalars(mine) if row.rank in self._ranks}
        for rank in self._ranks:
            if rank not in found:
                path = printable(str(self._plan.log_path(rank)))
                row = LogTail(
                    job_id=self._job, attempt=self._attempt, rank=rank, host_name=self._host, path=path, report_bytes=0
                )
                row.log_bytes, row.text = 0, ""
                session.add(row)
                found[rank] = row
        session.flush()
        return dict(sorted(found.items()))

    def _renew_tail(self, row: LogTail, path: Path) -> None:
        size = path.stat().st_size if path.exists() else 0
        if size != row.log_bytes:
            row.log_bytes, row.text = size, printable(log_end(path))

    def _apply(self, session: Session, reports: Sequence[tuple[int, Report]]) -> None:
        """All at once; where the database refuses that, one by one, and without those that it refuses."""
        try:
            with session.begin_nested():
                self._rows(session, reports)
        except (OperationalError, InterfaceError):
            raise
        except (SQLAlchemyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            if len(reports) == 1:
                log.warning("rank %d: the registry refuses %s: %s", *reports[0], str(error).splitlines()[0])
                return
            for report in reports:
                self._apply(session, [report])

    def _rows(self, session: Session, reports: Sequence[tuple[int, Report]]) -> None:
        self._metrics(session, [report for _, report in reports if isinstance(report, MetricReport)])
        self._how_far(session, [report for rank, report in reports if rank == 0])
        for _, report in reports:
            match report:
                case CheckpointWritten():
                    self._checkpoint(session, report)
                case CheckpointRemoved():
                    self._removed(session, report)
                case Evaluated():
                    self._evaluation(session, report)
                case ArtifactWritten():
                    self._artifact(session, report)

    def _how_far(self, session: Session, reports: Iterable[Report]) -> None:
        columns: dict[str, Any] = {}
        for report in reports:
            match report:
                case Progress():
                    columns.update(_progress(report))
                case Phase():
                    columns.update(phase=_phase(report), eta_seconds=_finite(report.eta_seconds))
        if columns:
            session.execute(self._own_job().values(**columns).execution_options(synchronize_session=False))

    def _own_job(self) -> Any:
        return update(Job).where(Job.id == self._job, Job.attempt == self._attempt)

    def _path(self, path: str) -> str:
        return printable(os.path.normpath(Path(self._plan.run_dir, path)))

    def _metrics(self, session: Session, reports: Iterable[MetricReport]) -> None:
        rows = [
            {
                "job_id": self._job,
                "name": printable(name),
                "attempt": self._attempt,
                "stage": report.stage,
                "step": report.step,
                "epoch": report.epoch,
                "value": value,
            }
            for report in reports
            for name, value in report.values.items()
            if math.isfinite(value)
        ]
        if rows:
            _insert_new(session, Metric, rows)

    def _checkpoint(self, session: Session, report: CheckpointWritten) -> None:
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
        _insert_new(session, Checkpoint, [row])
        # From now on another attempt needs the files of this one.
        here = self._own_job().where(Job.storage_id.is_(None)).values(storage_id=self._storage_id)
        session.execute(here.execution_options(synchronize_session=False))

    def _removed(self, session: Session, report: CheckpointRemoved) -> None:
        session.execute(
            update(Checkpoint)
            .where(Checkpoint.job_id == self._job, Checkpoint.attempt == self._attempt)
            .where(Checkpoint.path == self._path(report.path), Checkpoint.removed_at.is_(None))
            .values(removed_at=now(session))
        )

    def _evaluation(self, session: Session, report: Evaluated) -> None:
        checkpoint = session.get(Checkpoint, report.checkpoint_id) if report.checkpoint_id is not None else None
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
                images_per_second=_finite(report.images_per_second),
                created_at=now(session),
            )
        )
        session.flush()
        self._best_so_far(session, self._job, report.mean_iou)
        if checkpoint is not None and checkpoint.job_id is not None:
            training = known_spec(get_job(session, checkpoint.job_id).spec)
            if is_own_figure(training, self._plan.spec, report):
                self._best_so_far(session, checkpoint.job_id, report.mean_iou)

    def _best_so_far(self, session: Session, job: int, mean_iou: float) -> None:
        session.execute(
            update(Job)
            .where(Job.id == job, or_(Job.mean_iou.is_(None), Job.mean_iou < mean_iou))
            .values(mean_iou=mean_iou)
            .execution_options(synchronize_session=False)
        )

    def _artifact(self, session: Session, report: ArtifactWritten) -> None:
        checkpoint = session.get(Checkpoint, report.checkpoint_id) if report.checkpoint_id is not None else None
        checkpoint = checkpoint or self._given(session, report)
        session.add(
            Artifact(
                job_id=self._job,
                attempt=self._attempt,
                checkpoint_id=checkpoint.id if checkpoint else None,
                format=printable(report.format),
                path=self._path(report.path),
                sha256=report.sha256,
                size=report.size,
                difference=_finite(report.difference),
                made_from=report.made_from,
                created_at=now(session),
            )
        )

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


def _insert_new(session: Session, table: type[Metric] | type[Checkpoint], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; those that are there already stay as they are."""
    dialect = session.get_bind().dialect.name
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    session.execute(insert.on_conflict_do_nothing(), rows)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _progress(report: Progress) -> dict[str, Any]:
    """The columns of a job that tell how far it is."""
    return {
        "fraction": _finite(report.fraction),
        "stage": report.stage,
        "epoch": report.epoch,
        "epochs": report.epochs,
        "step": report.step,
        "steps": report.steps,
        "loss": _finite(report.loss),
        "lr": _finite(report.lr),
        "images_per_second": _finite(report.images_per_second),
        "eta_seconds": _finite(report.eta_seconds),
    }


def _phase(report: Phase) -> str:
    done = f" {report.done} of {report.total}" if report.done is not None and report.total else ""
    return printable(f"{report.name}{done}")
