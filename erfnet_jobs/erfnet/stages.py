"""ERFNet's four stages as data, and what of them an attempt has to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from erfnet_jobs.choices import ENCODER, ERFNET
from erfnet_jobs.erfnet.labels import DECODER_WEIGHTS, ENCODER_WEIGHTS
from erfnet_jobs.train_spec import TrainSpec

FILE_PREFIXES = {ENCODER: "Encoder", ERFNET: "ERFNet"}
CLASS_WEIGHTS: dict[str, tuple[float, ...]] = {ENCODER: ENCODER_WEIGHTS, ERFNET: DECODER_WEIGHTS}
# By how much a network's logits, and the labels that go with them, are smaller than its input, per side.
LABEL_SCALES = {ENCODER: 8, ERFNET: 1}


@dataclass(frozen=True)
class Stage:
    """One stage: its network, the pair of stages that share a learning rate schedule, and what it trains with.

    The recipe of mindspore-ai/models, research/cv/erfnet: both networks fall from the first learning rate to 0 over
    the epochs of their two stages; the first crops by one ratio, the others by ratios from 1 to 1.3. Dropout is that of
    erfnet_pytorch: rates of the blocks at 1/4 and at 1/8 of the resolution.
    """

    number: int
    network: str
    pair: tuple[int, int]
    crop_ratios: tuple[float, float]
    dropout: tuple[float, float] = (0.03, 0.3)

    @property
    def class_weights(self) -> tuple[float, ...]:
        """Those of its network."""
        return CLASS_WEIGHTS[self.network]

    @property
    def label_scale(self) -> int:
        """That of its network."""
        return LABEL_SCALES[self.network]

    def checkpoint_name(self, epoch: int, steps: int) -> str:
        """The file name after `epoch` (from 1) of `steps` steps."""
        return f"{FILE_PREFIXES[self.network]}_stage{self.number}-{epoch}_{steps}.ckpt"


STAGES = {
    1: Stage(1, ENCODER, (1, 2), (1.2, 1.2)),
    2: Stage(2, ENCODER, (1, 2), (1.0, 1.3)),
    3: Stage(3, ERFNET, (3, 4), (1.0, 1.3)),
    4: Stage(4, ERFNET, (3, 4), (1.0, 1.3)),
}


@dataclass(frozen=True)
class StageRun:
    """A stage as an attempt runs it: `done` of its `epochs` are behind it already.

    The learning rate's epoch is `pair_start` + epoch in this stage, of `pair_epochs`.
    """

    stage: Stage
    epochs: int
    done: int
    pair_start: int
    pair_epochs: int


def stage_runs(spec: TrainSpec, done_stage: int = 0, done_epoch: int = 0) -> tuple[StageRun, ...]:
    """All that is left to do after epoch `done_epoch` (from 1) of stage `done_stage`; nothing is behind by default."""
    runs = (_run(spec, number, done_epoch if number == done_stage else 0) for number in spec.stages)
    return tuple(run for run in runs if run.stage.number >= done_stage and run.done < run.epochs)


def _run(spec: TrainSpec, number: int, done: int) -> StageRun:
    stage = STAGES[number]
    first, second = (spec.epochs[one - 1] for one in stage.pair)
    start = 0 if number == stage.pair[0] else first
    return StageRun(stage, spec.epochs[number - 1], done, start, first + second)


def network_of_name(path: str) -> str | None:
    """The network that a checkpoint's file name tells, if it is named as ours are."""
    prefix = PurePath(path).name.partition("_stage")[0]
    return next((network for network, name in FILE_PREFIXES.items() if name == prefix), None)


def total_epochs(runs: Sequence[StageRun]) -> int:
    """The epochs left in `runs`."""
    return sum(run.epochs - run.done for run in runs)
