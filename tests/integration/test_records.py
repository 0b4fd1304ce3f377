"""Reports into rows, on both databases: once each, whatever the ranks write."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from erfnet_jobs.client.model_documents import evaluation_document
from erfnet_jobs.errors import NotFound
from erfnet_jobs.jobs import Part, Request
from erfnet_jobs.plan import CheckpointFile, Plan, RankPlace
from erfnet_jobs.registry.attempts import assign, claim
from erfnet_jobs.registry.checkpoints import get_checkpoint, resolve_checkpoints
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.jobs import get_job, submit_job
from erfnet_jobs.registry.tables import Artifact, Checkpoint, Evaluation, LogTail, Metric
from erfnet_jobs.reports import (
    ArtifactWritten,
    CheckpointRemoved,
    CheckpointWritten,
    Evaluated,
    Hello,
    Phase,
    Progress,
    Report,
    ReportWriter,
)
from erfnet_jobs.reports import Metric as MetricReport
from erfnet_jobs.specs import EvalSpec
from erfnet_jobs.states import JobKind
from erfnet_jobs.train_spec import TrainSpec
from tests.registry_steps import ACTOR, add_hosts
from workers.rank_files import TAIL_BYTES
from workers.records import Records

HASH = "0" * 64


def evaluated(mean_iou: float, checkpoint: int | None, split: str = "val", protocol: str = "half") -> Evaluated:
    means, ious = (mean_iou, mean_iou, 0.9, 0.1), (0.5, None)
    return Evaluated(
        "/x/y.ckpt", "erfnet", "d", split, protocol, 64, 64, "e", 2, *means, ious, checkpoint, 0.7, (None, 0.6)
    )


class PowerCut(Exception):
    """What keeps a transaction from its commit."""


class Setting:
    """A claimed attempt of a job with two ranks on one host, and its report files."""

    def __init__(self, registry: Registry, folder: Path, kind: JobKind = JobKind.TRAIN) -> None:
        self.registry = registry
        spec = TrainSpec("/data", cards=2, size=(64, 64)) if kind == JobKind.TRAIN else EvalSpec(("1",), "/data")
        with registry.write() as session:
            add_hosts(session, "a")
            self.job = submit_job(session, Request(spec), ACTOR).id
            assign(session, self.job, 0, [Part("a", (0, 1), 0)], str(folder))
            claim(session, self.job, 1, "a", None)
        places = tuple(RankPlace(rank, "a", rank, rank) for rank in range(2))
        self.plan = Plan(kind, spec, str(folder), "/nowhere", places, job=self.job)
        self.records = Records(self.plan, "a", "storage")

    def write(self, *reports: Report, rank: int = 0) -> None:
        writer = ReportWriter(self.plan.report_path(rank))
        for report in reports:
            writer.write(report)
        writer.close()

    def store(self) -> frozenset[int]:
        hellos: frozenset[int] = frozenset()
        more = True
        while more:
            with self.registry.write() as session:
                batch = self.records.store(session)
            hellos, more = hellos | batch.hellos, batch.more
        return hellos


@pytest.fixture
def setting(registry: Registry, tmp_path: Path) -> Setting:
    return Setting(registry, tmp_path)


def test_each_report_becomes_its_row_once(setting: Setting, registry: Registry) -> None:
    path = "checkpoints/Encoder_stage1-1_2.ckpt"
    written = CheckpointWritten("encoder", 1, 1, 2, path, HASH, 10)
    setting.write(Hello(0, 2, "a", 0, 1), Phase("build data", 3, 10), MetricReport(1, 1, 1, {"loss": 2.0, "lr": 0.1}))
    setting.write(Hello(1, 2, "a", 1, 2), rank=1)
    assert setting.store() == {0, 1}
    setting.write(
        written, Progress(0.25, 2, 8, 1, 1, 3, 1.5, 10.0, 60.0), ArtifactWritten("onnx", "t.onnx", HASH, 3, None, 2e-7)
    )
    setting.write(MetricReport(1, 1, 2, {"loss": 1.5}), evaluated(0.3, None))
    assert setting.store() == set()
    assert setting.store() == set()

    with registry.read() as session:
        job = get_job(session, setting.job)
        assert (job.phase, job.fraction, job.step, job.loss, job.storage_id) == (
            "build data 3 of 10",
            0.25,
            2,
            1.5,
            "storage",
        )
        assert job.mean_iou == 0.3
        metrics = session.scalars(select(Metric).order_by(Metric.name, Metric.step)).all()
        assert [(row.name, row.step, row.value) for row in metrics] == [
            ("loss", 1, 2.0),
            ("loss", 2, 1.5),
            ("lr", 1, 0.1),
        ]
        (checkpoint,) = session.scalars(select(Checkpoint)).all()
        assert (checkpoint.path, checkpoint.attempt) == (f"{setting.plan.run_dir}/{path}", 1)
        artifact = session.scalars(select(Artifact)).one()
        assert (artifact.format, artifact.size, artifact.difference) == ("onnx", 3, 2e-7)
        measured = evaluation_document(session.scalars(select(Evaluation)).one())
        assert (measured["mean_iou_category"], measured["iou_category"]) == (0.7, [None, 0.6])
        assert (measured["mean_iou"], measured["iou_class"], measured["protocol"]) == (0.3, [0.5, None], "half")
    setting.write(CheckpointRemoved(path))
    setting.store()
    with registry.read() as session:
        assert session.scalars(select(Checkpoint.removed_at)).one() is not None


def test_an_exported_model_leads_back_to_a_checkpoint_that_was_named_by_path(
    setting: Setting, registry: Registry
) -> None:
    def model(kind: str, checkpoint: int | None, sha256: str) -> ArtifactWritten:
        return ArtifactWritten(kind, kind, HASH, 3, checkpoint, 2e-7, "/w/mine.ckpt", sha256, 9, "erfnet")

    def exported() -> dict[str, int | None]:
        setting.store()
        with registry.read() as session:
            return {row.format: row.checkpoint_id for row in session.scalars(select(Artifact))}

    setting.write(model("mindir", None, HASH), model("onnx", None, HASH), ArtifactWritten("overlay", "p", HASH, 1))
    first = exported()
    with registry.read() as session:
        row = get_checkpoint(session, first["mindir"] or 0)
        assert (row.path, row.sha256, row.size, row.network) == ("/w/mine.ckpt", HASH, 9, "erfnet")
        assert (row.origin, row.job_id, row.removed_at) == ("path", None, None)
        # The file is its owner's, who may replace it: by its path it is whatever lies there.
        assert resolve_checkpoints(session, "/w/mine.ckpt") == [CheckpointFile("/w/mine.ckpt")]
    assert first == {"mindir": row.id, "onnx": row.id, "overlay": None}

    setting.write(model("argmax", None, "1" * 64), model("again", row.id, HASH))
    then = exported()
    assert then["again"] == row.id
    assert then["argmax"] not in {None, row.id}
    with registry.read() as session:
        with pytest.raises(NotFound, match="it was replaced"):
            resolve_checkpoints(session, str(row.id))
        assert get_checkpoint(session, then["argmax"] or 0).removed_at is None


def test_what_another_engine_measured_leads_back_to_the_checkpoint_by_the_model(
    setting: Setting, registry: Registry
) -> None:
    onnx, model, other = "1" * 64, "2" * 64, "3" * 64
    measured = replace(evaluated(0.6, None), engine="lite-ascend310", mean_loss=None, images_per_second=float("30.5"))
    setting.write(
        ArtifactWritten("onnx", "m.onnx", onnx, 3, None, 2e-7, "/w/mine.ckpt", HASH, 9, "erfnet"),
        ArtifactWritten("lite", "m.mindir", model, 3, made_from=onnx),
        ArtifactWritten("lite", "n.mindir", other, 3, made_from="4" * 64),
        replace(measured, model_sha256=model),
        replace(measured, model_sha256=other),
    )
    setting.store()

    with registry.read() as session:
        checkpoint = session.scalars(select(Checkpoint.id)).one()
        made = {
            row.path.rsplit("/", 1)[1]: (row.made_from, row.checkpoint_id) for row in session.scalars(select(Artifact))
        }
        assert made == {
            "m.onnx": (None, checkpoint),
            "m.mindir": (onnx, checkpoint),
            "n.mindir": ("4" * 64, None),
        }
        known, unknown = (
            evaluation_document(row) for row in session.scalars(select(Evaluation).order_by(Evaluation.id))
        )
        assert (known["model_sha256"], known["checkpoint"], known["engine"]) == (model, checkpoint, "lite-ascend310")
        assert (known["images_per_second"], known["mean_loss"]) == (30.5, None)
        assert (unknown["model_sha256"], unknown["checkpoint"]) == (other, None)


def test_a_transaction_that_fails_is_read_again(setting: Setting, registry: Registry) -> None:
    setting.write(Hello(0, 2, "a", 0, 1), evaluated(0.3, None))
    with contextlib.suppress(PowerCut), registry.write() as session:
        setting.records.store(session)
        raise PowerCut

    assert setting.store() == {0}
    with registry.read() as session:
        assert len(session.scalars(select(Evaluation)).all()) == 1


def test_what_the_registry_refuses_costs_only_itself(setting: Setting, registry: Registry) -> None:
    setting.write(MetricReport(1, 1, 1, {"loss": 1.0}))
    lines = [
        {"v": 1, "at": 0, "kind": "metric", "stage": 1, "epoch": 1, "step": 10**30, "values": {"loss": 1}},
        {"v": 1, "at": 0, "kind": "metric", "stage": 1, "epoch": 1, "step": 3, "values": {"loss": "high"}},
        {"v": 1, "at": 0, "kind": "metric", "stage": 1, "epoch": 1, "step": 4, "values": ["loss"]},
        {"v": 1, "at": 0, "kind": "phase", "name": "nul \0"},
        {"v": 1, "at": 0, "kind": "unheard of"},
    ]
    with setting.plan.report_path(0).open("ab") as file:
        file.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines) + b"\xff\xfe\n")
    setting.write(evaluated(0.4, checkpoint=4711), MetricReport(1, 1, 5, {"loss": 0.5}))

    setting.store()

    with registry.read() as session:
        assert session.scalars(select(Metric.step).order_by(Metric.step)).all() == [1, 5]
        assert session.scalars(select(Evaluation.checkpoint_id)).all() == [None]
        assert get_job(session, setting.job).phase == "nul \N{REPLACEMENT CHARACTER}"


def test_the_best_evaluation_stands_at_the_training_too(setting: Setting, registry: Registry, tmp_path: Path) -> None:
    setting.write(CheckpointWritten("erfnet", 4, 1, 1, "c.ckpt", HASH, 1))
    setting.store()
    with registry.read() as session:
        checkpoint = session.scalars(select(Checkpoint.id)).one()
    with registry.write() as session:
        spec = EvalSpec((str(checkpoint),), "/data")
        job = submit_job(session, Request(spec), ACTOR).id
        assign(session, job, 0, [Part("a", (2,), 0)], str(tmp_path / "eval"))
    plan = Plan(JobKind.EVAL, spec, str(tmp_path / "eval"), "/nowhere", (RankPlace(0, "a", 2, 0),), job=job)
    writer = ReportWriter(plan.report_path(0))
    for report in (
        evaluated(0.5, checkpoint),
        evaluated(0.4, checkpoint),
        evaluated(0.9, checkpoint, "train"),
        evaluated(0.8, checkpoint, protocol="full"),
        replace(evaluated(0.7, checkpoint), network="encoder", protocol="encoder-half"),
        replace(evaluated(0.6, checkpoint), width=128),
        replace(evaluated(0.55, checkpoint), engine="lite-cpu", model_sha256="1" * 64),
    ):
        writer.write(report)
    with registry.write() as session:
        Records(plan, "a", None).store(session)

    with registry.read() as session:
        assert get_job(session, setting.job).mean_iou == 0.5
        assert get_job(session, job).mean_iou == 0.9


def test_the_tail_of_a_log_is_capped(setting: Setting, registry: Registry) -> None:
    log = setting.plan.log_path(0)
    log.parent.mkdir(parents=True)
    log.write_bytes(b"first\n" + b"x" * 99 + b"\n" * 1 + b"line \xff\0\n" * TAIL_BYTES)
    setting.store()

    with registry.read() as session:
        row = session.get_one(LogTail, (setting.job, 1, 0))
        assert len(row.text) <= TAIL_BYTES
        assert set(row.text.splitlines()) == {"line ??"}
        assert row.log_bytes == log.stat().st_size
        begin = row.log_bytes - len(row.text.encode())
        assert log.read_bytes()[begin:].startswith(b"line \xff\0\n"), "its length tells where it begins"


def test_many_reports_take_several_transactions(setting: Setting, registry: Registry) -> None:
    path = setting.plan.report_path(0)
    path.parent.mkdir()
    with path.open("wb") as file:
        line = {"v": 1, "at": 0, "kind": "phase", "name": "x" * 1000}
        file.write((json.dumps(line).encode() + b"\n") * 2500)
        file.write(b"y" * (3 << 20) + b"\n")
    setting.write(Phase("last"))

    setting.store()

    with registry.read() as session:
        assert get_job(session, setting.job).phase == "last"
