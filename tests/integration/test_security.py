"""What messages cannot do, what jobs may not name, and that no password is ever written, shown or passed on."""

import base64
import json
import pickle
import subprocess
import uuid
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from erfnet_jobs.allowed_paths import allowed_roots
from erfnet_jobs.broker import PREFIX, celery_settings, kind_queue
from erfnet_jobs.cli.root import run_command
from erfnet_jobs.client import Client
from erfnet_jobs.errors import UsageError
from erfnet_jobs.jobs import Request
from erfnet_jobs.launch.processes import living
from erfnet_jobs.launch.program import module_command
from erfnet_jobs.plan import Plan, RankPlace, write_plan
from erfnet_jobs.reports import Failed, decode
from erfnet_jobs.settings import load_settings
from erfnet_jobs.states import JobKind, JobState
from erfnet_jobs.train_spec import TrainSpec
from tests.conftest import PostgresServer
from tests.guarded import PASSWORD, Guarded
from tests.layout import empty_dataset
from tests.services import NewSite, RedisServer, Site, eventually

TRAIN_QUEUE = kind_queue(JobKind.TRAIN)
BOMB_BYTES = 160 << 20
SECRET_NAMES = (b"ERFNET_JOBS_BROKER_URL=", b"ERFNET_JOBS_DATABASE_URL=")


class Touch:
    """What makes a file when somebody unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def message(body: bytes, content_type: str, task: str) -> str:
    """An envelope as Celery's own, with a body of anything."""
    properties = {
        "delivery_tag": uuid.uuid4().hex,
        "delivery_info": {"exchange": "", "routing_key": TRAIN_QUEUE},
        "body_encoding": "base64",
    }
    headers = {"task": task, "id": uuid.uuid4().hex, "lang": "py"}
    envelope = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "binary",
        "content-type": content_type,
        "headers": headers,
        "properties": properties,
    }
    return json.dumps(envelope)


def test_a_message_runs_no_code(site: Site, redis_server: RedisServer) -> None:
    touched = site.folder / "touched"
    evil = pickle.dumps(((Touch(touched),), {}, {}))
    assert pickle.loads(evil)  # noqa: S301 - our own: it would touch the file
    assert touched.exists()
    touched.unlink()
    client = redis_server.client()
    for content_type in ("application/x-python-serialize", "application/json", "application/x-yaml"):
        for task in ("erfnet_jobs.place", "celery.map", "celery.chain", "os.system"):
            client.lpush(TRAIN_QUEUE, message(evil, content_type, task))
    eventually(lambda: client.llen(TRAIN_QUEUE) == 0, "the messages were taken")

    site.until(site.train(), JobState.SUCCEEDED)

    assert not touched.exists()
    assert "Refusing to deserialize" in site.log


