"""`import-weights` as users call it: what it writes, registers and refuses. With the whole ERFNet."""

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy
import torch
from PIL import Image

from erfnet_jobs.choices import ENCODER, ERFNET
from erfnet_jobs.client.api import Client
from erfnet_jobs.client.imports import register_import
from erfnet_jobs.erfnet import checkpoints
from erfnet_jobs.erfnet.model import make_network
from erfnet_jobs.erfnet.weights import published_name
from erfnet_jobs.errors import BadCheckpoint, DiskFull, NotFound
from erfnet_jobs.files import sha256_of
from erfnet_jobs.registry import engine
from erfnet_jobs.registry.checkpoints import list_checkpoints, resolve_checkpoints
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.events import Actor
from erfnet_jobs.registry.imports import ImportedFile, record_import
from tests.cli_calls import Called, Shell
from tests.tiny import in_graphs, values_of
from tests.torch_erfnet import random_erfnet

pytestmark = pytest.mark.mindspore
in_graphs()
REFERENCE = random_erfnet(seed=4)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A home without Redis and registry."""
    for name in ("HOME", "BROKER_URL", "DATABASE_URL", "RUNS", "HOST_NAME"):
        monkeypatch.delenv(f"ERFNET_JOBS_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path / "home", capsys)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What train/main.py saves of a network on several GPUs."""
    state = {f"module.{name}": value for name, value in REFERENCE.state_dict().items()}
    path = tmp_path / "checkpoint.pth.tar"
    torch.save({"epoch": 150, "state_dict": state, "best_acc": 0.7}, path)
    return path


def refused(called: Called, code: int, *words: str) -> None:
    assert called.code == code, called
    assert called.out == ""
    assert called.err.startswith("error: ")
    for word in words:
        assert word in called.err, (word, called.err)


@pytest.mark.parametrize("name", [ERFNET, ENCODER])
def test_the_checkpoint_holds_the_files_numbers(shell: Shell, source: Path, tmp_path: Path, name: str) -> None:
    network = make_network(name)
    options = ["--encoder"] if name == ENCODER else []

    called = shell("import-weights", source, "-o", "mine.ckpt", "--no-register", "--json", *options)

    assert called.code == 0
    checkpoints.load_weights(checkpoints.load(tmp_path / "mine.ckpt"), name, network.get_parameters())
    state = REFERENCE.state_dict()
    assert all((array == state[published_name(key)].numpy()).all() for key, array in values_of(network).items())
    document = called.json
    assert document.keys() == {
        *("path", "checkpoint", "network", "has_head", "tensors", "numbers", "left_out", "warnings"),
        *("sha256", "size", "source", "source_sha256"),
    }
    assert document["network"] == name
    assert document["checkpoint"] is None
    assert document["sha256"] == sha256_of(tmp_path / "mine.ckpt")
    assert document["source_sha256"] == sha256_of(source)
    assert not shell.home.exists()


def test_an_encoder_without_a_head_starts_stage_3_and_nothing_else(shell: Shell, tmp_path: Path) -> None:
    state = REFERENCE.encoder.state_dict().items()
    imagenet = {f"module.features.encoder.{name}": value for name, value in state if "output_conv" not in name}
    imagenet["module.classifier.linear.weight"] = torch.zeros(1000, 128)
    imagenet["module.classifier.linear.bias"] = torch.zeros(1000)
    torch.save({"state_dict": imagenet}, tmp_path / "imagenet.pth.tar")

    called = shell("import-weights", "imagenet.pth.tar", "--encoder", "-o", "mine.ckpt", "--no-register")

    assert called.code == 0
    assert "Without a head it segments nothing" in called.out
    assert "ImageNet's classifier" in called.out
    whole, loaded = make_network(ERFNET), checkpoints.load(tmp_path / "mine.ckpt")
    checkpoints.load_encoder(loaded, whole.get_parameters())
    found = values_of(whole)["encoder.layers.14.conv1x3_2.weight"]
    assert (found == REFERENCE.state_dict()["encoder.layers.14.conv1x3_2.weight"].numpy()).all()
    with pytest.raises(BadCheckpoint, match=r"an encoder without a head.* start of stage 3"):
        checkpoints.load_weights(loaded, ENCODER, make_network(ENCODER).get_parameters())


def test_it_is_registered_with_its_origin(shell: Shell, source: Path, tmp_path: Path) -> None:
    shell.registry().close()

    called = shell("import-weights", source, "-o", "mine.ckpt")

    assert called.code == 0
    assert "Registered as checkpoint 1" in called.out
    row = shell("checkpoints", "show", "1", "--json").json
    path = str(tmp_path / "mine.ckpt")
    assert (row["path"], row["origin"], row["network"]) == (path, "import", ERFNET)
    assert row["source"] == f"{source} sha256:{sha256_of(source)}"
    assert (row["sha256"], row["size"]) == (sha256_of(tmp_path / "mine.ckpt"), (tmp_path / "mine.ckpt").stat().st_size)
    assert (row["job"], row["stage"], row["epoch"]) == (None, None, None)
    shown = shell("checkpoints", "show", path).out
    assert "origin" in shown
    assert str(source) in shown
    assert "import" in shell("checkpoints", "list").out
    assert "weights imported" in shell("events").out
    with shell.registry() as registry, registry.read() as session:
        assert [file.path for file in resolve_checkpoints(session, "1")] == [path]


