"""What the registry knows of a checkpoint's models and of other engines' figures, and what is shown of it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy.orm import Session

from erfnet_jobs.choices import EVALUATION_METRICS
from erfnet_jobs.cli.lineage import engine_lines, tree_lines
from erfnet_jobs.cli.root import root
from erfnet_jobs.client.lineage_documents import checkpoint_lineage
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.jobs import Request
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.jobs import get_job, submit_job
from erfnet_jobs.registry.lineage import Model, lineage_of
from erfnet_jobs.registry.tables import Artifact, Checkpoint, Evaluation
from tests.registry_steps import ACTOR, submit

ONNX, LITE, VENDOR, STRANGER = ("1" * 64, "2" * 64, "3" * 64, "4" * 64)
IOUS = (0.5,) * 18 + (None,)


class Steps:
    """Rows of one checkpoint, as jobs would leave them."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.export = submit(session)
        at = now(session)
        self.checkpoint = Checkpoint(
            job_id=self.export, attempt=1, network="erfnet", stage=4, epoch=2, step=9, path="/runs/1/1/c.ckpt"
        )
        self.checkpoint.sha256, self.checkpoint.size, self.checkpoint.origin = "c" * 64, 8_300_000, "train"
        self.checkpoint.created_at = at
        session.add(self.checkpoint)
        session.flush()

    def infer_310(self, precision: str) -> int:
        spec = Infer310Spec("/my data", labels="/my data", checkpoint="1", precision=precision)
        return submit_job(self.session, Request(spec), ACTOR).id

    def file(
        self,
        kind: str,
        sha256: str,
        made_from: str | None = None,
        difference: float | None = None,
        job: int | None = None,
    ) -> None:
        row = Artifact(
            job_id=job or self.export, attempt=1, checkpoint_id=self.checkpoint.id, format=kind, sha256=sha256
        )
        row.path, row.size, row.created_at = f"/runs/1/1/ERFNet.{kind}", 8_400_000, now(self.session)
        row.made_from, row.difference = made_from, difference
        self.session.add(row)
        self.session.flush()

    def evaluation(self, mean: float, ious: tuple[float | None, ...] = IOUS, **others: Any) -> int:
        row: dict[str, Any] = {
            "job_id": self.export,
            "attempt": 1,
            "checkpoint_path": "/c.ckpt",
            "dataset_hash": "d" * 64,
            "split": "val",
            "protocol": "half",
            "height": 512,
            "width": 1024,
            "engine": "mindspore-cpu",
            "images": 500,
            **dict.fromkeys(EVALUATION_METRICS, mean),
            "iou_class": json.dumps(ious),
            **others,
        }
        made = Evaluation(checkpoint_id=self.checkpoint.id, created_at=now(self.session), **row)
        self.session.add(made)
        self.session.flush()
        return made.id

    def lite(self, mean: float, ious: tuple[float | None, ...] = IOUS, **others: Any) -> int:
        changes = {"engine": "lite-cpu", "model_sha256": LITE, "images_per_second": 2.5, "mean_loss": None, **others}
        return self.evaluation(mean, ious, **changes)

    def document(self) -> dict[str, Any]:
        return checkpoint_lineage(lineage_of(self.session, self.checkpoint))


@pytest.fixture
def steps(registry: Registry) -> Iterator[Steps]:
    with registry.write() as session:
        yield Steps(session)


def _tree(models: tuple[Model, ...]) -> dict[str, Any]:
    return {model.sha256[0]: (len(model.files), len(model.evaluations), _tree(model.converted)) for model in models}


def test_each_model_stands_below_what_it_was_made_from(steps: Steps) -> None:
    steps.file("mindir", "0" * 64, difference=0.0)
    steps.file("onnx", ONNX, difference=1e-7)
    steps.file("lite", LITE, made_from=ONNX)
    steps.file("lite", VENDOR, made_from=ONNX)
    steps.file("onnx", ONNX)
    steps.file("overlay", "9" * 64)
    own = steps.evaluation(0.5)
    steps.lite(0.5)
    steps.lite(0.5, model_sha256=STRANGER)

    found = lineage_of(steps.session, steps.checkpoint)

    assert [evaluation.id for evaluation in found.evaluations] == [own]
    assert _tree(found.models) == {
        "0": (1, 0, {}),
        "1": (2, 0, {"2": (1, 1, {}), "3": (1, 0, {})}),
        "4": (0, 1, {}),
    }


def test_a_model_that_was_made_from_one_of_another_place_or_from_itself_stands_alone(steps: Steps) -> None:
    steps.file("lite", LITE, made_from=LITE)
    steps.file("lite", VENDOR, made_from=STRANGER)
    assert _tree(lineage_of(steps.session, steps.checkpoint).models) == {"2": (1, 0, {}), "3": (1, 0, {})}


def test_engines_are_compared_by_their_newest_figures_on_the_same_images(steps: Steps) -> None:
    steps.evaluation(0.1)
    own = steps.evaluation(0.5)
    steps.evaluation(0.9, images=10)
    steps.lite(0.2)
    newest = steps.lite(0.505, (0.52, 0.48, None, *IOUS[3:]))
    half, full = (steps.infer_310(precision) for precision in ("fp16", "fp32"))
    far = steps.lite(0.494, (0.5200001, *IOUS[1:]), engine="lite-ascend310", job_id=half)
    fine = steps.lite(0.5, engine="lite-ascend310", job_id=full)
    alone = steps.lite(0.5, protocol="full")

    found = {one["evaluation"]: one for one in steps.document()["differences"]}

    assert list(found) == [newest, far, fine, alone]
    assert [one["reference"] for one in found.values()] == [own, own, own, None]
    assert [one["precision"] for one in found.values()] == [None, "fp16", "fp32", None]
    assert [one["mean_iou"] for one in found.values()] == [0.005, -0.006, 0.0, None]
    assert found[newest]["iou_class"] == [0.02, -0.02, None, *[0.0] * 15, None]
    assert [one["exceeds"] for one in found.values()] == [False, True, False, False]
    assert found[alone]["iou_class"] == [None] * 19


