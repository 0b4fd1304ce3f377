"""The Python API: all of a submission or nothing, with Redis and hosts as they come."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from erfnet_jobs.client import Client
from erfnet_jobs.errors import BadData, BrokerUnreachable, NotFound, UsageError
from erfnet_jobs.jobs import Request
from erfnet_jobs.local.redis_server import start_redis, stop_redis
from erfnet_jobs.registry.migrate import upgrade
from erfnet_jobs.settings import Settings, load_settings
from erfnet_jobs.specs import EvalSpec, ExportSpec
from erfnet_jobs.states import JobKind
from erfnet_jobs.train_spec import TrainSpec
from tests.layout import empty_dataset


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    for name in [name for name in os.environ if name.startswith("ERFNET_JOBS_")]:
        monkeypatch.delenv(name)
    found = load_settings({"home": tmp_path / "home"}, {})
    found.home.mkdir()
    upgrade(found.resolved_database_url)
    start_redis(found)
    yield found
    stop_redis(found)


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    return Request(TrainSpec(str(empty_dataset(tmp_path))))


def test_jobs_of_one_submission_are_one_group(settings: Settings, request_: Request) -> None:
    with Client(settings, warn=str) as client:
        made = client.submit(request_, then=(JobKind.EXPORT, JobKind.INFER))
        assert [job["kind"] for job in made] == ["train", "eval", "export", "infer"]
        assert {job["group"] for job in made} == {1}
        assert client.counts()["waiting"] == 3
        assert client.submit(request_, evaluate=False)[0]["group"] is None


def test_redis_that_goes_away_after_the_first_submit_is_asked_again(settings: Settings, request_: Request) -> None:
    said: list[str] = []
    with Client(settings, warn=said.append) as client:
        client.submit(request_, evaluate=False)
        said.clear()
        stop_redis(settings)
        client.submit(request_, evaluate=False)
        assert len(said) == 1
        assert "the job is in the registry" in said[0]
        with pytest.raises(BrokerUnreachable):
            client.submit(request_, evaluate=False)
        assert len(client.jobs()) == 2
        start_redis(settings)
        assert client.submit(request_, evaluate=False)[0]["id"] == 3


def test_nothing_is_written_when_a_part_is_refused(settings: Settings, request_: Request, tmp_path: Path) -> None:
    with Client(settings, warn=str) as client:
        with pytest.raises(NotFound):
            client.submit(replace(request_, after=(99,)), then=(JobKind.EXPORT,))
        with pytest.raises(UsageError, match="follows a training"):
            client.submit(Request(ExportSpec("1")), then=(JobKind.INFER,))
        (tmp_path / "meta.json").touch()
        with pytest.raises(UsageError, match="--no-eval"):
            client.submit(request_)
        with pytest.raises(NotFound):
            client.cancel([7])
        assert client.jobs() == []


def test_a_folder_without_the_splits_that_are_needed(settings: Settings, tmp_path: Path) -> None:
    request = Request(TrainSpec(str(empty_dataset(tmp_path / "data", "train"))))
    with Client(settings, warn=str) as client:
        with pytest.raises(BadData, match="no leftImg8bit/val, gtFine/val"):
            client.submit(request)
        assert client.jobs() == []
        assert client.submit(request, evaluate=False)[0]["kind"] == "train"


def test_paths_are_made_absolute(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty_dataset(tmp_path / "data")
    (tmp_path / "a.ckpt").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    with Client(settings, warn=str) as client:
        made = client.submit(Request(EvalSpec(("a.ckpt",), "data")))[0]
    assert made["spec"]["data"] == str(tmp_path / "data")
    assert made["spec"]["checkpoints"] == [str(tmp_path / "a.ckpt")]


def test_a_path_that_only_hosts_may_see_is_warned_of(settings: Settings, postgres_url: str, tmp_path: Path) -> None:
    said: list[str] = []
    remote = replace(settings, database_url=postgres_url)
    with Client(remote, warn=said.append) as client:
        made = client.submit(Request(TrainSpec(str(tmp_path / "elsewhere"), cards=2)), then=(JobKind.EXPORT,))
        assert [job["state"] for job in made] == ["queued", "waiting", "waiting"]
        assert client.cancel([1])[0]["state"] == "cancelled"
        assert [job["state"] for job in client.jobs()] == ["skipped", "skipped", "cancelled"]
    assert any("elsewhere" in text and "the host that runs the job" in text for text in said)


def test_waiting_has_an_end(settings: Settings, request_: Request) -> None:
    seen: list[str] = []
    with Client(settings, warn=str) as client:
        job = client.submit(request_, evaluate=False)[0]["id"]
        assert client.wait(job, 0.05, lambda document: seen.append(document["state"]), 0.01)["state"] == "queued"
        client.cancel([job])
        assert client.wait(job)["state"] == "cancelled"
    assert set(seen) == {"queued"}
