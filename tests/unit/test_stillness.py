"""How long a gang may be silent, by a clock that the test sets."""

import pytest

from erfnet_jobs.launch.stillness import Stillness
from erfnet_jobs.reports import Hello, Metric, Phase, Progress, Report

HELLO = Hello(0, 2, "here", 0, 4711)
STEP = Progress(0.1, 1, 10)
STUCK, COMPILE = 10.0, 100.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def silence_after(*reports: Report | None) -> float:
    """How many seconds of silence are in order after these reports."""
    clock = Clock()
    stillness = Stillness(STUCK, COMPILE, clock)
    for report in reports:
        clock.now += 9
        stillness.hear(report)
    begin = clock.now
    for limit in (STUCK, COMPILE):
        clock.now = begin + limit
        assert stillness.verdict is None
        clock.now += 0.001
        if stillness.verdict:
            return limit
    raise AssertionError("it may be silent for ever")


@pytest.mark.parametrize(
    ("reports", "limit"),
    [
        ((), COMPILE),
        ((HELLO, Phase("build data", 3, 9)), COMPILE),
        ((HELLO, Phase("compile")), COMPILE),
        ((HELLO, Phase("compile"), Phase("train"), STEP), STUCK),
        ((HELLO, STEP, Metric(1, 1, 1, {"loss": 1.0}), None), STUCK),
        ((HELLO, STEP, Phase("validate", 0, 500)), STUCK),
        ((HELLO, STEP, Phase("compile")), COMPILE),
        ((HELLO, STEP, Phase("compile"), Phase("train")), STUCK),
    ],
)
def test_the_limit_follows_what_is_done(reports: tuple[Report | None, ...], limit: float) -> None:
    assert silence_after(*reports) == limit


def test_long_work_that_tells_its_phases_never_stands_still() -> None:
    clock = Clock()
    stillness = Stillness(STUCK, STUCK, clock)
    stillness.hear(STEP)
    for done in range(1000):
        clock.now += STUCK
        assert stillness.verdict is None
        stillness.hear(Phase("validate", done, 1000))


def verdict_after(*reports: Report) -> str | None:
    clock = Clock()
    stillness = Stillness(STUCK, COMPILE, clock)
    for report in reports:
        stillness.hear(report)
    clock.now += COMPILE + 1
    return stillness.verdict


def test_the_verdict_says_which_limit_it_was() -> None:
    assert verdict_after(HELLO, Phase("compile")) == (
        "no rank reported anything for 100 s in phase 'compile', before the first step: it hangs, or "
        "ERFNET_JOBS_COMPILE_TIMEOUT is too short for this network"
    )
    assert "compiling again" in str(verdict_after(HELLO, STEP, Phase("compile")))
    assert verdict_after(STEP, Phase("train")) == (
        "no rank reported anything for 10 s in phase 'train': a collective or a device hangs"
    )
