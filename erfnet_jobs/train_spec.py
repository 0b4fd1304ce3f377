"""What a training is told. Stdlib only."""

from dataclasses import dataclass
from typing import ClassVar

from erfnet_jobs.choices import (
    AMP_LEVELS,
    AUGMENTATIONS,
    DEFAULT_AUGMENT,
    LR_SCALINGS,
    REFERENCE_BATCH_SIZE,
    REFERENCE_EPOCHS,
    REFERENCE_LR,
    REFERENCE_SIZE,
    STAGES,
)
from erfnet_jobs.spec_checks import check_common, require, whole
from erfnet_jobs.states import JobKind


@dataclass(frozen=True)
class TrainSpec:
    """Train ERFNet's stages one after another in one gang.

    `batch_size` is images per rank; `size` is (height, width) in pixels; `lr` is the first learning rate of a pair of
    stages on one card (None: the reference's), and `scale_lr` how it follows the cards (None: not at all where `lr` is
    given, else by their square root). `checkpoint` names the weights from which a first stage other than 1 starts, or
    `from_scratch` says that it starts from random ones. `keep` is how many of the newest checkpoints of each stage stay
    on disk beside its best, `validate_every` after how many epochs the validation split is measured (0: never), `amp`
    the level of mixed precision (None: the device's default), `augment` names what is done to images by chance.
    """

    kind: ClassVar[JobKind] = JobKind.TRAIN
    data: str
    cards: int = 1
    stages: tuple[int, ...] = STAGES
    epochs: tuple[int, ...] = REFERENCE_EPOCHS
    batch_size: int = REFERENCE_BATCH_SIZE
    lr: float | None = None
    size: tuple[int, int] = REFERENCE_SIZE
    seed: int = 1
    checkpoint: str | None = None
    keep: int = 3
    scale_lr: str | None = None
    from_scratch: bool = False
    validate_every: int = 1
    amp: str | None = None
    augment: tuple[str, ...] = DEFAULT_AUGMENT

    def __post_init__(self) -> None:
        check_common(self.cards, self.size, self.batch_size)
        contiguous = [STAGES[first:end] for first in range(len(STAGES)) for end in range(first + 1, len(STAGES) + 1)]
        require(
            self.stages in contiguous and all(whole(stage, 1, len(STAGES)) for stage in self.stages),
            "stages",
            self.stages,
            "give a range within 1-4, such as 1-4 or 3-4",
        )
        require(
            len(self.epochs) == len(STAGES) and all(whole(epoch, 1, 100_000) for epoch in self.epochs),
            "epochs",
            self.epochs,
            "give four whole numbers from 1, one for each stage, such as 65,85,65,85",
        )
        require(
            self.lr is None or (type(self.lr) in {int, float} and 0 < self.lr <= 1),
            "lr",
            self.lr,
            "give a number above 0 and up to 1",
        )
        require(whole(self.seed, 0, 2**31 - 1), "seed", self.seed, "give a whole number from 0 to 2147483647")
        require(whole(self.keep, 1, 2**31), "keep", self.keep, "keep at least one checkpoint")
        require(bool(self.data), "data", self.data, "give a dataset folder or a MindRecord")
        require(
            self.scale_lr in (None, *LR_SCALINGS), "scale_lr", self.scale_lr, f"give one of {', '.join(LR_SCALINGS)}"
        )
        require(self.amp in (None, *AMP_LEVELS), "amp", self.amp, f"give one of {', '.join(AMP_LEVELS)}")
        require(
            whole(self.validate_every, 0, 100_000),
            "validate every",
            self.validate_every,
            "give epochs, or 0 for never",
        )
        require(
            isinstance(self.augment, tuple)
            and len(set(self.augment)) == len(self.augment)
            and set(self.augment) <= set(AUGMENTATIONS),
            "augment",
            self.augment,
            f"give some of {', '.join(AUGMENTATIONS)}, each once, or none",
        )
        require(
            self.first_lr <= 1,
            "learning rate on all cards",
            self.first_lr,
            "give a lower --lr or another --scale-lr, so that it is at most 1",
        )
        self._check_start()

    def _check_start(self) -> None:
        require(
            self.stages[0] == 1 or self.checkpoint is not None or self.from_scratch,
            "checkpoint",
            self.checkpoint,
            f"stage {self.stages[0]} starts from weights: name them with --checkpoint, or say --from-scratch",
        )
        require(
            not (self.from_scratch and self.checkpoint is not None),
            "checkpoint",
            self.checkpoint,
            "--from-scratch starts from random weights: leave one of the two out",
        )
        require(
            self.stages[0] != 1 or self.checkpoint is None,
            "checkpoint",
            self.checkpoint,
            "stage 1 starts from random weights: leave --checkpoint out or give --stages 2-4",
        )

    @property
    def first_lr(self) -> float:
        """The learning rate at epoch 0, on all cards."""
        return self.base_lr * LR_SCALINGS[self.lr_scaling](self.cards)

    @property
    def base_lr(self) -> float:
        """The learning rate at epoch 0 on one card."""
        return REFERENCE_LR if self.lr is None else self.lr

    @property
    def lr_scaling(self) -> str:
        """How the learning rate follows the cards: one of LR_SCALINGS."""
        if self.scale_lr is not None:
            return self.scale_lr
        return "sqrt" if self.lr is None else "none"

    @property
    def global_batch(self) -> int:
        """Images of all ranks together in one step."""
        return self.batch_size * self.cards
