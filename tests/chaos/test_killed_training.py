"""kill -9 at random moments: a training ends as one that nobody disturbed, whatever of the system was killed meanwhile.

Everything is real: MindSpore with small networks, worker, supervisor, Redis, the registry. One rank with SQLite, two
with PostgreSQL. `make chaos` makes 50 runs, `make test` one.
"""

import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.erfnet.checkpoints import load
from erfnet_jobs.erfnet.scenes import Scenes, make_scenes
from erfnet_jobs.jobs import Request
from erfnet_jobs.launch.program import RANK_MODULE
from erfnet_jobs.registry.metrics import metric_names, metric_series
from erfnet_jobs.registry.migrate import upgrade
from erfnet_jobs.registry.tables import Checkpoint
from erfnet_jobs.states import TERMINAL, JobState
from erfnet_jobs.train_spec import TrainSpec
from tests.chaos_runs import SEED, chaos_runs
from tests.conftest import PostgresServer
from tests.services import RedisServer, Site, eventually

pytestmark = [pytest.mark.mindspore, pytest.mark.xdist_group("gangs")]
RUNS = chaos_runs(50)
LIMIT = 240.0
SPEED = "images_per_second"
THINNED = {"loss", "lr"}
# By what their command line holds.
VICTIMS = {
    "rank": b"tests.tiny_rank",
    "scheduler": b"erfnet_jobs.erfnet.scheduler",
    "supervisor": b"workers.supervisor",
    "worker": b"workers\0--devices",
}


@dataclass(frozen=True)
class Ending:
    """What a training left: the values of its metrics by step, and the weights and moments of its last checkpoint."""

    values: dict[str, dict[tuple[int, int, int], float]]
    weights: dict[str, Any]
    adam: dict[str, Any]


class Ground:
    """A host with its worker and Redis, and how a training ends here that is left alone."""

    def __init__(self, folder: Path, cards: int, database_url: str) -> None:
        self.cards = cards
        self.redis = RedisServer(folder)
        self.redis.start()
        self.site = Site(folder, database_url, self.redis.url, lease_timeout=5)
        self.site.environ[RANK_MODULE] = "tests.tiny_rank"
        self.data = folder / "scenes"
        make_scenes(self.data, Scenes(train=6, val=2, size=(64, 128), seed=1), workers=1)
        self.site.start_worker(devices=2)
        began = time.monotonic()
        job = self.submit()
        self.wait(job, time.monotonic() + LIMIT)
        self.seconds = time.monotonic() - began
        self.undisturbed = self.ending(job)

    def submit(self) -> int:
        spec = TrainSpec(
            str(self.data), cards=self.cards, epochs=(2, 1, 1, 2), batch_size=2, size=(64, 64), lr=1e-3, keep=9
        )
        return self.site.submit(Request(spec, max_attempts=20))

    def wait(self, job: int, deadline: float) -> None:
        """Until the job has succeeded; it may not end otherwise."""
        while (found := self.site.job(job)).state != JobState.SUCCEEDED:
            assert found.state not in TERMINAL, f"job {job} is {found.state}: {found.reason}"
            assert time.monotonic() < deadline, f"job {job} is {found.state} still: {found.reason}"
            time.sleep(0.1)

    def ending(self, job: int) -> Ending:
        with self.site.registry.read() as session:
            values = {name: _curve(session, job, name) for name in metric_names(session, job) if name != SPEED}
            last = select(Checkpoint.path).where(Checkpoint.job_id == job, Checkpoint.stage == 4)
            path = session.scalars(last.order_by(Checkpoint.epoch.desc(), Checkpoint.id.desc())).first()
        assert path is not None
        found = load(Path(path))
        return Ending(values, found.weights, found.adam)

    def kill_one(self, chance: random.Random) -> str:
        """SIGKILL one of what lives now, and say which; what systemd would start again is started again."""
        commands = {pid: _command(pid) for pid in self.site.processes()}
        alive = {
            kind: pid for kind, part in VICTIMS.items() for pid, command in sorted(commands.items()) if part in command
        }
        kind = chance.choice(sorted([*alive, "redis"]))
        if kind == "redis":
            self.redis.kill()
            self.redis.start()
        elif kind == "worker":
            self.site.stop_worker(signal.SIGKILL)
            self.site.start_worker(devices=2)
        else:
            with suppress(ProcessLookupError):  # it has ended by itself meanwhile
                os.kill(alive[kind], signal.SIGKILL)
        return kind

    def close(self) -> None:
        left = self.site.end()
        self.redis.kill()
        assert not left


