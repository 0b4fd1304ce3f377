"""310-infer jobs from submit to the registry, with real ranks and a scripted `erfnet_infer`, and what ends them."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from erfnet_jobs.files import sha256_of
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.jobs import Request
from erfnet_jobs.launch.program import RANK_MODULE, RankProgram
from erfnet_jobs.registry.tables import Artifact, Evaluation, Job
from erfnet_jobs.states import JobState, Outcome
from tests.ascend_host import AscendHost
from tests.scripted_lite import Programs, install
from tests.services import NewSite, Site, eventually
from tests.small_data import make_dataset

RUNNING, SUCCEEDED, FAILED = JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED
PICTURES = 4


class Lab:
    """A site with the program and, of a family but 'cpu', with its chips."""

    def __init__(self, make: Callable[..., Site], folder: Path, family: str) -> None:
        self.chips = None if family == "cpu" else AscendHost(folder, family)
        self.programs: Programs = install(folder / "bin")
        chips = self.chips.settings if self.chips else {}
        self.site = make(device_interval=0.3, infer_310=self.programs.infer, **chips)
        self.site.environ[RANK_MODULE] = RankProgram.module
        self.data = make_dataset(folder / "streets", val=PICTURES)
        self.model = folder / "ERFNet.mindir"
        self.model.write_bytes(b"a model")
        self.start_worker()

    def start_worker(self) -> None:
        self.site.start_worker(devices=None if self.chips else 2)

    def infer(self, devices: tuple[int, ...] | None = None, max_attempts: int = 3, **spec: Any) -> int:
        """Submit all pictures with their labels for the model."""
        values: dict[str, Any] = {"labels": str(self.data), "allow_cpu": self.chips is None, **spec}
        wanted = Infer310Spec(images=str(self.data), model=str(self.model), **values)
        return self.site.submit(Request(wanted, devices=devices, max_attempts=max_attempts))

    @property
    def runs(self) -> list[dict[str, Any]]:
        """The calls of the program but those that ask for its version."""
        return [call for call in self.programs.calls if "--images" in call["arguments"]]

    def option(self, name: str) -> list[str]:
        """What the program was given for an option at each run."""
        return [run["arguments"][run["arguments"].index(name) + 1] for run in self.runs]

    def pids(self) -> list[int]:
        """The processes of the program, living and dead."""
        return [run["pid"] for run in self.runs]

    def hanging(self) -> tuple[int, int]:
        """A job whose program hangs after a picture, and the process of that; later ones do their work."""
        self.programs.script(after=1, hang=True)
        job = self.infer()
        self.halfway(job)
        self.programs.script()
        (pid,) = self.pids()
        return job, pid

    def halfway(self, job: int, done: int = 1) -> Job:
        """The job once that many of its pictures are told as done."""
        eventually(lambda: (self.site.job(job).fraction or 0) >= done / PICTURES, "the registry has its progress")
        return self.site.job(job)

    def evaluations(self, job: int) -> list[Evaluation]:
        rows = select(Evaluation).where(Evaluation.job_id == job)
        return self._rows(rows)

    def artifacts(self, job: int) -> list[Artifact]:
        return self._rows(select(Artifact).where(Artifact.job_id == job))

    def _rows(self, rows: Any) -> list[Any]:
        with self.site.registry.read() as session:
            found = list(session.scalars(rows))
            session.expunge_all()
            return found


NewLab = Callable[..., Lab]


@pytest.fixture
def new_lab(new_site: NewSite, sqlite_url: str, site_folder: Path) -> NewLab:
    def make(family: str = "310P") -> Lab:
        return Lab(lambda **settings: new_site(sqlite_url, **settings), site_folder, family)

    return make


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


@pytest.mark.parametrize(
    ("family", "devices", "device", "engine"),
    [
        ("310", (2,), "ascend:2", "lite-ascend310"),
        ("310P", None, "ascend:0", "lite-ascend310"),
        ("cpu", None, "cpu", "lite-cpu"),
    ],
)
def test_from_submit_to_the_registry(
    new_lab: NewLab, family: str, devices: tuple[int, ...] | None, device: str, engine: str
) -> None:
    lab = new_lab(family)
    job = lab.infer(devices, save=("labels", "color"))

    ended = lab.site.until(job, SUCCEEDED)

    assert lab.option("--device") == [device]
    assert lab.option("--model") == [str(lab.model)]
    assert lab.option("--save") == ["labels,color"]
    (row,) = lab.evaluations(job)
    assert (row.engine, row.model_sha256, row.images) == (engine, sha256_of(lab.model), PICTURES)
    assert (row.split, row.protocol, row.mean_loss, row.images_per_second) == ("val", "half", None, 2.5)
    assert ended.fraction == 1
    output = Path(lab.option("--output")[0])
    assert output.is_relative_to(lab.site.attempts(job)[0].run_dir)
    assert len(list(output.glob("*_pred_labelIds.png"))) == PICTURES
    assert lab.artifacts(job)
    eventually(lab.site.idle, "nothing is left")


def test_two_devices_work_at_once(new_lab: NewLab) -> None:
    lab = new_lab()
    lab.programs.script(after=1, hang=True)
    jobs = [lab.infer(), lab.infer()]
    for job in jobs:
        lab.halfway(job)
    assert sorted(lab.option("--device")) == ["ascend:0", "ascend:1"]
    for job in jobs:
        lab.site.cancel(job)
        lab.site.until(job, JobState.CANCELLED)


def test_progress_is_seen_and_cancel_ends_the_program(new_lab: NewLab) -> None:
    lab = new_lab()
    job, pid = lab.hanging()
    row = lab.site.job(job)
    assert (row.state, row.images_per_second, row.eta_seconds) == (RUNNING, 2.5, (PICTURES - 1) / 2.5)

    lab.site.cancel(job)
    lab.site.until(job, JobState.CANCELLED)

    assert is_gone(pid)
    eventually(lab.site.idle, "nothing is left")


def test_a_time_limit_ends_the_program(new_lab: NewLab) -> None:
    lab = new_lab()
    lab.programs.script(after=1, hang=True)
    spec = Infer310Spec(images=str(lab.data), model=str(lab.model))
    job = lab.site.submit(Request(spec, time_limit=5))

    lab.site.until(job, FAILED)

    assert [attempt.outcome for attempt in lab.site.attempts(job)] == [Outcome.TIMED_OUT]
    eventually(lambda: all(map(is_gone, lab.pids())), "the program is gone")


def test_it_goes_on_while_its_worker_is_dead(new_lab: NewLab) -> None:
    lab = new_lab()
    job, pid = lab.hanging()

    lab.site.stop_worker(signal.SIGKILL)
    lab.start_worker()
    row = lab.site.job(job)

    assert (row.state, row.attempt) == (RUNNING, 1)
    assert not is_gone(pid)
    lab.site.cancel(job)
    lab.site.until(job, JobState.CANCELLED)
    assert is_gone(pid)


def test_a_killed_rank_leaves_no_program_behind_and_is_tried_again(new_lab: NewLab) -> None:
    lab = new_lab()
    job, pid = lab.hanging()

    (rank,) = lab.site.ranks()
    os.kill(rank, signal.SIGKILL)

    lab.site.until(job, SUCCEEDED)
    assert is_gone(pid)
    first, second = lab.site.attempts(job)
    assert (first.outcome, first.signal, second.outcome) == (Outcome.FAILED, signal.SIGKILL, SUCCEEDED)


def test_a_killed_supervisor_leaves_no_program_behind(new_lab: NewLab) -> None:
    lab = new_lab()
    job, pid = lab.hanging()

    (supervisor,) = lab.site.supervisors()
    os.kill(supervisor, signal.SIGKILL)

    eventually(lambda: is_gone(pid), "the program has ended with its supervisor")
    lab.site.until(job, SUCCEEDED)
    assert lab.site.attempts(job)[0].outcome == Outcome.LOST


def test_a_lost_device_ends_the_program(new_lab: NewLab) -> None:
    lab = new_lab()
    job, pid = lab.hanging()
    assert lab.chips is not None

    lab.chips.lose(0)
    lab.site.until(job, SUCCEEDED)

    assert is_gone(pid)
    assert [attempt.error for attempt in lab.site.attempts(job)] == ["DeviceLost", None]
    assert lab.option("--device") == ["ascend:0", "ascend:1"]


@pytest.mark.parametrize(
    ("error", "name", "permanent"),
    [
        ([11, "m.mindir is of MINDIR version 3, and this Lite reads 1"], "BadCheckpoint", True),
        ([13, "no space left for /pictures"], "DiskFull", False),
        ([17, "device 0 does not answer"], "DeviceLost", False),
    ],
)
def test_what_the_program_says_is_the_reason(new_lab: NewLab, error: list[Any], name: str, permanent: bool) -> None:
    lab = new_lab()
    lab.programs.script(error=error)
    job = lab.infer(max_attempts=1)

    ended = lab.site.until(job, FAILED)

    assert error[1] in (ended.reason or "")
    (attempt,) = lab.site.attempts(job)
    assert (attempt.error, attempt.permanent, attempt.exit_code) == (name, permanent, error[0])


def test_a_skipped_picture_fails_the_job_after_all_others(new_lab: NewLab) -> None:
    lab = new_lab("cpu")
    bad = sorted(lab.data.glob("leftImg8bit/val/*/*.png"))[0].name
    lab.programs.script(skip=[bad])
    job = lab.infer()

    ended = lab.site.until(job, FAILED)

    assert "3 of 4 pictures are done" in (ended.reason or "")
    assert (ended.reason or "").endswith(bad)
    # What is of a part of the pictures must not be compared with what is of all of them.
    assert lab.evaluations(job) == []
    assert len(list(Path(lab.option("--output")[0]).glob("*_pred_labelIds.png"))) == PICTURES - 1
