"""The rows that a training reads: its MindRecord, built first where it is not there yet."""

import time
from collections.abc import Callable
from pathlib import Path

from erfnet_jobs.choices import BUILD_DATA
from erfnet_jobs.erfnet.labels import IGNORE
from erfnet_jobs.erfnet.mindrecord import ensure_mindrecord, training_rows
from erfnet_jobs.erfnet.progress import PROGRESS_INTERVAL
from erfnet_jobs.erfnet.record_rows import Rows
from erfnet_jobs.erfnet.thinning import Thinning
from erfnet_jobs.errors import BadData
from erfnet_jobs.plan import Plan
from erfnet_jobs.reports import Phase, Report
from erfnet_jobs.train_spec import TrainSpec


def rows_to_train_on(spec: TrainSpec, plan: Plan, write: Callable[[Report], None]) -> Rows:
    """All rows of the split train; building them is reported. Raises BadData and DiskFull."""
    record = ensure_mindrecord(Path(spec.data), "train", Path(plan.data_dir), plan.threads, _reporter(write))
    if record.meta and not any(record.meta.pixels[:IGNORE]):
        raise BadData(f"{spec.data}: all pixels of all labels to train on are ignored; check how they were made")
    return training_rows(record)


def _reporter(write: Callable[[Report], None]) -> Callable[[int, int], None]:
    began = time.monotonic()
    thinning = Thinning(PROGRESS_INTERVAL)

    def report(done: int, total: int) -> None:
        if thinning.is_due(always=done == total):
            eta = (time.monotonic() - began) / done * (total - done) if done else None
            write(Phase(BUILD_DATA, done, total, eta))

    return report
