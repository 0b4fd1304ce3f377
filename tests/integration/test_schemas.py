"""What every command prints with `--json`, over rows of all kinds, is as its schema says; and the schemas say much."""

import contextlib
import copy
import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from jsonschema import Draft202012Validator

from erfnet_jobs.cli.root import root, run_command
from erfnet_jobs.cli.schema import documented
from erfnet_jobs.files import sha256_of
from erfnet_jobs.launch.program import RANK_MODULE, SCRIPTED
from erfnet_jobs.registry.attempts import assign, end_attempt
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.migrate import upgrade
from erfnet_jobs.registry.tables import Artifact, Checkpoint, Device, Evaluation, Metric
from erfnet_jobs.schemas import FOLDER, SHARED, all_schemas, command_schema, has_schema
from erfnet_jobs.settings import load_settings
from tests.cli_calls import redis_of
from tests.documents import check_document, command_of
from tests.integration.test_cli_json import run_a_while
from tests.layout import empty_dataset
from tests.registry_steps import failed

COMMANDS = documented(root)
# Tests that run MindSpore hold these to their schemas.
ELSEWHERE = {"data build": "test_cli_data.py", "import-weights": "test_import_weights.py"}


class Place:
    """A folder with a home, a dataset, a checkpoint, and what the commands printed there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.data = str(empty_dataset(folder / "data"))
        self.checkpoint = folder / "some.ckpt"
        self.checkpoint.write_text("weights")
        self.documents: dict[str, list[Any]] = {}

    def __call__(self, *arguments: object) -> None:
        words = [*map(str, arguments), "--json"]
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            run_command(["--home", str(self.home), *words])
        self.documents.setdefault(command_of(words), []).append(json.loads(out.getvalue()))


def submit_jobs(place: Place) -> None:
    """Jobs 1 to 9 of every kind, of which job 1 runs, and 5 has failed."""
    place("submit", "train", "--data", place.data, "--cards", 2, "--name", "night", "--time-limit", "2h")
    place("submit", "train", "--data", place.data, "--no-eval", "--then", "export")
    place("submit", "train", "--data", place.data, "--no-eval", "--devices", "0,1", "--max-attempts", 1)
    place("submit", "train", "--data", place.data, "--then", "export,infer", "--dry-run")
    place("submit", "eval", "--checkpoint", "1:all", "--data", place.data)
    place("submit", "export", "--checkpoint", place.checkpoint, "--format", "mindir,onnx")
    place("submit", "infer", "--checkpoint", place.checkpoint, "--images", place.data, "--limit", 3)
    place("submit", "310-infer", "--checkpoint", place.checkpoint, "--images", place.data, "--allow-cpu")


def add_rows(place: Place, url: str) -> None:
    run_a_while(place, 1, place.folder)  # type: ignore[arg-type]
    with Registry(url) as registry, registry.write() as session:
        at = now(session)
        words = {"job_id": 1, "attempt": 1, "checkpoint_id": 1}
        for name, source in (("a" * 64, None), ("b" * 64, "a" * 64)):
            file = {"format": "onnx", "path": f"/{name[0]}.onnx", "sha256": name, "size": 9, "made_from": source}
            session.add(Artifact(**words, **file, difference=1e-7, created_at=at))
        measured = {
            "checkpoint_path": "/c.ckpt", "dataset_hash": "d" * 64, "split": "val", "protocol": "half", "height": 64,
            "width": 128, "engine": "lite-cpu", "images": 3, "mean_iou": 0.4, "mean_iou_19": 0.3, "mean_loss": None,
            "pixel_accuracy": 0.9, "iou_class": "[" + "null, " * 18 + "0.5]", "mean_iou_category": 0.6,
        }  # fmt: skip
        category = {"iou_category": "[0.6" + ", null" * 6 + "]", "model_sha256": "b" * 64, "images_per_second": 3.5}
        session.add(Evaluation(**words, **measured, **category, created_at=at))
        size, sha256 = place.checkpoint.stat().st_size, sha256_of(place.checkpoint)
        weights = {"network": "erfnet", "stage": 4, "epoch": 1, "step": 4, "size": size, "sha256": sha256}
        given = {"path": str(place.checkpoint), "origin": "train", "job_id": 1, "attempt": 1}
        session.add(Checkpoint(**weights, **given, created_at=at))
        session.add(Metric(job_id=1, name="val_mean_iou", attempt=1, stage=1, step=2, epoch=1, value=0.4))
        device = {"kind": "ascend", "name": "910B", "generation": "910B", "health": "warning", "error_code": "80E18401"}
        session.add(Device(host_name="h1", id=2, **device, link="down", busy="process 7 (python)"))
        assert assign(session, 5, 0, [], "/runs/5")
        assert end_attempt(session, 5, 1, failed(permanent=True), 0)


def ask(place: Place) -> None:
    for words in (
        ["status"], ["status", "--all", "--state", "failed"], ["status", 1], ["status", 5], ["status", 9],
        ["logs", 1], ["events"], ["events", "--host", "h1"], ["metrics", 1], ["metrics", 1, "--name", "loss"],
        ["plot", 1, "--metric", "loss,mean_iou"], ["best"], ["best", "--top", 2], ["best", "--per-class", "bicycle"],
        ["checkpoints", "list", "--removed"], ["checkpoints", "show", 1],
        ["checkpoints", "verify"], ["checkpoints", "bundle", 2, "-o", place.folder / "b.tar"], ["compare", 1, 5],
        ["compare", 1, 3], ["checkpoints", "prune", "--keep", "newest:1"],
        ["hosts"], ["wait", 1, "--timeout", 0], ["cancel", 2, 1], ["hosts", "drain", "h1"], ["hosts", "resume", "h1"],
        ["hosts", "cordon", "h1:0", "--reason", "fan"], ["hosts", "uncordon", "h1:0"], ["devices"],
        ["doctor", "--no-mindspore"], ["db", "current"], ["db", "upgrade"], ["db", "backup", place.folder / "b.sqlite"],
        ["db", "copy", "--while-used", "--to", f"sqlite:///{place.folder / 'copy.sqlite'}"], ["init"],
        ["data", "check", place.data], ["worker", "--drain"], ["status", 99], ["best", "--metric", "nonsense"],
        ["status", "--nonsense"], ["hosts", "drain", "nowhere"],
    ):  # fmt: skip
        place(*words)


def run_here(place: Place) -> None:
    """With scripted ranks."""
    for words in (
        ["run", "train", "--data", place.data, "--cards", 2],
        ["run", "eval", "--checkpoint", place.checkpoint, "--data", place.data],
        ["run", "export", "--checkpoint", place.checkpoint],
        ["run", "infer", "--checkpoint", place.checkpoint, "--images", place.data],
        ["run", "310-infer", "--checkpoint", place.checkpoint, "--images", place.data, "--device", "cpu"],
    ):
        place(*words)


def elsewhere(place: Place) -> None:
    """What needs another home: restoring, and this machine's servers; and what makes files."""
    table = place.folder / "table.json"
    devices = [{"device_id": "0", "device_ip": "192.0.2.1", "rank_id": "0"}]
    server = {"server_id": "192.0.2.9", "device": devices, "host_nic_ip": "reserve"}
    document = {"version": "1.0", "server_count": "1", "server_list": [server], "status": "completed"}
    table.write_text(json.dumps(document))
    place("rank-table", "--check", table)
    place("rank-table", "--merge", table)
    place("rank-table", "--merge", table, "--output", place.folder / "merged.json")
    place("data", "scenes", place.folder / "scenes", "--train", 1, "--val", 1, "--size", "48x96")
    place("data", "check", place.folder / "scenes")
    place.home = place.folder / "other"
    place("db", "restore", place.folder / "b.sqlite")
    place.home = place.folder / "third"
    place("up", "--devices", 1)
    place("down")
    place("down")


