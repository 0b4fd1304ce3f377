"""What status, best, metrics, logs and events answer, on both databases."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session

from erfnet_jobs.choices import EVALUATION_METRICS
from erfnet_jobs.errors import NotFound, UsageError
from erfnet_jobs.jobs import Part
from erfnet_jobs.registry.attempts import End, assign, claim, end_part, report_running
from erfnet_jobs.registry.checkpoints import resolve_checkpoints
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.evaluations import best
from erfnet_jobs.registry.events import now, record_event
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.logs import host_events, job_events, log_tails, newest_events
from erfnet_jobs.registry.metrics import metric_names, metric_series, newest_values
from erfnet_jobs.registry.status import count_by_state, job_details, list_jobs
from erfnet_jobs.registry.tables import Artifact, Checkpoint, Evaluation, LogTail, Metric
from erfnet_jobs.states import JobState, Outcome
from tests.registry_steps import SCHEDULER, add_hosts, failed, submit


@pytest.fixture
def session(registry: Registry) -> Iterator[Session]:
    with registry.write() as opened:
        add_hosts(opened)
        yield opened


def _evaluate(session: Session, job: int, value: float, checkpoint: Checkpoint | None = None, **others: Any) -> int:
    row = {
        "attempt": 1,
        "checkpoint_path": "/by/path.ckpt",
        "dataset_hash": "aaaa",
        "split": "val",
        "protocol": "half",
        "height": 512,
        "width": 1024,
        "engine": "mindspore-cpu",
        "images": 2,
        **dict.fromkeys(EVALUATION_METRICS, value),
        "iou_class": "[]",
        **others,
    }
    evaluation = Evaluation(
        job_id=job, checkpoint_id=checkpoint.id if checkpoint else None, created_at=now(session), **row
    )
    session.add(evaluation)
    session.flush()
    return evaluation.id


def _checkpoint(session: Session, job: int, name: str = "x", *, removed: bool = False) -> Checkpoint:
    at = now(session)
    row = Checkpoint(job_id=job, attempt=1, network="erfnet", stage=4, epoch=2, step=9, path=f"/runs/{name}")
    row.sha256, row.size, row.origin, row.created_at, row.removed_at = "0", 1, "train", at, at if removed else None
    session.add(row)
    session.flush()
    return row


def _in_state(session: Session, state: JobState, priority: int = 0) -> int:
    job = submit(session, priority=priority)
    get_job(session, job).state = state
    session.flush()
    return job


def test_active_jobs_come_first_then_the_newest_ended(session: Session) -> None:
    ended = [_in_state(session, state) for state in (JobState.FAILED, JobState.SUCCEEDED, JobState.SKIPPED)]
    waiting = _in_state(session, JobState.WAITING)
    low, high, low_too = (_in_state(session, JobState.QUEUED, priority) for priority in (0, 5, 0))
    running = _in_state(session, JobState.RUNNING)
    listed = [job.id for job in list_jobs(session)]
    assert listed == [running, high, low, low_too, waiting, *reversed(ended)]
    assert [job.id for job in list_jobs(session, states=[JobState.QUEUED])] == [high, low, low_too]
    assert [job.id for job in list_jobs(session, states=[JobState.FAILED])] == ended[:1]
    assert count_by_state(session) == {
        JobState.RUNNING: 1,
        JobState.STARTING: 0,
        JobState.ASSIGNED: 0,
        JobState.QUEUED: 3,
        JobState.WAITING: 1,
    }


def test_a_long_queue_does_not_hide_what_has_failed(session: Session) -> None:
    failures = [_in_state(session, JobState.FAILED) for _ in range(3)]
    queue = [_in_state(session, JobState.QUEUED) for _ in range(12)]
    assert [job.id for job in list_jobs(session, limit=8)] == [*queue[:6], *reversed(failures[1:])]
    assert [job.id for job in list_jobs(session, limit=1)] == queue[:1]
    assert list_jobs(session, limit=0) == []


def test_everything_about_a_job(session: Session) -> None:
    first = _in_state(session, JobState.SUCCEEDED)
    job = submit(session, after=(first,), max_attempts=1)
    later = submit(session, after=(job,))
    assert assign(session, job, 0, [Part("a", (0, 1), 0)], "/runs/2/1")
    assert claim(session, job, 1, "a", SCHEDULER)
    report_running(session, job, 1, "a")
    for rank in (0, 1):
        session.add(LogTail(job_id=job, attempt=1, rank=rank, host_name="a", path=f"/{rank}", text=f"of rank {rank}"))
    checkpoint = _checkpoint(session, job)
    made = _evaluate(session, first, 0.5, checkpoint)
    session.add(
        Artifact(job_id=job, attempt=1, format="mindir", path="/m", sha256="0", size=1, created_at=now(session))
    )
    session.flush()
    end = End(Outcome.FAILED, "rank 1 was killed", rank=1, signal=9, last_lines="of rank 1")
    assert end_part(session, job, 1, "a", end, 0)
    details = job_details(session, job)
    assert (details.job.state, details.job.reason) == ("failed", "rank 1 was killed")
    assert [(attempt.number, attempt.outcome, attempt.signal) for attempt in details.attempts] == [(1, "failed", 9)]
    assert [placement.host_name for placement in details.placements] == ["a"]
    assert [event.kind for event in details.events] == ["failed", "attempt failed", "running", "assigned", "submitted"]
    assert details.checkpoints == (checkpoint,)
    assert [evaluation.id for evaluation in details.evaluations] == [made]
    assert [artifact.path for artifact in details.artifacts] == ["/m"]
    assert (details.needs, details.needed_by) == ((first,), (later,))
    assert details.first_failure is not None
    assert details.first_failure.text == "of rank 1"
    assert [tail.rank for tail in details.tails] == [0, 1]
    assert job_details(session, first).needed_by == (job,)
    assert job_details(session, later).job.state == "skipped"


def test_unknown_jobs(session: Session) -> None:
    for question in (job_details, metric_names, job_events, log_tails, lambda s, j: best(s, "mean_iou", job=j)):
        with pytest.raises(NotFound, match="job 77 is unknown"):
            question(session, 77)
    with pytest.raises(NotFound, match="host 'nowhere' is unknown"):
        host_events(session, "nowhere")


@pytest.mark.parametrize("metric", EVALUATION_METRICS)
def test_the_best_is_the_highest_or_for_a_loss_the_lowest(session: Session, metric: str) -> None:
    job = submit(session)
    for value in (0.2, 0.9, 0.1, 0.5):
        _evaluate(session, job, value)
    values = [row.value for row in best(session, metric, top=3).rows]
    assert values == ([0.1, 0.2, 0.5] if metric == "mean_loss" else [0.9, 0.5, 0.2])
    assert [row.value for row in best(session, metric, top=3, job=job).rows] == values


def _rider(value: float | None) -> str:
    return json.dumps([0.9] * 12 + [value] + [0.1] * 6)


def test_the_best_by_the_iou_of_a_class_is_of_the_same_group(session: Session) -> None:
    job = submit(session)
    kept, gone = _checkpoint(session, job, "kept"), _checkpoint(session, job, "gone", removed=True)
    for value in (0.2, None, 0.6, 0.6):
        _evaluate(session, job, 0.5, kept, iou_class=_rider(value))
    _evaluate(session, job, 0.5, gone, iou_class=_rider(0.9))
    _evaluate(session, job, 0.5, kept, iou_class=_rider(0.99), model_sha256="c" * 64)
    _evaluate(session, job, 0.5, kept, iou_class=_rider(0.98), protocol="full")
    for whose in (None, job):
        rows = best(session, "iou_rider", top=5, job=whose).rows
        assert [(row.value, row.evaluation.id) for row in rows] == [(0.6, 4), (0.6, 3), (0.2, 1)]
        assert len(best(session, "iou_rider", top=1, job=whose).rows) == 1
        assert best(session, "iou_rider", job=whose, protocol="full").rows[0].value == 0.98


def test_a_class_that_no_evaluation_has(session: Session) -> None:
    job = submit(session)
    _evaluate(session, job, 0.5, iou_class=_rider(None))
    for whose in (None, job):
        with pytest.raises(NotFound, match="no checkpoint on disk has an IoU of rider on val of dataset aaaa"):
            best(session, "iou_rider", job=whose)


def test_the_best_never_mixes(session: Session) -> None:
    job = submit(session)
    _evaluate(session, job, 0.99, dataset_hash="bbbb")
    _evaluate(session, job, 0.98, height=256)
    _evaluate(session, job, 0.97, width=512)
    _evaluate(session, job, 0.96, split="test")
    _evaluate(session, job, 0.95, protocol="encoder-half")
    _evaluate(session, job, 0.4)
    _evaluate(session, job, 0.5)
    _evaluate(session, job, 0.93, protocol="full")
    _evaluate(session, job, 0.94, protocol="encoder-half")
    for whose in (None, job):
        result = best(session, "mean_iou", top=10, job=whose)
        assert (result.group.dataset_hash, result.group.protocol, result.group.height) == ("aaaa", "half", 512)
        assert [row.value for row in result.rows] == [0.5, 0.4]
        assert result.other_groups == 5
        assert best(session, "mean_iou", dataset_hash="bb", job=whose).rows[0].value == 0.99
        assert best(session, "mean_iou", size=(256, 1024), job=whose).rows[0].value == 0.98
        assert best(session, "mean_iou", split="test", job=whose).rows[0].value == 0.96
        assert best(session, "mean_iou", protocol="encoder-half", job=whose).rows[0].value == 0.95
        assert [row.value for row in best(session, "mean_iou", protocol="full", top=9, job=whose).rows] == [0.93]
        with pytest.raises(NotFound, match=r"no evaluation on split val.* on dataset ff.*submit eval"):
            best(session, "mean_iou", dataset_hash="ff", job=whose)


@pytest.mark.parametrize("of_job", [False, True])
@pytest.mark.parametrize("metric", EVALUATION_METRICS)
def test_converted_models_are_not_compared(session: Session, metric: str, of_job: bool) -> None:
    job = submit(session)
    own = _evaluate(session, job, 0.5)
    for value in (0.1, 0.9):
        _evaluate(session, job, value, engine="lite-cpu", model_sha256="c" * 64)
    _evaluate(session, job, 0.9, engine="lite-ascend310", model_sha256="c" * 64, mean_loss=None, height=256)
    result = best(session, metric, job=job if of_job else None, top=9)
    assert ([row.evaluation.id for row in result.rows], result.other_groups) == ([own], 0)


@pytest.mark.parametrize("of_job", [False, True])
def test_what_has_no_loss_is_not_the_lowest(session: Session, of_job: bool) -> None:
    job = submit(session)
    _evaluate(session, job, 0.5, mean_loss=None)
    measured = _evaluate(session, job, 0.5, mean_loss=0.2)
    result = best(session, "mean_loss", job=job if of_job else None, top=9)
    assert [row.evaluation.id for row in result.rows] == [measured]


def test_without_half_it_is_full_then_the_encoder(session: Session) -> None:
    job = submit(session)
    _evaluate(session, job, 0.2, protocol="full")
    _evaluate(session, job, 0.9, protocol="encoder-half")
    for whose in (None, job):
        assert best(session, "mean_iou", job=whose).group.protocol == "full"


def test_without_a_full_network_the_newest_group_of_all(session: Session) -> None:
    job = submit(session)
    _evaluate(session, job, 0.9, protocol="encoder-half", dataset_hash="bbbb")
    _evaluate(session, job, 0.1, protocol="encoder-half")
    assert best(session, "mean_iou").rows[0].value == 0.1


def test_a_jobs_best_is_of_its_last_stage_or_of_the_network_asked_for(session: Session) -> None:
    job = submit(session)
    encoder, whole, other = (_checkpoint(session, job, name) for name in ("encoder", "whole", "other"))
    encoder.network, encoder.stage = "encoder", 2
    _evaluate(session, job, 0.9, encoder, protocol="encoder-half")
    assert resolve_checkpoints(session, f"{job}:best")[0].id == other.id  # the last one: no ERFNet was measured
    assert resolve_checkpoints(session, f"{job}:best", "encoder")[0].id == encoder.id
    _evaluate(session, job, 0.3, whole)
    _evaluate(session, job, 0.2, other)
    assert resolve_checkpoints(session, f"{job}:best")[0].id == whole.id
    assert resolve_checkpoints(session, f"{job}:best", "encoder")[0].id == encoder.id


def test_without_an_evaluation_the_best_is_what_the_training_measured(session: Session) -> None:
    job = submit(session)
    rows = [_checkpoint(session, job, f"epoch{epoch}") for epoch in (1, 2, 3)]
    for epoch, (row, value) in enumerate(zip(rows, (0.2, 0.4, 0.3), strict=True), 1):
        row.epoch = epoch
        session.add(Metric(job_id=job, name="val_mean_iou", attempt=1, stage=4, step=epoch, epoch=epoch, value=value))
    session.add(Metric(job_id=job, name="loss", attempt=1, stage=4, step=3, epoch=3, value=9.0))
    session.flush()
    assert resolve_checkpoints(session, f"{job}:best")[0].id == rows[1].id
    rows[1].removed_at = now(session)
    session.flush()
    assert resolve_checkpoints(session, f"{job}:best")[0].id == rows[2].id


def test_the_best_is_on_disk(session: Session) -> None:
    train, evaluation = submit(session), submit(session)
    _evaluate(session, evaluation, 0.9, _checkpoint(session, train, "gone", removed=True))
    with pytest.raises(NotFound, match="removed from disk"):
        best(session, "mean_iou")
    there = _checkpoint(session, train, "there")
    _evaluate(session, evaluation, 0.5, there)
    for job in (None, train, evaluation):
        (row,) = best(session, "mean_iou", top=5, job=job).rows
        assert (row.value, row.checkpoint, row.path, row.job) == (0.5, there.id, "/runs/there", train)
        assert (row.attempt, row.stage, row.epoch, row.step) == (1, 4, 2, 9)


def test_a_checkpoint_that_the_registry_does_not_know(session: Session) -> None:
    _evaluate(session, submit(session), 0.5)
    row = best(session, "mean_iou").rows[0]
    assert (row.checkpoint, row.path, row.job) == (None, "/by/path.ckpt", None)


def test_nothing_to_compare(session: Session) -> None:
    with pytest.raises(NotFound, match="no evaluation on split val: make one"):
        best(session, "mean_iou")
    with pytest.raises(UsageError, match="'iou': give one of mean_iou, mean_iou_19, pixel_accuracy, mean_loss"):
        best(session, "iou")


def _run_attempts(session: Session, count: int) -> int:
    job = submit(session, max_attempts=count)
    for number in range(count):
        assert assign(session, job, number, [Part("a", (0,), 0)], "/runs")
        assert claim(session, job, number + 1, "a", SCHEDULER)
        if number + 1 < count:
            assert end_part(session, job, number + 1, "a", failed(), 0)
    return job


def _measure(session: Session, job: int, attempt: int, points: list[tuple[int, int]], name: str = "loss") -> None:
    for stage, step in points:
        session.add(
            Metric(job_id=job, name=name, attempt=attempt, stage=stage, step=step, epoch=1, value=float(attempt))
        )
    session.flush()


def test_a_later_attempt_overrides_what_it_did_again(session: Session) -> None:
    job = _run_attempts(session, 4)
    _measure(session, job, 1, [(1, 10), (1, 20), (2, 10), (2, 20)])
    _measure(session, job, 2, [(2, 10), (2, 20), (2, 30)])
    _measure(session, job, 4, [(2, 20)])
    _measure(session, job, 1, [(1, 1)], name="lr")
    curve = [(value.attempt, value.stage, value.step) for value in metric_series(session, job, "loss")]
    assert curve == [(1, 1, 10), (1, 1, 20), (2, 2, 10), (4, 2, 20)]
    for limit in range(1, 6):
        newest = [(v.attempt, v.stage, v.step) for v in metric_series(session, job, "loss", limit)]
        assert newest == curve[-limit:]
    assert metric_names(session, job) == ["loss", "lr"]
    assert [(value.name, value.value) for value in newest_values(session, job)] == [("loss", 4.0), ("lr", 1.0)]
    with pytest.raises(NotFound, match="no metric 'lost': it has loss, lr"):
        metric_series(session, job, "lost")


def test_a_job_without_values(session: Session) -> None:
    job = submit(session)
    assert metric_names(session, job) == []
    with pytest.raises(NotFound, match="it has none yet"):
        metric_series(session, job, "loss")


def test_log_tails_by_attempt_and_rank(session: Session) -> None:
    job = _run_attempts(session, 2)
    for attempt, rank in ((1, 0), (2, 1), (2, 0)):
        text = f"{attempt}.{rank}"
        session.add(LogTail(job_id=job, attempt=attempt, rank=rank, host_name="a", path="/l", text=text))
    session.flush()
    assert [tail.text for tail in log_tails(session, job)] == ["2.0", "2.1"]
    assert [tail.text for tail in log_tails(session, job, rank=1)] == ["2.1"]
    assert [tail.text for tail in log_tails(session, job, attempt=1)] == ["1.0"]
    assert log_tails(session, submit(session)) == []
    with pytest.raises(NotFound, match="has no attempt 3"):
        log_tails(session, job, attempt=3)


def test_events_newest_first(session: Session) -> None:
    job = submit(session)
    for number in range(3):
        record_event(session, "cordoned", str(number), host="a")
    session.flush()
    assert [event.text for event in host_events(session, "a", limit=2)] == ["2", "1"]
    assert [event.kind for event in job_events(session, job)] == ["submitted"]
    assert [event.kind for event in newest_events(session)] == ["cordoned"] * 3 + ["submitted"]
