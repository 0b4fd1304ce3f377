"""From which checkpoint a stage starts, found by what is recorded and never by what lies about."""

from dataclasses import dataclass
from pathlib import Path

from erfnet_jobs.erfnet.manifest import Entry, Manifest, check_hash, read_manifest
from erfnet_jobs.erfnet.stages import STAGES, StageRun
from erfnet_jobs.errors import BadCheckpoint, BadData, RanksFailed
from erfnet_jobs.plan import CheckpointFile, Plan
from erfnet_jobs.train_spec import TrainSpec


@dataclass(frozen=True)
class Origin:
    """A checkpoint to start from. `same_network`: all of its weights are taken, else its encoder's only.

    `continues`: Adam's moments are taken as well.
    """

    path: Path
    sha256: str | None
    same_network: bool
    continues: bool


def origin_of(run: StageRun, plan: Plan, manifest: Manifest) -> Origin | None:
    """Where `run` starts: None for random weights (stage 1 from its beginning, or the job's first from scratch).

    In the middle of a stage that is the checkpoint to resume; at its beginning what the stage before left in the
    manifest, and for the job's first stage what the user named. Raises BadCheckpoint where there is none.
    """
    if run.done:
        return _recorded(run, manifest, run.stage.number)
    if run.stage.number == 1:
        return None
    if manifest.newest(run.stage.number - 1):
        return _recorded(run, manifest, run.stage.number - 1)
    spec = plan.spec
    if isinstance(spec, TrainSpec) and run.stage.number == spec.stages[0]:
        if plan.inputs:
            return _named(run, plan.inputs[0])
        if spec.from_scratch:
            return None
    raise BadCheckpoint(
        f"stage {run.stage.number} starts from the last checkpoint of stage {run.stage.number - 1}, and "
        f"{manifest.folder} has none: run that stage too, or name a checkpoint with --checkpoint"
    )


def adopt_resumed(plan: Plan, manifest: Manifest) -> str | None:
    """Take the checkpoint from which the attempt goes on into its own folder, with what is known of it.

    Gives the hash of the data that it was trained on, None where that is not known. Raises RanksFailed if it has
    changed: the next attempt may go on from an older one.
    """
    resume = plan.resume
    if resume is None:
        return None
    path = Path(resume.path)
    before, dataset_hash = read_manifest(path.parent)
    if any(entry.sha256 == resume.sha256 for entry in manifest.entries):
        return dataset_hash
    try:
        check_hash(path, resume.sha256)
    except BadCheckpoint as error:
        raise RanksFailed(
            f"the training cannot go on from here, its next attempt from an older one: {error}"
        ) from error
    stage, epoch = resumed_position(resume)
    entry = Entry(
        network=STAGES[stage].network,
        stage=stage,
        epoch=epoch,
        step=resume.step or 0,
        file=path.name,
        sha256=resume.sha256 or "",
        size=path.stat().st_size,
        adopted=True,
        mean_iou=next((one.mean_iou for one in before if one.sha256 == resume.sha256), None),
    )
    manifest.adopt(path, entry)
    return dataset_hash


def check_same_dataset(before: str | None, now: str, data: str) -> None:
    """Raise BadData where a training would go on with other data than it began with; None: not known."""
    if before is not None and before != now:
        raise BadData(
            f"{data} has changed since the training began (content {now[:12]}, at first {before[:12]}): the training "
            "cannot go on as it was; put the data back, or submit a new job with --checkpoint"
        )


def resumed_position(resume: CheckpointFile | None) -> tuple[int, int]:
    """Stage and epoch (from 1) after which a checkpoint was written; (0, 0) for none.

    Raises BadCheckpoint where the plan does not tell.
    """
    if resume is None:
        return 0, 0
    if resume.stage is None or resume.epoch is None or resume.sha256 is None:
        raise BadCheckpoint(f"{resume.path} cannot be resumed: its stage, epoch or hash is unknown; start again")
    return resume.stage, resume.epoch


def _recorded(run: StageRun, manifest: Manifest, stage: int) -> Origin:
    entry = manifest.newest(stage)
    if entry is None:
        raise BadCheckpoint(f"{manifest.folder} has no checkpoint of stage {stage} to go on from: start the job again")
    same = entry.network == run.stage.network
    return Origin(manifest.folder / entry.file, entry.sha256, same_network=same, continues=same)


def _named(run: StageRun, given: CheckpointFile) -> Origin:
    same = run.stage.number != run.stage.pair[0]
    return Origin(Path(given.path), given.sha256, same_network=same, continues=False)
