"""Two ranks, killed with SIGKILL and gone on with, end where two that were left alone end: bit for bit."""

import json
import os
import signal
from pathlib import Path

import pytest

from erfnet_jobs.erfnet.checkpoints import load, load_weights
from erfnet_jobs.erfnet.dataset import open_source
from erfnet_jobs.erfnet.manifest import MANIFEST_NAME, Entry, Manifest
from erfnet_jobs.erfnet.scenes import Scenes, make_scenes
from erfnet_jobs.erfnet.split_measure import SplitMeasure
from erfnet_jobs.launch.gang import PLAN_NAME, Gang
from erfnet_jobs.launch.program import RankProgram
from erfnet_jobs.launch.verdict import GangResult
from erfnet_jobs.launch.watch import GangWatch
from erfnet_jobs.plan import CheckpointFile, Plan, RankPlace, write_plan
from erfnet_jobs.reports import CheckpointWritten
from erfnet_jobs.states import JobKind, Outcome
from erfnet_jobs.train_spec import TrainSpec
from tests.tiny import in_graphs, make_tiny
from tests.tiny_rank import PAUSE_AFTER

pytestmark = [pytest.mark.mindspore, pytest.mark.xdist_group("gangs")]
HERE = "here"
PROGRAM = RankProgram("tests.tiny_rank")
LAST = "ERFNet_stage4-2_2.ckpt"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "scenes"
    make_scenes(root, Scenes(train=9, val=3, size=(64, 128), seed=1), workers=1)
    return root


def plan_of(data: Path, run_dir: Path, attempt: int = 1, resume: CheckpointFile | None = None) -> Plan:
    spec = TrainSpec(data=str(data), cards=2, epochs=(2, 1, 2, 2), batch_size=2, size=(64, 64), lr=1e-3, keep=9)
    places = tuple(RankPlace(rank, HERE, rank, rank) for rank in (0, 1))
    folder = run_dir / str(attempt)
    folder.mkdir(parents=True)
    plan = Plan(
        JobKind.TRAIN,
        spec,
        str(folder),
        str(data.parent / "cache"),
        places,
        attempt=attempt,
        resume=resume,
        threads=1,
    )
    write_plan(plan, folder / PLAN_NAME)
    return plan


def run(plan: Plan, kill_after: tuple[int, int] | None = None) -> GangResult:
    """To its end; with `kill_after`, SIGKILL rank 1 when that (stage, epoch)'s checkpoint was reported.

    Rank 0 goes no further then, and so neither does rank 1: small networks would be done before the signal.
    """
    paused = {PAUSE_AFTER: "{}-{}".format(*kill_after)} if kill_after else {}
    gang = Gang(plan, HERE, program=PROGRAM, base_environ={**os.environ, **paused})
    gang.start()
    watch = GangWatch(gang, 120.0, grace=0.5)
    while watch.result is None:
        for line in watch.step(1.0):
            report = line.report
            if isinstance(report, CheckpointWritten) and (report.stage, report.epoch) == kill_after:
                os.kill(gang.pids[1], signal.SIGKILL)
    return watch.result


def newest(plan: Plan) -> CheckpointFile:
    """What a worker resumes: the newest checkpoint that is recorded."""
    document = json.loads((plan.checkpoint_dir / MANIFEST_NAME).read_text())
    entry = Entry(**document["checkpoints"][-1])
    path = str(plan.checkpoint_dir / entry.file)
    return CheckpointFile(path, entry.network, entry.sha256, 1, entry.stage, entry.epoch, entry.step)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Plan:
    """A training that nobody disturbed."""
    plan = plan_of(data, tmp_path_factory.mktemp("whole"))
    result = run(plan)
    assert result.outcome is Outcome.SUCCEEDED, plan.log_path(0).read_text()
    return plan


def test_what_two_ranks_measured_is_what_the_checkpoint_holds(whole: Plan, data: Path) -> None:
    in_graphs()
    spec = whole.spec
    assert isinstance(spec, TrainSpec)
    for entry in Manifest(whole.checkpoint_dir).entries[-2:]:
        network = make_tiny(entry.network)
        load_weights(load(whole.checkpoint_dir / entry.file), entry.network, network.get_parameters())
        measure = SplitMeasure(open_source(data, "val"), network, entry.network, spec.size, spec.batch_size)
        assert measure.measure().scores.mean_iou == entry.mean_iou


def test_killed_twice_and_resumed_is_as_never_killed(tmp_path: Path, data: Path, whole: Plan) -> None:
    """In the middle of the encoder's first stage, and of the whole network's."""
    resume = None
    for attempt, kill_after in enumerate([(1, 1), (3, 1)], 1):
        plan = plan_of(data, tmp_path, attempt, resume)
        result = run(plan, kill_after)
        assert (result.outcome, result.failed_rank, result.signal) == (Outcome.FAILED, 1, signal.SIGKILL)
        resume = newest(plan)
        assert (resume.stage, resume.epoch) == kill_after

    last = plan_of(data, tmp_path, attempt=3, resume=resume)
    assert run(last).outcome is Outcome.SUCCEEDED, last.log_path(0).read_text()

    wanted, found = load(whole.checkpoint_dir / LAST), load(last.checkpoint_dir / LAST)
    assert wanted.weights.keys() == found.weights.keys()
    for part in ("weights", "adam"):
        for name, value in getattr(wanted, part).items():
            assert (getattr(found, part)[name] == value).all(), name
