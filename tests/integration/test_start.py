"""What a worker gives an attempt to read, and what must be there for it."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from erfnet_jobs.errors import BadCheckpoint
from erfnet_jobs.jobs import Request
from erfnet_jobs.plan import CheckpointFile
from erfnet_jobs.registry.checkpoints import list_checkpoints
from erfnet_jobs.registry.tables import Checkpoint
from erfnet_jobs.specs import EvalSpec, ExportSpec
from erfnet_jobs.states import JobState
from erfnet_jobs.train_spec import TrainSpec
from tests.layout import empty_dataset
from tests.services import Site, eventually
from workers.inputs import check_paths, named_checkpoints


def test_a_training_that_goes_on_needs_not_what_it_started_from(site: Site) -> None:
    start, go = site.folder / "start.ckpt", site.folder / "go"
    start.write_bytes(b"weights")
    site.script({"attempt 1": [["hello"], ["checkpoint", 2, 1, 7], ["wait_for", str(go)], ["signal", "SIGKILL"]]})
    spec = TrainSpec(str(site.data), stages=(2, 3, 4), epochs=(1, 1, 1, 1), checkpoint=str(start))
    job = site.submit(Request(spec))
    stored = select(func.count()).select_from(Checkpoint)
    eventually(lambda: site.ask(lambda session: session.scalar(stored)) == 1, "the checkpoint is registered")

    start.unlink()
    go.touch()

    assert site.until(job, JobState.SUCCEEDED).attempt == 2


def test_all_of_a_job_are_wanted_less_than_what_the_user_names(site: Site) -> None:
    job = site.train()
    site.until(job, JobState.SUCCEEDED)
    first = site.ask(lambda session: list_checkpoints(session, job)[0])

    spec = EvalSpec((f"{job}:all", str(first.id)), str(site.data))
    found = site.ask(lambda session: named_checkpoints(session, spec))

    assert {file.id: file.optional for file in found} == {
        row.id: row.id != first.id
        for row in site.ask(lambda session: list_checkpoints(session, job))
        if row.network == "erfnet"
    }


def test_an_evaluation_needs_one_of_its_checkpoints(tmp_path: Path) -> None:
    here, absent = CheckpointFile(str(tmp_path / "a.ckpt")), CheckpointFile(str(tmp_path / "absent.ckpt"))
    Path(here.path).write_bytes(b"weights")
    empty_dataset(tmp_path, "val")
    spec = EvalSpec((here.path, absent.path), str(tmp_path))

    check_paths(spec, (here, absent))

    with pytest.raises(BadCheckpoint, match=r"absent\.ckpt is not there"):
        check_paths(spec, (absent,))
    with pytest.raises(BadCheckpoint, match=r"absent\.ckpt is not there"):
        check_paths(ExportSpec(absent.path), (absent,))