def test_the_same_again_is_the_same_checkpoint_and_another_replaces_it(
    shell: Shell, source: Path, tmp_path: Path
) -> None:
    shell.registry().close()
    assert shell("import-weights", source, "-o", "mine.ckpt").code == 0

    refused(shell("import-weights", source, "-o", "mine.ckpt"), 2, "mine.ckpt is there already", "--force")
    again = shell("import-weights", source, "-o", "mine.ckpt", "--force", "--json")
    assert again.json["checkpoint"] == 1
    assert shell("import-weights", source, "-o", "mine.ckpt", "--force", "--encoder", "--json").json["checkpoint"] == 2
    listed = {row["checkpoint"]: row["removed_at"] for row in shell("checkpoints", "list", "--removed", "--json").json}
    assert listed[1] is not None
    assert listed[2] is None
    with shell.registry() as registry, registry.read() as session:
        assert resolve_checkpoints(session, str(tmp_path / "mine.ckpt"))[0].id == 2
        with pytest.raises(NotFound, match="it was replaced; name another"):
            resolve_checkpoints(session, "1")


def test_another_way_to_the_same_path_is_the_same_file(shell: Shell, source: Path, tmp_path: Path) -> None:
    shell.registry().close()
    (tmp_path / "pics").mkdir()
    (tmp_path / "link").symlink_to("pics")
    assert shell("import-weights", source, "-o", "A.ckpt").code == 0
    again = shell("import-weights", source, "-o", "pics/../A.ckpt", "--force", "--encoder", "--json")
    assert again.json["path"] == str(tmp_path / "A.ckpt")
    assert [row["checkpoint"] for row in shell("checkpoints", "list", "--json").json] == [again.json["checkpoint"]]
    linked = shell("import-weights", source, "-o", "link/B.ckpt", "--json").json["checkpoint"]
    with shell.registry() as registry, registry.read() as session:
        for way in ("A.ckpt", "pics/../A.ckpt", "link/../A.ckpt"):
            (found,) = resolve_checkpoints(session, str(tmp_path / way))
            assert (found.id, found.sha256) == (again.json["checkpoint"], sha256_of(tmp_path / "A.ckpt")), way
        assert {resolve_checkpoints(session, str(tmp_path / way / "B.ckpt"))[0].id for way in ("link", "pics")} == {
            linked
        }


@pytest.mark.parametrize("forced", [True, False])
def test_what_the_registry_knows_is_not_replaced_behind_its_back(
    shell: Shell, source: Path, tmp_path: Path, forced: bool
) -> None:
    shell.registry().close()
    assert shell("import-weights", source, "-o", "B.ckpt").code == 0
    before = sha256_of(tmp_path / "B.ckpt")
    if not forced:
        (tmp_path / "B.ckpt").rename(tmp_path / "C.ckpt")

    options = ["--force"] if forced else []
    called = shell("import-weights", source, "-o", "./B.ckpt", "--encoder", "--no-register", *options)

    refused(called, 2, "B.ckpt is checkpoint 1 of the registry", "leave out --no-register")
    assert sha256_of(tmp_path / ("B.ckpt" if forced else "C.ckpt")) == before


def test_rows_that_name_a_file_another_way_are_retired_with_it(registry: Registry, tmp_path: Path) -> None:
    actor = Actor("alice", "shell")
    (tmp_path / "pics").mkdir()
    path, older = tmp_path / "100%_A.ckpt", f"{tmp_path}/pics/../100%_A.ckpt"
    with registry.write() as session:
        other = record_import(session, ImportedFile(f"{tmp_path}/1000_A.ckpt", ERFNET, "0" * 64, 5, "s"), actor).id
        old = record_import(session, ImportedFile(older, ERFNET, "0" * 64, 5, "s"), actor).id
    with registry.write() as session:
        new = record_import(session, ImportedFile(str(path), ERFNET, "0" * 64, 5, "s"), actor).id
    with registry.read() as session:
        assert {row.id for row in list_checkpoints(session)} == {other, new}
        assert {row.id for row in list_checkpoints(session, with_removed=True)} == {other, old, new}


def test_records_of_imports_on_each_database(registry: Registry) -> None:
    actor = Actor("alice", "shell")
    file = ImportedFile("/w/mine.ckpt", ERFNET, "0" * 64, 5, "/w/mine.pth sha256:1")
    ids = []
    for each in (file, file, ImportedFile(file.path, ERFNET, "1" * 64, 5, file.source), file):
        with registry.write() as session:
            ids.append(record_import(session, each, actor).id)

    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    with registry.read() as session:
        assert resolve_checkpoints(session, file.path)[0].id == ids[-1]


