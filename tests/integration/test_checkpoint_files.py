"""`checkpoints verify` and `bundle`: files as they were recorded, and archives of them."""

import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from erfnet_jobs.client import bundling
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.imports import ImportedFile, record_import
from erfnet_jobs.registry.tables import Checkpoint
from tests.cli_calls import Shell
from tests.registry_steps import ACTOR, add_hosts
from tests.trained_jobs import Trained, evaluate, train, validated


@pytest.fixture
def shell(narrow_shell: Shell) -> Shell:
    return narrow_shell


@pytest.fixture
def trained(shell: Shell) -> Trained:
    with shell.registry() as registry, registry.write() as session:
        add_hosts(session)
        made = train(session, shell.settings.runs, epochs=2)
        validated(session, made.job, 4, 2, 0.6)
        evaluate(session, made.job, made.checkpoints[3], 0.25, protocol="full", height=1024, width=2048)
        evaluate(session, made.job, made.checkpoints[3], 0.5)
        return made


@pytest.fixture
def folder(shell: Shell) -> Path:
    return shell.settings.runs / "1/1/checkpoints"


def test_files_that_are_as_recorded(shell: Shell, trained: Trained) -> None:
    called = shell("checkpoints", "verify")
    assert (called.code, called.out) == (0, "4 of 4 are as recorded (128 B); no faults.\n")
    assert "4 of 4" in called.err
    assert [row["checkpoint"] for row in shell("checkpoints", "verify", "1:last", "1", "--json").json] == [4, 1]
    assert len(shell("checkpoints", "verify", "--job", 1, "--json").json) == 4


def test_every_fault_has_its_name_and_makes_the_exit_code_1(shell: Shell, trained: Trained, folder: Path) -> None:
    missing, truncated, changed, grown = (
        folder / f"ERFNet_stage{stage}-{epoch}_7.ckpt" for stage in (3, 4) for epoch in (1, 2)
    )
    missing.unlink()
    truncated.write_bytes(b"weights")
    content = changed.read_bytes()
    changed.write_bytes(content[:-1] + b"X")
    grown.write_bytes(content * 2)
    called = shell("checkpoints", "verify", "--json")
    assert called.code == 1
    states = {Path(row["path"]).name: row["state"] for row in called.json}
    assert states == {
        missing.name: "missing",
        truncated.name: "truncated",
        changed.name: "changed",
        grown.name: "changed",
    }
    told = shell("checkpoints", "verify", 1, 3)
    assert told.code == 1
    assert "0 of 2 are as recorded (0 B); 2 faults." in told.out
    assert max(map(len, told.out.split("\n\n")[0].splitlines())) <= 80