def test_a_message_unpacks_to_nothing_large(site: Site, redis_server: RedisServer) -> None:
    bomb = json.loads(message(zlib.compress(bytes(BOMB_BYTES)), "application/json", "erfnet_jobs.place"))
    client = redis_server.client()
    for method in ("application/x-gzip", "zlib", "bzip2", "application/x-lzma"):
        bomb["headers"]["compression"] = method
        bomb["properties"]["delivery_tag"] = uuid.uuid4().hex
        client.lpush(TRAIN_QUEUE, json.dumps(bomb))
    client.lpush(TRAIN_QUEUE, message(b"[[], {}, {}]", "application/json", "erfnet_jobs.place"))
    eventually(lambda: client.llen(TRAIN_QUEUE) == 0, "the messages were taken")

    site.until(site.train(), JobState.SUCCEEDED)

    assert "compressed messages are none of ours" in site.log
    assert site.worker is not None
    status = Path(f"/proc/{site.worker.pid}/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    assert peak < BOMB_BYTES


@pytest.mark.parametrize("allowed", [False, True])
def test_remote_control_is_off_unless_asked_for(
    new_site: NewSite, sqlite_url: str, redis_server: RedisServer, allowed: bool
) -> None:
    from celery import Celery

    site = new_site(sqlite_url, remote_control=allowed)
    site.start_worker()
    client = redis_server.client()
    client.lpush(TRAIN_QUEUE, message(b"[[], {}, {}]", "application/json", "erfnet_jobs.place"))
    eventually(lambda: client.llen(TRAIN_QUEUE) == 0, "the worker consumes")
    app = Celery(PREFIX, set_as_current=False)
    app.conf.update(celery_settings(redis_server.url))

    if allowed:
        eventually(lambda: app.control.ping(timeout=0.5), "it listens to commands")
    app.control.shutdown()
    if allowed:
        eventually(lambda: "the consumer of the queues ended" in site.log, "it obeys, and comes back")

    for _ in range(2):  # the second is taken by whoever took the first and lived
        client.lpush(TRAIN_QUEUE, message(b"[[], {}, {}]", "application/json", "erfnet_jobs.place"))
        eventually(lambda: client.llen(TRAIN_QUEUE) == 0, "the worker consumes")
    assert ("the consumer of the queues ended" in site.log) == allowed
    if not allowed:
        assert not app.control.ping(timeout=1.0)
    app.close()


def test_a_host_starts_no_job_that_leads_out_of_its_folders(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url, allowed_paths="/srv/nothing")
    inside = site.settings.home / "data"
    inside.mkdir()
    (inside / "leftImg8bit").symlink_to(site.data / "leftImg8bit")
    site.start_worker()

    outside = site.until(site.train(), JobState.FAILED)
    linked = site.until(site.submit(Request(TrainSpec(str(inside), epochs=(1, 1, 1, 1)))), JobState.FAILED)

    assert f"--data {site.data} lies below none of the folders" in (outside.reason or "")
    assert f"a link in --data {inside}/leftImg8bit (which is {site.data}" in (linked.reason or "")
    assert [attempt.error for job in (outside, linked) for attempt in site.attempts(job.id)] == ["UsageError"] * 2
    assert not (site.settings.runs / str(outside.id)).exists()
    (inside / "leftImg8bit").unlink()
    empty_dataset(inside)
    well = site.until(site.submit(Request(TrainSpec(str(inside), epochs=(1, 1, 1, 1)))), JobState.SUCCEEDED)
    plan = json.loads((site.settings.runs / str(well.id) / "1/plan.json").read_bytes())
    assert plan["allowed"] == list(allowed_roots(site.settings))
    client = Client(replace(site.settings, broker_url="redis://127.0.0.1:1/0"))
    with pytest.raises(UsageError, match="ERFNET_JOBS_ALLOWED_PATHS"):
        client.submit(Request(TrainSpec(str(site.data), epochs=(1, 1, 1, 1))))
    client.close()


def test_a_link_that_was_changed_after_the_start_is_caught_by_the_rank(tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    (run / "reports").mkdir(parents=True)
    data.symlink_to("/etc")
    plan = Plan(
        JobKind.TRAIN,
        TrainSpec(str(data)),
        str(run),
        str(tmp_path),
        (RankPlace(0, "here", 0, 0),),
        allowed=(str(tmp_path),),
    )
    write_plan(plan, run / "plan.json")
    done = subprocess.run(
        module_command("erfnet_jobs.erfnet.rank", str(run / "plan.json")), check=False, stdout=subprocess.DEVNULL
    )
    assert done.returncode == UsageError.exit_code
    failed = decode(plan.report_path(0).read_bytes().splitlines()[-1])
    assert isinstance(failed, Failed)
    assert f"--data {data} (which is /etc) lies below none" in failed.message


def everything_below(*folders: Path) -> bytes:
    return b"\n".join(path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file())


def test_no_password_is_written_shown_or_passed_on(
    new_site: NewSite,
    postgres_server: PostgresServer,
    guarded_postgres: Guarded,
    guarded_redis: Guarded,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    url = guarded_postgres.database_url(postgres_server.create("template_registry"))
    site = new_site(url, broker_url=guarded_redis.broker_url)
    go = site.folder / "go"
    site.script({"default": [["hello"], ["wait_for", str(go)], ["done"]], "rank 1": [["hello"], ["exit", 1]]})
    site.start_worker()
    for name, value in site.environ.items():
        monkeypatch.setenv(name, value)
    told: list[tuple[list[str], str]] = []

    def call(*words: str) -> int:
        code = run_command(list(words))
        told.append((list(words), "".join(capfd.readouterr())))
        return code

    capfd.readouterr()
    options = ("--data", str(site.data), "--epochs", "1,1,1,1", "--no-eval")
    assert call("submit", "train", *options, "--json") == 0
    eventually(lambda: len(site.ranks()) == 1, "its rank runs")
    processes = living()
    commands = {process.pid: Path(f"/proc/{process.pid}/cmdline") for process in processes}
    assert not [pid for pid, path in commands.items() if path.exists() and PASSWORD.encode() in path.read_bytes()]
    environ = Path(f"/proc/{site.ranks()[0]}/environ").read_bytes()
    assert not any(name in environ for name in SECRET_NAMES)
    assert PASSWORD.encode() not in environ
    go.touch()
    assert call("wait", "1") == 0
    assert call("submit", "train", *options, "--cards", "2", "--max-attempts", "1") == 0
    assert call("wait", "2", "--json") == 9
    for words in (
        ["status"],
        ["status", "2"],
        ["status", "1", "--json"],
        ["submit", "train", *options, "--dry-run"],
        ["logs", "2"],
        ["events"],
        ["hosts", "--json"],
        ["devices"],
        ["db", "upgrade"],
        ["db", "current"],
        ["db", "current", "--json"],
        ["doctor", "--no-mindspore"],
        ["doctor", "--no-mindspore", "--json"],
        ["cancel", "1"],
        ["best", "--metric", "mean_iou"],
        ["--broker-url", f"redis://:{PASSWORD}/x@localhost/0", "submit", "train", *options],
        ["--broker-url", f"redis://:{PASSWORD}@localhost:1/0", "submit", "train", *options],
        ["--database-url", f"postgresql+psycopg://me:{PASSWORD}@localhost:1/db", "status", "--json"],
        ["--database-url", f"postgresql://me:{PASSWORD}@localhost:1/db", "status"],
        ["--database-url", f"postgresql+psycopg://me:x@{PASSWORD}@localhost/db", "status"],
    ):
        call(*words)
    site.stop_worker()

    assert [words for words, text in told if not text.strip()] == []
    assert [words for words, text in told if PASSWORD in text] == []
    written = everything_below(site.settings.home, site.settings.runs)
    assert b"plan.json" in b"\n".join(bytes(path) for path in site.settings.runs.rglob("*"))
    assert PASSWORD.encode() not in written


def test_a_home_is_private_and_runs_are_as_the_umask_says(
    new_site: NewSite, site_folder: Path, redis_server: RedisServer
) -> None:
    from erfnet_jobs.registry.migrate import upgrade

    site = new_site(f"sqlite:///{site_folder}/here/own/registry.sqlite")
    site.home.rmdir()
    upgrade(site.settings.resolved_database_url)
    site.home.chmod(0o700)
    site.start_worker(wrapper=("sh", "-c", 'umask 027 && exec "$@"', "sh"))
    site.until(site.train(), JobState.SUCCEEDED)

    own = site.home / "own"
    assert [path.stat().st_mode & 0o777 for path in (own, own / "registry.sqlite")] == [0o700, 0o600]
    written = list(site.settings.runs.rglob("*"))
    assert len(written) > 5
    assert {path.stat().st_mode & 0o777 for path in written} == {0o750, 0o640}


@pytest.mark.parametrize(
    ("options", "told"), [("?ssl_ca_certs={ca}", "invalid username-password pair"), ("", "CERTIFICATE_VERIFY_FAILED")]
)
def test_a_worker_whose_redis_refuses_it_goes_on_and_tells_no_password(
    new_site: NewSite, sqlite_url: str, guarded_redis: Guarded, options: str, told: str
) -> None:
    site = new_site(sqlite_url, broker_url=guarded_redis.text("rediss://:wrong.one@{name}:{port}/0" + options))
    site.start_worker()
    site.until(site.train(), JobState.SUCCEEDED)
    eventually(lambda: told in site.log, "the log says what Redis said")
    site.stop_worker()
    assert b"wrong.one" not in everything_below(site.settings.home, site.settings.runs)


@pytest.mark.parametrize("name", ["../../etc", "a/b", "a b", "$(id)", "-x", "a\nb", ""])
def test_host_names_that_are_no_names_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="host_name"):
        load_settings({"home": tmp_path, "host_name": name}, {})


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\nb", "x" * 201])
def test_job_names_that_write_on_terminals_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="printable"):
        Request(TrainSpec("/data"), name=name)


def test_names_and_paths_are_no_shells_words(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url)
    data = site.folder / "$(touch evil) ; touch evil `touch evil` '\"é"
    data.symlink_to(empty_dataset(site.folder / "real"))
    site.start_worker()
    job = site.submit(Request(TrainSpec(str(data), epochs=(1, 1, 1, 1)), name="$(touch evil); rm -rf '\" %s"))
    site.until(job, JobState.SUCCEEDED)
    assert not list(site.folder.rglob("evil"))


def test_no_shell_is_ever_started() -> None:
    words = ("shell=True", "os.system", "os.popen", "pickle.load", "yaml.load", "eval(")
    root = Path(__file__).parents[2]
    sources = [path for folder in ("erfnet_jobs", "workers") for path in (root / folder).rglob("*.py")]
    assert len(sources) > 100
    found = [(str(path), word) for path in sources for word in words if word in path.read_text()]
    # ERFNet's own `.eval(` would be one of a module; PyTorch's files are read as weights only (torch_files.py).
    assert not found
