"""`--time-limit`: how it is read, whose it is, and how it ends an attempt."""

from pathlib import Path

import click
import pytest

from erfnet_jobs.cli.parameters import DURATION
from erfnet_jobs.cli.root import run_command
from erfnet_jobs.client.submission import Following, follow_ups
from erfnet_jobs.errors import UsageError
from erfnet_jobs.jobs import Request
from erfnet_jobs.launch.program import RANK_MODULE, SCRIPTED
from erfnet_jobs.launch.scripted_rank import SCRIPT
from erfnet_jobs.registry.checkpoints import list_checkpoints
from erfnet_jobs.states import JobKind, JobState, Outcome
from erfnet_jobs.train_spec import TrainSpec
from tests.layout import empty_dataset
from tests.services import Site

LONG = [["hello"], ["checkpoint", 1, 1, 7], ["hang_deaf"]]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("45m", 2700), ("36h", 129_600), ("2d", 172_800), ("1.5h", 5400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "90", "h", "-1h", "1 h", "1e3s", "nan", "2d1h", "1w"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter, match="such as 90s, 45m, 36h or 2d"):
        DURATION.convert(text, None, None)


@pytest.mark.parametrize("limit", [0.5, 1e12, float("nan")])
def test_what_is_no_sensible_limit(limit: float) -> None:
    with pytest.raises(UsageError, match="time limit"):
        Request(TrainSpec("/data"), time_limit=limit)


def test_what_follows_a_training_does_not_inherit_its_limit() -> None:
    request = Request(TrainSpec("/data"), time_limit=60)
    assert [each.time_limit for each in follow_ups(request, 1, Following(then=(JobKind.EXPORT,)))] == [None, None]


def test_an_attempt_that_takes_longer_is_ended_and_not_tried_again(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.script({"default": LONG})
    urls = ["--database-url", site.settings.resolved_database_url, "--broker-url", site.settings.resolved_broker_url]
    command = ["--home", str(site.home), *urls]
    options = ["--no-eval", "--time-limit", "2s", "--max-attempts", "5"]
    assert run_command([*command, "submit", "train", "--data", str(site.data), *options]) == 0
    assert run_command([*command, "status", "1"]) == 0
    assert "2s an attempt" in capsys.readouterr().out

    ended = site.until(1, JobState.FAILED)

    since = "it ran longer than its time limit of 2 s, counted from the start of its processes: "
    assert (ended.reason or "").startswith(f"{since}its checkpoints are kept; give")
    assert run_command([*command, "status", "1"]) == 0
    assert "tried again until" not in capsys.readouterr().out
    (attempt,) = site.attempts(1)
    assert (attempt.outcome, attempt.permanent) == (Outcome.TIMED_OUT, True)
    (kept,) = site.ask(lambda session: list_checkpoints(session, 1))
    assert Path(kept.path).exists()
    assert not site.ranks()


def test_work_in_the_foreground_has_a_limit_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "script.json"
    script.write_text('{"default": [["hello"], ["hang"]]}')
    monkeypatch.setenv(RANK_MODULE, SCRIPTED)
    monkeypatch.setenv(SCRIPT, str(script))
    empty_dataset(tmp_path / "data")

    code = run_command(
        ["--home", str(tmp_path / "home"), "run", "train", "--data", str(tmp_path / "data"), "--time-limit", "1s"]
    )

    assert code != 0
    said = capsys.readouterr().err
    assert "it ran longer than its time limit of 1 s" in said
    assert "checkpoints are kept" not in said
