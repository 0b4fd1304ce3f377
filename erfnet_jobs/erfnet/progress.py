"""What rank 0 tells about a training: how far it is, how fast, how long still; not more often than anyone can read."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from erfnet_jobs.choices import ENCODER, ERFNET
from erfnet_jobs.erfnet.stages import StageRun
from erfnet_jobs.erfnet.thinning import Thinning
from erfnet_jobs.reports import Metric, Progress, Report

PROGRESS_INTERVAL = 0.5
METRIC_INTERVAL = 1.0
# How long a step of the encoder takes, where a step of the whole network takes 1 (measured on a CPU at 96x192).
COSTS = {ENCODER: 0.65, ERFNET: 1.0}
# The share of the newest step in the smoothed rate.
SMOOTHING = 0.1


class Rate:
    """Seconds for a unit of work, smoothed; None until something was measured."""

    def __init__(self) -> None:
        self.seconds: float | None = None

    def add(self, seconds: float) -> None:
        """Count one more measurement."""
        self.seconds = seconds if self.seconds is None else self.seconds + SMOOTHING * (seconds - self.seconds)


@dataclass(frozen=True)
class StepDone:
    """One step: `epoch` and `step` count from 1, `seconds` is None where compiling was part of it."""

    epoch: int
    step: int
    loss: float
    lr: float
    seconds: float | None


class TrainingProgress:
    """Turns steps into reports.

    `runs` are the stages that this attempt has to do, `all_runs` those of the whole job (the fraction counts what
    earlier attempts did), `steps` in every epoch, `global_batch` images of all ranks together, `validations` how often
    this attempt measures the validation split.
    """

    def __init__(
        self,
        write: Callable[[Report], None],
        runs: Sequence[StageRun],
        all_runs: Sequence[StageRun],
        steps: int,
        global_batch: int,
        clock: Callable[[], float] = time.monotonic,
        validations: int = 0,
    ) -> None:
        self._write = write
        self._steps = steps
        self._global_batch = global_batch
        self._total = sum(_cost(run, steps) for run in all_runs)
        self._done = self._total - sum(_cost(run, steps) for run in runs)
        self._rate = Rate()
        self._validations = validations
        self._validation_rate = Rate()
        self._progress_time = Thinning(PROGRESS_INTERVAL, clock)
        self._metric_time = Thinning(METRIC_INTERVAL, clock)

    def step(self, run: StageRun, done: StepDone, last: bool = True) -> None:
        """Count a step and report it, unless one was reported just before; an epoch's last step is always reported.

        Of steps that came together only the `last` one is reported.
        """
        cost = COSTS[run.stage.network]
        self._done += cost
        if done.seconds is not None:
            self._rate.add(done.seconds / cost)
        if not last:
            return
        if self._progress_time.is_due(always=done.step == self._steps):
            self._write(self._progress(run, done, cost))
        if self._metric_time.is_due():
            self._write(self._metric(run, done, {"loss": done.loss, "lr": done.lr, **self._speed(cost)}))

    def epoch(self, run: StageRun, done: StepDone, mean_loss: float) -> None:
        """Report the epoch that ended with step `done`."""
        self._write(self._metric(run, done, {"epoch_loss": mean_loss, "lr": done.lr}))

    def validated(self, seconds: float | None) -> None:
        """Count a measurement of the validation split; `seconds` is None where compiling was part of it."""
        self._validations -= 1
        if seconds is not None:
            self._validation_rate.add(seconds)

    def _eta(self) -> float | None:
        if self._rate.seconds is None:
            return None
        validations = max(0, self._validations) * (self._validation_rate.seconds or 0.0)
        return max(0.0, self._total - self._done) * self._rate.seconds + validations

    def _speed(self, cost: float) -> dict[str, float]:
        if not self._rate.seconds:
            return {}
        return {"images_per_second": round(self._global_batch / (self._rate.seconds * cost), 3)}

    def _progress(self, run: StageRun, done: StepDone, cost: float) -> Progress:
        eta = self._eta()
        return Progress(
            fraction=round(min(1.0, self._done / self._total), 6),
            step=done.step,
            steps=self._steps,
            stage=run.stage.number,
            epoch=done.epoch,
            epochs=run.epochs,
            loss=done.loss,
            lr=done.lr,
            images_per_second=self._speed(cost).get("images_per_second"),
            eta_seconds=None if eta is None else round(eta, 1),
        )

    def _metric(self, run: StageRun, done: StepDone, values: dict[str, float]) -> Metric:
        step = (done.epoch - 1) * self._steps + done.step
        return Metric(stage=run.stage.number, epoch=done.epoch, step=step, values=values)


def _cost(run: StageRun, steps: int) -> float:
    return (run.epochs - run.done) * steps * COSTS[run.stage.network]
