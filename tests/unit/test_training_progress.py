import pytest

from erfnet_jobs.erfnet.progress import StepDone, TrainingProgress
from erfnet_jobs.erfnet.stages import stage_runs
from erfnet_jobs.reports import Metric, Progress
from erfnet_jobs.train_spec import TrainSpec

SPEC = TrainSpec(data="/data", epochs=(1, 1, 1, 1))


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def follow(seconds, steps=10, runs=None, compiled=0.0):
    """All steps of a training, each `seconds` long; gives the reports."""
    clock, reports = Clock(), []
    all_runs = stage_runs(SPEC)
    left = all_runs if runs is None else runs
    progress = TrainingProgress(reports.append, left, all_runs, steps, 8, clock)
    for run in left:
        for number in range(1, steps + 1):
            clock.now += seconds + (compiled if number == 1 else 0)
            first = number == 1 and compiled
            progress.step(run, StepDone(1, number, 2.0, 1e-3, None if first else seconds))
        progress.epoch(run, StepDone(1, steps, 2.0, 1e-3, seconds), 2.5)
    return reports


def of(kind, reports):
    return [report for report in reports if isinstance(report, kind)]


def test_slow_steps_are_all_told_and_fractions_grow_to_one():
    shown = of(Progress, follow(2.0))

    fractions = [report.fraction for report in shown]
    assert len(shown) == 40
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert shown[-1].eta_seconds == 0


def test_fast_steps_are_thinned_and_every_epoch_ends_in_a_report():
    shown = of(Progress, follow(0.01, steps=100))

    assert len(shown) <= 4 * 3
    assert [report.step for report in shown].count(100) == 4


def test_compiling_is_no_part_of_the_rate():
    last = of(Progress, follow(2.0, compiled=500.0))[-1]

    assert last.images_per_second == pytest.approx(4.0, rel=0.1)  # both networks were given the same time


def test_epochs_have_their_loss():
    losses = [report for report in of(Metric, follow(0.01)) if "epoch_loss" in report.values]

    assert [report.values["epoch_loss"] for report in losses] == [2.5] * 4
    assert [(report.stage, report.step) for report in losses] == [(1, 10), (2, 10), (3, 10), (4, 10)]


def test_what_an_earlier_attempt_did_counts():
    first = of(Progress, follow(2.0, runs=stage_runs(SPEC, 2, 1)))[0]

    assert first.stage == 3
    assert first.fraction > 0.35


def test_validations_that_are_left_count_in_the_eta():
    clock, reports = Clock(), []
    (run, *_) = stage_runs(SPEC)
    progress = TrainingProgress(reports.append, [run], [run], 4, 8, clock, validations=3)
    for number, step in enumerate((1, 2, 3), 1):
        clock.now += 10
        progress.step(run, StepDone(1, step, 2.0, 1e-3, 10.0))
        if number == 1:
            progress.validated(None)  # compiled
        if number == 2:
            progress.validated(30.0)

    etas = [report.eta_seconds for report in of(Progress, reports)]
    assert etas == pytest.approx([30, 20, 10 + 30], abs=0.2)
    assert of(Progress, reports)[-1].lr == 1e-3


def test_of_steps_that_came_together_the_last_is_told():
    reports = []
    (run, *_) = stage_runs(SPEC)
    progress = TrainingProgress(reports.append, [run], [run], 10, 8, Clock())
    for step in range(1, 7):
        progress.step(run, StepDone(1, step, float(step), 1e-3, 0.1), last=step == 6)

    assert [report.step for report in of(Progress, reports)] == [6]