def test_run_infer_takes_it(shell: Shell, source: Path, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    picture = np.random.default_rng(0).integers(0, 256, (64, 128, 3)).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "frames" / "a.png")
    assert shell("import-weights", source, "-o", "mine.ckpt", "--no-register").code == 0

    places = ["--images", tmp_path / "frames", "--output", tmp_path / "seen"]
    called = shell("run", "infer", "--checkpoint", "mine.ckpt", *places, "--size", "64x128")

    assert called.code == 0, called
    assert (tmp_path / "seen" / "a_overlay.png").is_file()


def test_without_a_registry_nothing_is_written(shell: Shell, source: Path, tmp_path: Path) -> None:
    refused(shell("import-weights", source, "-o", "mine.ckpt"), 7, "no registry", "db upgrade", "--no-register")
    assert not (tmp_path / "mine.ckpt").exists()


def test_a_registry_that_is_locked_afterwards_is_told_with_the_remedy(
    shell: Shell, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.registry().close()
    monkeypatch.setattr(engine, "BUSY_SECONDS", 1)
    lock = sqlite3.connect(shell.home / "registry.sqlite", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        called = shell("import-weights", source, "-o", "mine.ckpt")
    finally:
        lock.execute("ROLLBACK")
        lock.close()

    refused(called, 6, "mine.ckpt is written, but not registered", "locked", "--force")
    assert (tmp_path / "mine.ckpt").is_file()
    assert shell("import-weights", source, "-o", "mine.ckpt", "--force", "--json").json["checkpoint"] == 1


def test_a_registry_without_room_afterwards_is_told_with_the_remedy(shell: Shell) -> None:
    with shell.registry() as registry, Client(shell.settings) as client:
        client.__dict__["registry"] = registry

        @sqlalchemy.event.listens_for(registry._engine, "connect")
        def small(connection: Any, _record: object) -> None:
            connection.execute("PRAGMA max_page_count=1")  # what it has, and no page more

        registry._engine.dispose()
        with pytest.raises(DiskFull) as raised:
            register_import(client, ImportedFile("/w/mine.ckpt", ERFNET, "0" * 64, 5, "s" * 100_000))

    for word in ("/w/mine.ckpt is written, but not registered", "no space is left for the registry", "--force"):
        assert word in str(raised.value)


@pytest.mark.parametrize(
    ("file", "output", "code", "words"),
    [
        ("none.pth", "mine.ckpt", 11, ["none.pth does not exist"]),
        (".", "mine.ckpt", 11, ["is no file"]),
        ("checkpoint.pth.tar", "mine.pth", 2, ["mine.pth must end in .ckpt"]),
        ("checkpoint.pth.tar", "none/mine.ckpt", 2, ["no folder", "none"]),
        ("checkpoint.pth.tar", "folder.ckpt", 2, ["folder.ckpt is a folder"]),
        ("saved.ckpt", "saved.ckpt", 2, ["is the file to read"]),
        ("short.pth", "mine.ckpt", 11, ["short.pth is cut short"]),
        ("model.pth", "mine.ckpt", 11, ["torch.nn.modules", "could run code"]),
        ("other.pth", "mine.ckpt", 11, ["2 unknown", "weight", "missing"]),
        ("classes.pth", "mine.ckpt", 11, ["2 of another shape", "decoder.output_conv.bias is (27,), not (20,)"]),
        ("ruined.pth", "mine.ckpt", 11, ["1 not finite", "encoder.initial_block.conv.bias"]),
    ],
)
def test_what_is_refused(
    shell: Shell, source: Path, tmp_path: Path, file: str, output: str, code: int, words: list[str]
) -> None:
    (tmp_path / "folder.ckpt").mkdir()
    (tmp_path / "saved.ckpt").write_bytes(source.read_bytes())
    (tmp_path / "short.pth").write_bytes(source.read_bytes()[:100_000])
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2)), tmp_path / "model.pth")
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "other.pth")
    state = REFERENCE.state_dict()
    many = {"decoder.output_conv.weight": torch.zeros(16, 27, 2, 2), "decoder.output_conv.bias": torch.zeros(27)}
    torch.save({**state, **many}, tmp_path / "classes.pth")
    torch.save({**state, "encoder.initial_block.conv.bias": torch.full((13,), torch.nan)}, tmp_path / "ruined.pth")
    before = sorted(tmp_path.iterdir())

    refused(shell("import-weights", file, "-o", output, "--force", "--no-register"), code, *words)

    assert sorted(tmp_path.iterdir()) == before


def test_without_torch_the_extra_is_named(shell: Shell, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    called = shell("import-weights", source, "-o", "mine.ckpt", "--no-register", "--json")
    assert called.code == 15
    assert "pip install 'erfnet-jobs[torch]'" in json.loads(called.out)["error"]["message"]


def test_warnings_stand_beside_the_document(shell: Shell, source: Path) -> None:
    called = shell("import-weights", source, "-o", "mine.ckpt", "--encoder", "--no-register", "--json")
    assert len(called.json["warnings"]) == 1
    assert f"warning: {called.json['warnings'][0]}" in called.err
