"""Trainings that have ended, as rows and files: what they wrote is small, and hashed as recorded."""

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from erfnet_jobs.choices import EVALUATION_METRICS
from erfnet_jobs.erfnet.manifest import Entry, Manifest
from erfnet_jobs.jobs import Part, Request
from erfnet_jobs.registry.attempts import assign, claim, end_part, report_running
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.jobs import get_job, submit_job
from erfnet_jobs.registry.tables import Checkpoint, Evaluation, Metric
from erfnet_jobs.train_spec import TrainSpec
from tests.registry_steps import ACTOR, SCHEDULER, WELL

NETWORKS = {1: "encoder", 2: "encoder", 3: "erfnet", 4: "erfnet"}


@dataclass(frozen=True)
class Trained:
    """A job and its checkpoints' ids, oldest first."""

    job: int
    checkpoints: tuple[int, ...]


def train(
    session: Session, runs: Path, *, stages: tuple[int, ...] = (3, 4), epochs: int = 4, ended: bool = True, **spec: Any
) -> Trained:
    """A training on host a whose only attempt wrote a checkpoint after each epoch; the host must be registered."""
    spec = {"from_scratch": True, "stages": (3, 4), "epochs": (epochs,) * 4, **spec}
    job = submit_job(session, Request(TrainSpec("/data", **spec)), ACTOR).id
    folder = runs / str(job) / "1"
    assert assign(session, job, 0, [Part("a", (0,), 0)], str(folder))
    assert claim(session, job, 1, "a", SCHEDULER)
    report_running(session, job, 1, "a")
    get_job(session, job).storage_id = "s"
    found = tuple(write(session, folder, job, stage, epoch).id for stage in stages for epoch in range(1, epochs + 1))
    if ended:
        assert end_part(session, job, 1, "a", WELL, 0)
        session.expire_all()
    return Trained(job, found)


def write(session: Session, folder: Path, job: int, stage: int, epoch: int) -> Checkpoint:
    """One checkpoint of attempt 1: its file, its place in the manifest, its row."""
    manifest = Manifest(folder / "checkpoints")
    name = f"{'ERFNet' if stage > 2 else 'Encoder'}_stage{stage}-{epoch}_7.ckpt"
    content = f"weights of job {job} stage {stage} epoch {epoch}".encode()
    (manifest.folder / name).write_bytes(content)
    digest = sha256(content).hexdigest()
    manifest.add(Entry(NETWORKS[stage], stage, epoch, 7, name, digest, len(content)))
    row = Checkpoint(job_id=job, attempt=1, network=NETWORKS[stage], stage=stage, epoch=epoch, step=7)
    row.path, row.sha256, row.size, row.origin = str(manifest.folder / name), digest, len(content), "train"
    row.created_at = now(session)
    session.add(row)
    session.flush()
    return row


def evaluate(session: Session, job: int, checkpoint: int | None, value: float, **others: Any) -> int:
    """An evaluation of a checkpoint by a job, with all its figures at `value`."""
    place = {"dataset_hash": "d" * 64, "split": "val", "protocol": "half", "height": 64, "width": 128}
    row = {**place, "engine": "mindspore-cpu", "images": 3, "iou_class": json.dumps([value] * 19), **others}
    made = Evaluation(
        job_id=job,
        attempt=1,
        checkpoint_id=checkpoint,
        checkpoint_path="/c.ckpt",
        created_at=now(session),
        **{**dict.fromkeys(EVALUATION_METRICS, value), **row},
    )
    session.add(made)
    session.flush()
    return made.id


def validated(session: Session, job: int, stage: int, epoch: int, value: float) -> None:
    """What a training measured itself after an epoch."""
    session.add(
        Metric(job_id=job, name="val_mean_iou", attempt=1, stage=stage, step=epoch * 7, epoch=epoch, value=value)
    )
    session.flush()
