"""What a 310-infer job is told: pictures through the C++ program on MindSpore Lite. Stdlib only."""

from dataclasses import dataclass
from typing import ClassVar

from erfnet_jobs.choices import FP16, FP32, PRECISIONS, REFERENCE_SIZE, SAVES, SPLITS
from erfnet_jobs.errors import UsageError
from erfnet_jobs.spec_checks import check_common, require, require_folder, whole
from erfnet_jobs.states import JobKind


@dataclass(frozen=True)
class Infer310Spec:
    """Segment pictures with the C++ program on Ascend 310 or 310P, or on the CPU where `allow_cpu`.

    Either `checkpoint` (a reference or a path, exported at `size` (height, width) and converted where needed) or
    `model`, a file that MindSpore Lite reads, is given; a model says its size itself. `images` and `labels` are
    folders: a Cityscapes-layout dataset (then `split` chooses, and `labels` is the dataset as well) or flat ones. With
    `labels` the confusion matrix is counted at the model's size. `save` says what is written of each picture into
    `output` (None: the run's folder); `limit` ends after that many pictures. `threads` None leaves it to the host.
    """

    kind: ClassVar[JobKind] = JobKind.INFER_310
    images: str
    checkpoint: str | None = None
    model: str | None = None
    labels: str | None = None
    split: str = "val"
    size: tuple[int, int] = REFERENCE_SIZE
    save: tuple[str, ...] = ("labels",)
    limit: int | None = None
    output: str | None = None
    precision: str = FP32
    threads: int | None = None
    allow_cpu: bool = False
    cards: int = 1

    def __post_init__(self) -> None:
        check_common(self.cards, self.size, 1)
        if (self.checkpoint is None) == (self.model is None):
            raise UsageError("give a checkpoint or a model, one of them: it says which weights to use")
        if self.model is not None and self.model.lower().endswith(".ckpt"):
            raise UsageError(f"--model {self.model} is a checkpoint of MindSpore: give it to --checkpoint")
        require(self.cards == 1, "cards", self.cards, "a 310-infer job runs on one device")
        require(self.split in SPLITS, "split", self.split, f"give one of {', '.join(SPLITS)}")
        require(
            set(self.save) <= set(SAVES) and len(set(self.save)) == len(self.save),
            "save",
            ",".join(self.save),
            f"give some of {', '.join(SAVES)}, each once",
        )
        require(self.limit is None or whole(self.limit, 1, 2**31), "limit", self.limit, "give a whole number from 1")
        require(self.precision in PRECISIONS, "precision", self.precision, f"give one of {', '.join(PRECISIONS)}")
        require(self.threads is None or whole(self.threads, 1, 256), "threads", self.threads, "give one from 1 to 256")
        require_folder("output", self.output)
        if self.output is not None and self.output in (self.images, self.labels):
            raise UsageError(
                f"--output {self.output} is the folder of --images or --labels, and what is written there may be "
                "read as pictures or labels by the next run: give a folder of its own"
            )

    def check_cpu(self) -> None:
        """Raise UsageError where the device that it has got is a CPU, and it must not be one."""
        if not self.allow_cpu:
            raise UsageError("the job may not run on a CPU: give it a 310 or 310P, or allow CPUs with --allow-cpu")
        if self.precision == FP16:
            raise UsageError(
                "--precision fp16 is for Ascend, and this is a CPU, on which MindSpore Lite computes in fp32: "
                "leave it out, or keep to a 310 or 310P (no --allow-cpu, no --device cpu)"
            )
