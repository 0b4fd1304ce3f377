from pathlib import Path

import pytest

from erfnet_jobs.erfnet.manifest import Entry, Manifest
from erfnet_jobs.erfnet.origin import adopt_resumed, check_same_dataset, origin_of, resumed_position
from erfnet_jobs.erfnet.stages import stage_runs
from erfnet_jobs.errors import BadCheckpoint, BadData, RanksFailed
from erfnet_jobs.files import sha256_of
from erfnet_jobs.plan import CheckpointFile, Plan, RankPlace
from erfnet_jobs.states import JobKind
from erfnet_jobs.train_spec import TrainSpec

SPEC = TrainSpec(data="/data", epochs=(2, 2, 2, 2))


def plan(folder, spec=SPEC, **more):
    place = RankPlace(0, "host", 0, 0)
    return Plan(JobKind.TRAIN, spec, str(folder / "2"), str(folder), (place,), **more)


def earlier_checkpoint(folder, stage, epoch, name="Encoder"):
    path = folder / f"{name}_stage{stage}-{epoch}_10.ckpt"
    path.write_bytes(f"{name} {stage} {epoch}".encode())
    network = name.lower()
    return CheckpointFile(str(path), network, sha256_of(path), 7, stage, epoch, 10)


def runs_after(resume):
    return stage_runs(SPEC, *resumed_position(resume))


def test_stage_one_starts_from_nothing(tmp_path):
    assert origin_of(stage_runs(SPEC)[0], plan(tmp_path), Manifest(tmp_path / "2" / "checkpoints")) is None


@pytest.mark.parametrize(("stage", "epoch", "same"), [(1, 1, True), (1, 2, True), (2, 1, True), (2, 2, False)])
def test_a_resumed_attempt_goes_on_from_the_adopted_checkpoint(tmp_path, stage, epoch, same):
    resume = earlier_checkpoint(tmp_path, stage, epoch)
    resumed = plan(tmp_path, resume=resume)
    manifest = Manifest(resumed.checkpoint_dir)
    adopt_resumed(resumed, manifest)

    origin = origin_of(runs_after(resume)[0], resumed, manifest)

    assert origin.path.parent == resumed.checkpoint_dir
    assert origin.sha256 == resume.sha256
    assert (origin.same_network, origin.continues) == (same, same)


def test_what_was_known_of_a_checkpoint_is_adopted_too(tmp_path):
    earlier = Manifest(tmp_path / "1")
    earlier.dataset_hash = "abc" * 9
    resume = earlier_checkpoint(earlier.folder, 3, 2, "ERFNet")
    earlier.add(Entry("erfnet", 3, 2, 10, Path(resume.path).name, resume.sha256, 8))
    earlier.measured(Path(resume.path).name, 0.4)
    resumed = plan(tmp_path, resume=resume)
    manifest = Manifest(resumed.checkpoint_dir)

    assert adopt_resumed(resumed, manifest) == "abc" * 9
    assert manifest.best(3).mean_iou == 0.4
    check_same_dataset("abc" * 9, "abc" * 9, "/data")
    check_same_dataset(None, "abc" * 9, "/data")
    with pytest.raises(BadData, match="/data has changed since the training began"):
        check_same_dataset("abc" * 9, "xyz" * 9, "/data")


def test_a_stage_without_the_stage_before_is_refused(tmp_path):
    manifest = Manifest(tmp_path / "2" / "checkpoints")

    with pytest.raises(BadCheckpoint, match="stage 3 starts from the last checkpoint of stage 2"):
        origin_of(stage_runs(SPEC)[2], plan(tmp_path), manifest)


def test_a_changed_checkpoint_is_not_adopted(tmp_path):
    resume = earlier_checkpoint(tmp_path, 1, 1)
    (tmp_path / "Encoder_stage1-1_10.ckpt").write_bytes(b"changed")
    resumed = plan(tmp_path, resume=resume)

    with pytest.raises(RanksFailed, match="changed") as caught:
        adopt_resumed(resumed, Manifest(resumed.checkpoint_dir))
    assert not caught.value.permanent


@pytest.mark.parametrize(("stage", "same"), [(2, True), (3, False), (4, True)])
def test_a_first_stage_starts_from_what_the_user_named(tmp_path, stage, same):
    given = CheckpointFile("/mine.ckpt")
    spec = TrainSpec(data="/data", stages=(stage,), checkpoint="/mine.ckpt")
    started = plan(tmp_path, spec, inputs=(given,))

    origin = origin_of(stage_runs(spec)[0], started, Manifest(started.checkpoint_dir))

    assert str(origin.path) == "/mine.ckpt"
    assert (origin.same_network, origin.continues) == (same, False)


def test_a_position_that_is_not_known_cannot_be_resumed():
    assert resumed_position(None) == (0, 0)
    with pytest.raises(BadCheckpoint, match="cannot be resumed"):
        resumed_position(CheckpointFile("/mine.ckpt"))