@pytest.mark.parametrize(("mean", "first", "exceeds"), [(0.4949, 0.5, True), (0.5, 0.4799, True), (0.495, 0.48, False)])
def test_the_mean_and_each_class_have_a_limit(steps: Steps, mean: float, first: float, exceeds: bool) -> None:
    steps.evaluation(0.5)
    steps.lite(mean, (first, *IOUS[1:]))
    assert steps.document()["differences"][0]["exceeds"] == exceeds


def test_where_nothing_is_labelled_nothing_differs(steps: Steps) -> None:
    steps.evaluation(0.0, (None,) * 19)
    steps.lite(0.3, (None,) * 19)
    (found,) = steps.document()["differences"]
    assert (found["mean_iou"], found["exceeds"]) == (None, False)


@pytest.fixture
def shown(registry: Registry, database_url: str) -> tuple[str, dict[str, Any]]:
    """What `checkpoints show 1` prints at 80 columns for people, and as JSON."""
    with registry.write() as session:
        steps = Steps(session)
        steps.file("mindir", "0" * 64, difference=0.0)
        steps.file("onnx", ONNX, difference=1.2e-7)
        steps.file("lite", LITE, made_from=ONNX)
        steps.evaluation(0.7123)
        steps.lite(0.71, job_id=steps.infer_310("fp32"))
        steps.lite(0.6, (0.3, *IOUS[1:]), engine="lite-ascend310", job_id=steps.infer_310("fp16"), images_per_second=41)
        steps.lite(0.6, engine="lite-ascend310", split="train")
    call = ["--database-url", database_url, "checkpoints", "show", "1"]
    text, document = (
        CliRunner().invoke(root, [*call, *more], env={"COLUMNS": "80"}, catch_exceptions=False).stdout
        for more in ([], ["--json"])
    )
    return text, json.loads(document)


def test_people_see_the_tree_and_the_differences(shown: tuple[str, dict[str, Any]]) -> None:
    text, document = shown
    lines = [line.rstrip() for line in text.splitlines()]
    tree = lines[lines.index("Lineage") :]
    indents = {line.split()[0]: len(line) - len(line.lstrip()) for line in tree[: tree.index("")]}
    assert indents["checkpoint"] < indents["mindir"] == indents["onnx"] < indents["lite"] < indents["lite-cpu"]
    assert "lite-ascend310 fp16  mean IoU 0.6000, 41.0 images/s" in text
    assert "(differs by 1.2e-07 of the largest logit)" in text
    assert "warning: lite-ascend310 differs by -0.1123 in the mean IoU (limit 0.005) and more than 0.02 in road" in text
    assert "run it again with '--precision fp32' first" in text
    assert text.count("warning:") == 1
    assert "nothing to compare with on train" in text
    told = " ".join(text.split())
    assert "'erfnet-jobs submit eval --checkpoint 1 --data D --split train --size 512x1024'" in told
    assert [len(document[name]) for name in ("evaluations", "differences")] == [4, 3]
    (_, onnx) = document["lineage"]["models"]
    (lite,) = onnx["converted"]
    assert (lite["format"], lite["made_from"]) == ("lite", ONNX)
    assert [one["precision"] for one in lite["evaluations"]] == ["fp32", "fp16", None]


def test_how_to_measure_what_is_to_be_compared_names_the_data_and_the_size(steps: Steps) -> None:
    steps.lite(0.5, job_id=steps.infer_310("fp32"), height=64, width=128)
    told = " ".join(" ".join(engine_lines(steps.document())).split())
    assert "submit eval --checkpoint 1 --data '/my data' --split val --size 64x128'" in told


def test_a_model_is_its_maker_s_whoever_uses_it_again(steps: Steps) -> None:
    steps.file("onnx", ONNX)
    steps.file("onnx", ONNX, job=steps.infer_310("fp32"))
    steps.file("onnx", ONNX, job=steps.infer_310("fp32"))
    (line,) = (line for line in tree_lines(steps.document()) if "by job" in line)
    assert f"by job {steps.export}, used again by 2 jobs" in " ".join(line.split())


def test_status_of_a_310_infer_shows_the_model_before_pictures_and_where_it_is_compared(
    registry: Registry, database_url: str
) -> None:
    with registry.write() as session:
        steps = Steps(session)
        job = steps.infer_310("fp32")
        steps.file("lite", LITE, job=job)
        for number in range(9):
            steps.file("overlay", f"{number}" * 64, job=job)
        steps.lite(0.5, job_id=job)
        row = get_job(session, job)
        row.state, row.phase = "succeeded", "infer 500 of 500"
        row.images_per_second, row.eta_seconds = 2.6, 5.0
    text = CliRunner().invoke(root, ["--database-url", database_url, "status", str(job)], catch_exceptions=False).stdout
    assert "ETA" not in text
    assert "2.6" not in text  # the evaluation has its own speed
    files = text.partition("Files\n")[2].splitlines()
    assert files[0].split() == ["lite", "/runs/1/1/ERFNet.lite", LITE[:12]]
    assert files[8].strip().startswith("… and 2 more")
    assert f"mean IoU 0.5000  lite-cpu, model {LITE[:12]}, 2.5 images/s  checkpoint 1" in text
    assert "'erfnet-jobs checkpoints show 1' compares" in text