def test_an_unreadable_file(shell: Shell, trained: Trained, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("erfnet_jobs.client.verifying.sha256_of", refused)
    (row,) = shell("checkpoints", "verify", 1, "--json").json
    assert (row["state"], row["said"]) == ("unreadable", "Permission denied")


def test_what_was_removed_meanwhile_is_no_fault(
    shell: Shell, trained: Trained, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from erfnet_jobs.client import verifying

    before = verifying._state

    def removed_first(row: Checkpoint) -> tuple[str, str | None]:
        Path(row.path).unlink()
        with shell.registry() as registry, registry.write() as session:
            session.get_one(Checkpoint, row.id).removed_at = row.created_at
        return before(row)

    monkeypatch.setattr(verifying, "_state", removed_first)
    called = shell("checkpoints", "verify", 1, "--json")
    assert (called.code, called.json[0]["state"]) == (0, "removed")


def test_files_on_other_hosts_are_named(shell: Shell, postgres_url: str) -> None:
    with Registry(postgres_url) as registry, registry.write() as session:
        add_hosts(session)
        train(session, shell.home / "other", epochs=1)
    for path in (shell.home / "other").rglob("*.ckpt"):
        path.unlink()
    called = shell("--database-url", postgres_url, "checkpoints", "verify")
    assert (called.code, called.out) == (
        0,
        "0 of 2 are as recorded (0 B); no faults.\n2 lie on a or b, not here: run this there.\n",
    )
    refused = shell("--database-url", postgres_url, "checkpoints", "bundle", "1:last", "-o", shell.home / "b.tar")
    assert refused.code == 4
    assert "checkpoint 2 lies on a or b" in refused.err
    assert not (shell.home / "b.tar").exists()


NOT_VERIFIED: list[tuple[tuple[str, ...], int, str]] = [
    (("99",), 4, "checkpoint 99 is unknown"),
    (("/no/such.ckpt",), 4, "is no checkpoint of this registry"),
    (("1", "--job", "1"), 2, "leave the other out"),
    (("--job", "99"), 4, "job 99 is unknown"),
]


def test_what_cannot_be_verified(shell: Shell, trained: Trained) -> None:
    for arguments, code, said in NOT_VERIFIED:
        called = shell("checkpoints", "verify", *arguments)
        assert (called.code, said in called.err) == (code, True), called.err


def bundled(shell: Shell, reference: object, tmp_path: Path) -> Path:
    """The unpacked archive's folder, which sha256sum has checked."""
    called = shell("checkpoints", "bundle", reference, "-o", tmp_path / "b.tar", "--json")
    assert called.code == 0, called.err
    with tarfile.open(tmp_path / "b.tar") as archive:
        archive.extractall(tmp_path / "out", filter="data")
    folder = tmp_path / "out" / called.json["folder"]
    assert sorted(path.name for path in folder.iterdir()) == called.json["files"]
    check = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    subprocess.run(check, cwd=folder, check=True, capture_output=True)
    listed = {line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    assert listed == set(called.json["files"]) - {"SHA256SUMS"}
    return folder


def test_a_bundle_holds_all_that_belongs_to_a_checkpoint(
    shell: Shell, trained: Trained, folder: Path, tmp_path: Path
) -> None:
    job = {"job": 1, "registry": "r", "user": "alice@shell", "spec": {"size": [512, 1024], "seed": 1, "data": "/d|e"}}
    job |= {"versions": {"mindspore": "2.10.0"}, "revision": "c0ffee"}
    (folder.parents[1] / "job.json").write_text(json.dumps(job))
    found = bundled(shell, "1:best", tmp_path)
    name = "ERFNet_stage4-2_7.ckpt"
    assert (found / name).read_bytes() == (folder / name).read_bytes()
    assert json.loads((found / "job.json").read_bytes()) == job
    assert json.loads((found / "metrics.json").read_bytes())["val_mean_iou"][0]["value"] == 0.6
    assert len(json.loads((found / "evaluations.json").read_bytes())) == 2
    card = (found / "README.md").read_text()
    assert card.startswith("---\nlicense: other\n")
    for words in (
        "# ERFNet, stage 4, epoch 2, checkpoint 4",
        "| seed | 1 |",
        "| data | /d\\|e |",
        "protocol half, at 64x128",
        "protocol full, at 1024x2048",
        "| IoU of rider | 0.5000 |",
        "| version of mindspore | 2.10.0 |",
        "| git revision | c0ffee |",
        "## Limits",
        "## Licence",
    ):
        assert words in card
    assert card.index("protocol half") < card.index("protocol full")


def test_the_same_contents_give_the_same_bytes(shell: Shell, trained: Trained, tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("a.tar", "b.tar"))
    second.write_bytes(b"what was there before")
    for path in (first, second):
        assert "README.md" in shell("checkpoints", "bundle", 4, "-o", path).out
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive:
        entries = archive.getmembers()
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {(entry.uid, entry.gid, entry.uname, entry.gname, entry.mode) for entry in entries} == {
        (0, 0, "", "", 0o644)
    }


def test_imported_weights_have_a_bundle_without_a_job(shell: Shell, trained: Trained, tmp_path: Path) -> None:
    path = tmp_path / "ERFNet.ckpt"
    path.write_bytes(b"imported")
    digest = "9e0d7cdb8d7b7d8ec2c1e7d3a0e2b1e9"
    from erfnet_jobs.files import sha256_of

    file = ImportedFile(str(path), "erfnet", sha256_of(path), 8, f"/w/erfnet.pth sha256:{digest}")
    with shell.registry() as registry, registry.write() as session:
        number = record_import(session, file, ACTOR).id
    found = bundled(shell, number, tmp_path)
    assert sorted(entry.name for entry in found.iterdir()) == [
        "ERFNet.ckpt",
        "README.md",
        "SHA256SUMS",
        "evaluations.json",
    ]
    card = (found / "README.md").read_text()
    assert f"imported from /w/erfnet.pth sha256:{digest}" in card
    assert "the registry has no evaluation of it" in card


def test_nothing_is_written_of_a_file_that_changed(
    shell: Shell, trained: Trained, folder: Path, tmp_path: Path
) -> None:
    (folder / "ERFNet_stage4-2_7.ckpt").write_bytes(b"x" * 32)
    called = shell("checkpoints", "bundle", 4, "-o", tmp_path / "b.tar")
    assert called.code == 11
    assert "has changed since it was recorded" in called.err
    assert not list(tmp_path.glob("*.tar*"))


def test_a_file_that_changes_while_it_is_read(
    shell: Shell, trained: Trained, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundling, "check_hash", lambda path, sha256: path.write_bytes(b"x" * 32))
    called = shell("checkpoints", "bundle", 4, "-o", tmp_path / "b.tar")
    assert called.code == 11
    assert "changed while it was read" in called.err
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


NOT_BUNDLED = [
    ("4", "b.zip", 2, "end it with .tar"),
    ("4", "/no/such/b.tar", 2, "there is no folder /no/such"),
    ("1:all", "b.tar", 2, "names 4 checkpoints"),
    ("77", "b.tar", 4, "checkpoint 77 is unknown"),
]


def test_what_cannot_be_bundled(shell: Shell, trained: Trained, tmp_path: Path) -> None:
    for reference, output, code, said in NOT_BUNDLED:
        called = shell("checkpoints", "bundle", reference, "-o", tmp_path / output)
        assert (called.code, said in called.err) == (code, True), called.err


def test_a_full_disk_leaves_what_was_there(
    shell: Shell, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.tar"
    path.write_bytes(b"before")

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundling, "_write", full)
    called = shell("checkpoints", "bundle", 4, "-o", path)
    assert called.code == 13
    assert f"no space left for {path}" in called.err
    assert path.read_bytes() == b"before"
    assert [entry for entry in tmp_path.iterdir() if entry.is_file()] == [path]