@pytest.fixture(scope="module")
def documents() -> Iterator[dict[str, list[Any]]]:
    folder = Path(tempfile.mkdtemp(prefix="ej-"))  # short, for the socket of Redis
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "BROKER_URL", "DATABASE_URL", "RUNS"):
            patch.delenv(f"ERFNET_JOBS_{name}", raising=False)
        patch.setenv(RANK_MODULE, SCRIPTED)
        place = Place(folder)
        settings = load_settings({"home": place.home}, {})
        upgrade(settings.resolved_database_url)
        with redis_of(settings):
            place.registry = lambda: Registry(settings.resolved_database_url)  # type: ignore[attr-defined]
            from tests.cli_calls import Shell

            Shell(place.home, None).add_host()  # type: ignore[arg-type]
            submit_jobs(place)
            add_rows(place, settings.resolved_database_url)
            ask(place)
        run_here(place)
        elsewhere(place)
    yield place.documents
    shutil.rmtree(folder)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_prints_is_as_its_schema_says(command: str, documents: dict[str, list[Any]]) -> None:
    if command in ELSEWHERE:
        assert "--json" in Path(__file__).with_name(ELSEWHERE[command]).read_text()
        assert has_schema(command)
        return
    assert command in documents, f"call '{command} --json' in this test, and describe it in erfnet_jobs/schemas"
    for document in documents[command]:
        check_document(command, document)
    assert any(not is_error(document) for document in documents[command]), documents[command]


