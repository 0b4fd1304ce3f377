"""Training really over MindSpore's own collective, from one host to the other, with small networks."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from erfnet_jobs.erfnet.checkpoints import load
from erfnet_jobs.erfnet.scenes import Scenes, make_scenes
from erfnet_jobs.jobs import Request
from erfnet_jobs.registry.checkpoints import list_checkpoints
from erfnet_jobs.registry.tables import Checkpoint, Metric
from erfnet_jobs.states import JobState, Outcome
from erfnet_jobs.train_spec import TrainSpec
from tests.services import Site, eventually
from tests.two_hosts import NewHosts, TwoHosts, cut_power

pytestmark = [pytest.mark.mindspore, pytest.mark.xdist_group("gangs")]
SUCCEEDED = JobState.SUCCEEDED
PATIENCE = 300.0
EPOCHS = (2, 1, 2, 2)
# 9 images in global batches of 4.
STEPS = 2


EVERY_EPOCH = [(stage, epoch * STEPS) for stage, epochs in enumerate(EPOCHS, 1) for epoch in range(1, epochs + 1)]


def prepared(hosts: TwoHosts) -> TwoHosts:
    """Hosts with real ranks, and a dataset that both see."""
    make_scenes(hosts.left.folder / "scenes", Scenes(train=9, val=3, size=(64, 128), seed=1), workers=1)
    hosts.use_ranks("tests.tiny_rank")
    return hosts


def submit(site: Site, host: str | None = None) -> int:
    data = str(site.folder / "scenes")
    spec = TrainSpec(data, cards=2, epochs=EPOCHS, batch_size=2, size=(64, 64), lr=1e-3, keep=9)
    return site.submit(Request(spec, host=host))


def epochs_of(site: Site, job: int) -> list[tuple[int, int, float]]:
    """(stage, step, mean loss) of each epoch that was recorded."""
    rows = select(Metric.stage, Metric.step, Metric.value).where(Metric.job_id == job, Metric.name == "epoch_loss")
    return list(site.ask(lambda session: session.execute(rows.order_by(Metric.stage, Metric.step)).tuples().all()))


def last_checkpoint(site: Site, job: int) -> Path:
    """The newest of the checkpoints, which the registry lists first."""
    return Path(site.ask(lambda session: list_checkpoints(session, job)[0].path))


def assert_same_state(wanted: Path, found: Path) -> None:
    """Weights and Adam's moments, bit for bit."""
    one, other = load(wanted), load(found)
    for part in ("weights", "adam"):
        values, others = getattr(one, part), getattr(other, part)
        assert values.keys() == others.keys()
        for name, value in values.items():
            assert (others[name] == value).all(), name


def test_two_hosts_train_what_one_trains(new_hosts: NewHosts) -> None:
    hosts = prepared(new_hosts(lease_timeout=15))
    left = hosts.left
    hosts.start()
    over_two = submit(left)
    assert left.until(over_two, SUCCEEDED).placed_on == "left, right"
    (attempt,) = left.attempts(over_two)
    assert attempt.scheduler_host == "127.0.0.2"

    left.stop_worker()
    hosts.start_worker(left, devices=2)
    on_one = submit(left, host="left")
    assert left.until(on_one, SUCCEEDED).placed_on == "left"

    recorded = epochs_of(left, over_two)
    assert [row[:2] for row in recorded] == EVERY_EPOCH
    assert recorded == epochs_of(left, on_one)
    assert_same_state(last_checkpoint(left, on_one), last_checkpoint(left, over_two))


@pytest.mark.chaos
def test_a_training_outlives_a_power_cut_of_a_host(new_hosts: NewHosts) -> None:
    usual = {"beat_interval": 2, "lease_timeout": 30, "retry_delay": 10}
    hosts = prepared(new_hosts(**usual))
    left, right = hosts.both
    hosts.start()
    undisturbed, job = submit(left), submit(left)
    eventually(lambda: left.job(undisturbed).state == SUCCEEDED, "the first training succeeds", PATIENCE)
    registered = select(func.count()).select_from(Checkpoint).where(Checkpoint.job_id == job)
    eventually(lambda: left.ask(lambda session: session.scalar(registered)), "a checkpoint is registered")

    cut_power(right)
    eventually(lambda: left.attempts(job)[0].outcome == Outcome.LOST, "the attempt is lost", 45)
    hosts.start_worker(right)
    eventually(lambda: left.job(job).state == SUCCEEDED, "the second training succeeds", PATIENCE)

    assert left.attempts(job)[1].resumed_from is not None
    assert [row[:2] for row in epochs_of(left, job)] == EVERY_EPOCH
    assert_same_state(last_checkpoint(left, undisturbed), last_checkpoint(left, job))