def _curve(session: Session, job: int, name: str) -> dict[tuple[int, int, int], float]:
    """A metric's values by stage, epoch and step, of which none may stand twice."""
    found = [((value.stage, value.epoch, value.step), value.value) for value in metric_series(session, job, name)]
    assert len(found) == len(dict(found)), f"doubles in {name}"
    return dict(found)


def same_curves(found: Ending, wanted: Ending) -> None:
    """No gap, and the same values; at which steps of an epoch a loss or rate is told is a matter of time."""
    assert found.values.keys() == wanted.values.keys()
    for name, curve in wanted.values.items():
        other = found.values[name]
        steps = curve.keys() & other.keys() if name in THINNED else curve.keys() | other.keys()
        assert {step: other.get(step) for step in steps} == {step: curve.get(step) for step in steps}, name


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="module")
def short_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ej-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def one_rank(short_folder: Path) -> Iterator[Ground]:
    folder = short_folder / "one"
    folder.mkdir()
    url = f"sqlite:///{folder / 'registry.sqlite'}"
    upgrade(url)
    ground = Ground(folder, 1, url)
    yield ground
    ground.close()


@pytest.fixture(scope="module")
def two_ranks(short_folder: Path, postgres_server: PostgresServer) -> Iterator[Ground]:
    folder = short_folder / "two"
    folder.mkdir()
    ground = Ground(folder, 2, postgres_server.create("template_registry"))
    yield ground
    ground.close()


def survives(ground: Ground, number: int) -> None:
    """One training, killed once or several times as `number` says, ends as if it had been left alone."""
    chance = random.Random(number)
    moments = sorted(chance.uniform(0, ground.seconds) for _ in range(chance.randint(1, 3)))
    began = time.monotonic()
    job = ground.submit()
    kills = []
    for moment in moments:
        while time.monotonic() < began + moment:
            time.sleep(0.01)
        kills.append(f"{ground.kill_one(chance)} at {moment:.1f} s")
    ground.wait(job, began + LIMIT)
    attempts = [f"{attempt.outcome} ({attempt.reason})" for attempt in ground.site.attempts(job)]
    took = f"{time.monotonic() - began:.0f} s, {len(attempts)} attempts"
    sys.stdout.write(f"CHAOS_SEED={number}, {ground.cards} ranks: {', '.join(kills)}; {took}\n")
    found, wanted = ground.ending(job), ground.undisturbed
    same_curves(found, wanted)
    for part in ("weights", "adam"):
        assert getattr(found, part).keys() == getattr(wanted, part).keys()
        for name, value in getattr(wanted, part).items():
            assert (getattr(found, part)[name] == value).all(), (name, attempts)
    eventually(ground.site.idle, "no device is held, and no process left")


def test_a_training_with_kills_at_random_ends_as_one_without(one_rank: Ground) -> None:
    survives(one_rank, SEED)


@pytest.mark.chaos
@pytest.mark.parametrize("run", range(RUNS))
def test_many_trainings_with_kills_at_random_end_as_one_without(request: pytest.FixtureRequest, run: int) -> None:
    ground = request.getfixturevalue("two_ranks" if run % 2 else "one_rank")
    survives(ground, SEED + run)