def is_error(document: Any) -> bool:
    return isinstance(document, dict) and set(document) == {"error"}


def test_errors_are_documents_too(documents: dict[str, list[Any]]) -> None:
    told = [found["error"] for found in documents["status"] if is_error(found)]
    assert [(error["type"], error["exit_code"]) for error in told] == [("NotFound", 4), ("UsageError", 2)]


def test_every_schema_is_a_command_s_and_sound() -> None:
    names = {path.stem for path in FOLDER.glob("*.json")} - {SHARED}
    assert names == {command.replace(" ", "-") for command in COMMANDS}
    for command in COMMANDS:
        Draft202012Validator.check_schema(command_schema(command))
    Draft202012Validator.check_schema(all_schemas(COMMANDS))


def objects(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield node
        for value in node.values():
            yield from objects(value)
    elif isinstance(node, list):
        for value in node:
            yield from objects(value)


def test_no_object_is_left_open() -> None:
    """Each names its keys, or says what its values are."""
    for found in objects(all_schemas(COMMANDS)):
        open_keys = found.get("additionalProperties", True)
        assert open_keys is False or isinstance(open_keys, dict), found
        assert set(found.get("required", [])) <= set(found.get("properties", {}))


def test_a_document_with_a_fault_is_found(documents: dict[str, list[Any]]) -> None:
    (events, *_), (jobs, *_) = documents["events"], documents["status"]
    for wrong in (
        {"at": "2026-11-24T14:03:05+01:00"}, {"at": "2026-13-24T14:03:05.000000Z"}, {"more": 1}, {"id": "1"},
        {"user": "alice"},
    ):  # fmt: skip
        with pytest.raises(AssertionError, match=r"schemas/events.json"):
            check_document("events", [{**events[0], **wrong}])
    job = copy.deepcopy(jobs[0])
    job["state"] = "running away"
    with pytest.raises(AssertionError, match=r"schemas/status.json"):
        check_document("status", [job])
    del jobs[0]["spec"]["data"]
    with pytest.raises(AssertionError, match=r"schemas/status.json"):
        check_document("status", [jobs[0]])


def test_the_schema_command_prints_one_or_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["schema", "hosts", "drain"]) == 0
    assert json.loads(capsys.readouterr().out) == command_schema("hosts drain")
    assert run_command(["schema"]) == 0
    every = json.loads(capsys.readouterr().out)["$defs"]
    assert {f"erfnet-jobs {command}" for command in COMMANDS} <= set(every)
    assert run_command(["schema", "shared"]) == 2
    assert "status" in capsys.readouterr().err
    assert isinstance(root.get_command(click.Context(root), "schema"), click.Command)
