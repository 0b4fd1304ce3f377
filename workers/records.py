"""Reports into rows: what the ranks of one host wrote, exactly once, with the file offsets in the same transaction."""

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from erfnet_jobs.plan import Plan
from erfnet_jobs.registry.tables import Job, LogTail, Metric
from erfnet_jobs.registry.text import finite, printable
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
from workers.model_rows import ModelRows, insert_new
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
        self._models = ModelRows(plan, storage_id)
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
        if path.exists() and path.stat().st_size != row.log_bytes:
            end = log_end(path)
            row.log_bytes, row.text = end.size, end.text

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
                    self._models.checkpoint(session, report)
                case CheckpointRemoved():
                    self._models.removed(session, report)
                case Evaluated():
                    self._models.evaluation(session, report)
                case ArtifactWritten():
                    self._models.artifact(session, report)

    def _how_far(self, session: Session, reports: Iterable[Report]) -> None:
        columns: dict[str, Any] = {}
        for report in reports:
            match report:
                case Progress():
                    columns.update(_progress(report))
                case Phase():
                    columns.update(phase=_phase(report), eta_seconds=finite(report.eta_seconds))
        if columns:
            session.execute(self._own_job().values(**columns).execution_options(synchronize_session=False))

    def _own_job(self) -> Any:
        return update(Job).where(Job.id == self._job, Job.attempt == self._attempt)

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
            insert_new(session, Metric, rows)


def _progress(report: Progress) -> dict[str, Any]:
    """The columns of a job that tell how far it is."""
    return {
        "fraction": finite(report.fraction),
        "stage": report.stage,
        "epoch": report.epoch,
        "epochs": report.epochs,
        "step": report.step,
        "steps": report.steps,
        "loss": finite(report.loss),
        "lr": finite(report.lr),
        "images_per_second": finite(report.images_per_second),
        "eta_seconds": finite(report.eta_seconds),
    }


def _phase(report: Phase) -> str:
    done = f" {report.done} of {report.total}" if report.done is not None and report.total else ""
    return printable(f"{report.name}{done}")
