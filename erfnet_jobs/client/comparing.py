"""Several jobs side by side, as one document: settings, origins, figures and IoUs by class."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.choices import CLASSES
from erfnet_jobs.client.document import Document
from erfnet_jobs.client.model_documents import evaluation_document
from erfnet_jobs.client.questions import Questions
from erfnet_jobs.client.run_files import CHECKPOINTS, data_hash, run_document
from erfnet_jobs.registry.comparison import Compared, comparable, figures_of
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.tables import Attempt, Job


def compare(client: Questions, numbers: Sequence[int]) -> Document:
    """Jobs side by side; every list of values is in the order of `numbers`. Raises NotFound.

    `origins` come from the runs' files, and are null where this machine does not see them.
    """
    with client.registry.read() as session:
        jobs = [get_job(session, number) for number in numbers]
        runs = [_run(session, job) for job in jobs]
        return {
            "jobs": [{"job": job.id, "name": job.name, "kind": job.kind} for job in jobs],
            "settings": _lines([_flat(json.loads(job.spec)) for job in jobs]),
            "origins": _lines([_origin(run) for run in runs]),
            "unseen": [job.id for job, run in zip(jobs, runs, strict=True) if run is None],
            "figures": _lines([figures_of(session, job) for job in jobs]),
            "evaluated": _evaluated(comparable(session, numbers)),
        }


def _lines(columns: Sequence[Mapping[str, Any]]) -> list[Document]:
    """A line for each name that any has, in order of their first appearance."""
    names = dict.fromkeys(name for column in columns for name in column)
    lines = []
    for name in names:
        values = [column.get(name) for column in columns]
        lines.append({"name": name, "values": values, "differs": any(value != values[0] for value in values)})
    return lines


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, entry in value.items():
        flat |= _flat(entry, f"{prefix}{name}.") if isinstance(entry, dict) else {f"{prefix}{name}": entry}
    return flat


def _run(session: Session, job: Job) -> dict[str, Any] | None:
    """What a job's run says of itself, with the hash of its data; None where this machine does not see it."""
    attempts = select(Attempt).where(Attempt.job_id == job.id).order_by(Attempt.number.desc()).limit(1)
    attempt = session.scalars(attempts).one_or_none()
    if attempt is None:
        return None
    folder = Path(attempt.run_dir)
    document = run_document(folder.parent, job.id)
    return None if document is None else {**document, "data": data_hash(folder / CHECKPOINTS)}


def _origin(run: Mapping[str, Any] | None) -> dict[str, Any]:
    if run is None:
        return {}
    versions = {f"version of {name}": text for name, text in (run.get("versions") or {}).items()}
    return {**versions, "git revision": run.get("revision"), "content of data": run["data"]}


def _evaluated(compared: Compared) -> Document:
    """`iou_class` and `differences` are lists by class, of values by job; differences are from the first job's."""
    if compared.group is None:
        return {"why": compared.why, "group": None, "evaluations": [], "mean_iou": [], "iou_class": []}
    documents = [evaluation_document(row) for row in compared.evaluations]
    group = compared.group
    return {
        "why": None,
        "group": {
            "dataset_hash": group.dataset_hash,
            "split": group.split,
            "protocol": group.protocol,
            "height": group.height,
            "width": group.width,
        },
        "evaluations": [{key: row[key] for key in ("evaluation", "checkpoint", "path", "images")} for row in documents],
        "mean_iou": _against([row["mean_iou"] for row in documents]),
        "iou_class": [
            {"class": name, **_against([_iou(row, number) for row in documents])} for number, name in enumerate(CLASSES)
        ],
    }


def _iou(row: Document, number: int) -> float | None:
    ious: list[float | None] = row["iou_class"]
    return ious[number] if number < len(ious) else None


def _against(values: Sequence[float | None]) -> Document:
    first = values[0]
    differences = [None if value is None or first is None else value - first for value in values]
    return {"values": list(values), "differences": differences}
