"""310-infer through queue, worker and supervisor, with real MindSpore and the real C++ program on CPU slots."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from erfnet_jobs.client import Client
from erfnet_jobs.erfnet.scenes import Scenes, make_scenes
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.jobs import Request
from erfnet_jobs.launch.processes import living
from erfnet_jobs.launch.program import RANK_MODULE, RankProgram
from erfnet_jobs.registry.tables import Artifact, Evaluation
from erfnet_jobs.states import JobKind, JobState, Outcome
from erfnet_jobs.train_spec import TrainSpec
from tests.optional import optional
from tests.real_lite import real_infer
from tests.services import NewSite, Site, eventually

optional("onnx")
optional("onnxruntime")

pytestmark = [pytest.mark.mindspore, pytest.mark.timeout(900)]
SIZE = (64, 128)
VAL = 3
COPIES = 4000
PATIENCE = 600.0


@pytest.fixture
def site(new_site: NewSite, sqlite_url: str) -> Site:
    """A host with two CPU slots, real ranks and the program that `make infer310` built."""
    made = new_site(sqlite_url, infer_310=real_infer(), lease_timeout=30)
    made.environ[RANK_MODULE] = RankProgram.module
    made.start_worker()
    return made


def rows(site: Site, table: type[Any], job: int) -> list[Any]:
    with site.registry.read() as session:
        found = list(session.scalars(select(table).where(table.job_id == job)))
        session.expunge_all()
        return found


def programs(site: Site) -> list[int]:
    """The living processes of the C++ program."""
    own = set(site.processes())
    return [each.pid for each in living() if each.pid in own and _command(each.pid).endswith("erfnet_infer")]


def _command(pid: int) -> str:
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_after_a_training_the_best_weights_are_measured_by_the_program(site: Site) -> None:
    data = site.folder / "scenes"
    make_scenes(data, Scenes(4, VAL, SIZE, seed=3), 1, lambda done, total: None)
    spec = TrainSpec(str(data), size=SIZE, stages=(3, 4), from_scratch=True, epochs=(1, 1, 1, 1), batch_size=2)
    with Client(site.settings, warn=str) as client:
        made = client.submit(Request(spec, max_attempts=1), then=[JobKind.INFER_310], allow_cpu=True)
    training, evaluation, inference = (job["id"] for job in made)
    eventually(lambda: site.job(training).state != JobState.RUNNING, "the training ends", PATIENCE)
    eventually(lambda: site.job(inference).ended_at, "all that follows ends", PATIENCE)

    assert site.job(inference).state == JobState.SUCCEEDED, site.job(inference).reason
    (lite,) = rows(site, Evaluation, inference)
    (own,) = [row for row in rows(site, Evaluation, evaluation) if row.checkpoint_id == lite.checkpoint_id]
    same = ("dataset_hash", "split", "protocol", "height", "width", "images")
    assert [getattr(lite, name) for name in same] == [getattr(own, name) for name in same]
    assert (lite.engine, own.engine, lite.images) == ("lite-cpu", "mindspore-cpu", VAL)
    assert lite.mean_iou == pytest.approx(own.mean_iou, abs=0.005)
    files = {file.format: file for file in rows(site, Artifact, inference)}
    assert lite.model_sha256 == files["lite"].sha256
    assert files["lite"].made_from == files["onnx"].sha256
    pictures = Path(site.attempts(inference)[0].run_dir, "pictures")
    assert len(list(pictures.glob("*_pred_labelIds.png"))) == VAL
    killed_in_the_middle(site, files["lite"].path, next(data.glob("leftImg8bit/val/*/*.png")))


def killed_in_the_middle(site: Site, model: str, picture: Path) -> None:
    """Its rank is killed, then the next attempt cancelled: neither leaves a program."""
    images = site.folder / "many"
    images.mkdir()
    for number in range(COPIES):
        (images / f"{number}.png").hardlink_to(picture)
    job = site.submit(Request(Infer310Spec(images=str(images), model=model, save=(), allow_cpu=True)))
    eventually(lambda: site.job(job).fraction, "pictures are done")
    (first,) = programs(site)
    (rank,) = site.ranks()
    os.kill(rank, signal.SIGKILL)
    eventually(lambda: first not in programs(site), "the program has gone with its rank")

    eventually(lambda: site.job(job).attempt == 2 and programs(site), "the second attempt runs the program")
    site.cancel(job)
    site.until(job, JobState.CANCELLED)

    assert programs(site) == []
    assert [attempt.outcome for attempt in site.attempts(job)] == [Outcome.FAILED, Outcome.CANCELLED]
    eventually(site.idle, "nothing is left")
