"""Pruning checkpoints: what stays, what goes, and what becomes of a call that is killed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from erfnet_jobs.client.rows import with_needs
from erfnet_jobs.erfnet.manifest import Entry, Manifest, read_manifest
from erfnet_jobs.errors import NotFound
from erfnet_jobs.jobs import Request
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.jobs import submit_job
from erfnet_jobs.registry.prune import PRUNE_LOCK, Keep, mark_pruned, prune_plans
from erfnet_jobs.registry.tables import Artifact, Checkpoint, Placement
from erfnet_jobs.specs import EvalSpec, ExportSpec
from tests.cli_calls import Shell
from tests.registry_steps import ACTOR, add_hosts
from tests.trained_jobs import Trained, evaluate, train, validated


@pytest.fixture
def session(registry: Registry) -> Iterator[Session]:
    with registry.write() as opened:
        add_hosts(opened)
        yield opened


def kept(session: Session, job: int, **keep: int) -> list[int]:
    (plan,) = prune_plans(session, Keep(**keep), job)
    assert not {row.id for row in plan.kept} & {one.checkpoint.id for one in plan.going}
    return [row.id for row in plan.kept]


def test_the_newest_are_of_the_last_stage(session: Session, tmp_path: Path) -> None:
    trained = train(session, tmp_path)
    ids = trained.checkpoints
    assert kept(session, trained.job, newest=2) == list(ids[-2:])
    assert kept(session, trained.job, newest=5) == list(ids[-5:])
    assert kept(session, trained.job, newest=99) == list(ids)


def test_the_best_are_by_evaluations_then_by_the_training_then_the_newest(session: Session, tmp_path: Path) -> None:
    trained = train(session, tmp_path)
    ids = trained.checkpoints
    assert kept(session, trained.job, best=2) == list(ids[-2:])
    for epoch, value in ((1, 0.3), (2, 0.5), (3, 0.4), (4, 0.1)):
        validated(session, trained.job, 4, epoch, value)
    validated(session, trained.job, 3, 1, 0.9)  # another stage
    assert kept(session, trained.job, best=2) == [ids[5], ids[6]]
    assert kept(session, trained.job, best=1, newest=1) == [ids[5], ids[7]]
    evaluate(session, trained.job, ids[4], 0.8)
    evaluate(session, trained.job, ids[7], 0.7)
    evaluate(session, trained.job, ids[6], 0.99, protocol="full")  # another group
    evaluate(session, trained.job, ids[6], 0.99, model_sha256="c" * 64)
    assert kept(session, trained.job, best=1) == [ids[4]]
    assert kept(session, trained.job, best=3) == [ids[4], ids[7]]


def test_a_job_that_goes_on_or_that_another_may_resolve_is_left_alone(session: Session, tmp_path: Path) -> None:
    going_on, resolved = train(session, tmp_path, ended=False), train(session, tmp_path)
    submit_job(session, Request(EvalSpec((f"{resolved.job}:all",), "/data")), ACTOR)
    plans = {plan.job.id: plan for plan in prune_plans(session, Keep(newest=1))}
    assert "it is running" in (plans[going_on.job].alone or "")
    assert "job 3, which is queued, needs them" in (plans[resolved.job].alone or "")
    assert not any(plan.going for plan in plans.values())


def test_what_an_unfinished_job_names_by_id_or_path_stays(session: Session, tmp_path: Path) -> None:
    trained = train(session, tmp_path)
    ids = trained.checkpoints
    link = tmp_path / "link.ckpt"
    link.symlink_to(session.get_one(Checkpoint, ids[1]).path)
    for named in (str(ids[0]), str(link), session.get_one(Checkpoint, ids[2]).path):
        submit_job(session, Request(ExportSpec(named)), ACTOR)
    assert kept(session, trained.job, newest=1) == [ids[0], ids[1], ids[2], ids[7]]


def test_a_file_is_the_same_whichever_links_lead_to_it(session: Session, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    trained = train(session, tmp_path / "runs")
    path = Path(session.get_one(Checkpoint, trained.checkpoints[0]).path)
    submit_job(session, Request(ExportSpec(str(path.resolve()))), ACTOR)
    assert kept(session, trained.job, newest=1) == [trained.checkpoints[0], trained.checkpoints[-1]]


def test_a_job_whose_processes_have_not_ended_is_left_alone(session: Session, tmp_path: Path) -> None:
    trained = train(session, tmp_path)
    session.execute(update(Placement).where(Placement.job_id == trained.job).values(state="running"))
    (plan,) = prune_plans(session, Keep(newest=1), trained.job)
    assert (plan.alone, plan.going) == ("its processes on a have not ended", ())


def test_what_a_job_was_given_meanwhile_is_not_marked(session: Session, tmp_path: Path) -> None:
    trained = train(session, tmp_path)
    submit_job(session, Request(ExportSpec(str(trained.checkpoints[0]))), ACTOR)
    marked = mark_pruned(session, Keep(newest=1), {trained.job: trained.checkpoints}, ACTOR)
    assert [row.id for row in marked] == list(trained.checkpoints[1:-1])
    assert mark_pruned(session, Keep(newest=1), {trained.job: trained.checkpoints}, ACTOR) == []


def test_who_names_weights_and_who_removes_them_wait_for_each_other(postgres_url: str, tmp_path: Path) -> None:
    with Registry(postgres_url) as registry, Registry(postgres_url) as other:
        with registry.write() as session:
            add_hosts(session)
            trained = train(session, tmp_path)
        request = Request(ExportSpec(str(trained.checkpoints[0])))

        def is_free(function: str) -> bool:
            with other.read() as looking:
                return bool(looking.scalar(text(f"SELECT {function}(:key)"), {"key": PRUNE_LOCK}))

        with registry.write() as session:
            with_needs(session, request)
            assert not is_free("pg_try_advisory_xact_lock")
            assert is_free("pg_try_advisory_xact_lock_shared")
        with registry.write() as session:
            mark_pruned(session, Keep(newest=1), {trained.job: trained.checkpoints}, ACTOR)
            assert not is_free("pg_try_advisory_xact_lock_shared")
        with registry.write() as session, pytest.raises(NotFound, match="has left the disk"):
            with_needs(session, request)


@pytest.fixture
def shell(narrow_shell: Shell) -> Shell:
    return narrow_shell


@pytest.fixture
def trained(shell: Shell) -> Trained:
    with shell.registry() as registry, registry.write() as session:
        add_hosts(session)
        made = train(session, shell.settings.runs)
        evaluate(session, made.job, made.checkpoints[4], 0.8)
        return made


def on_disk(shell: Shell) -> list[str]:
    return sorted(path.name for path in shell.settings.runs.rglob("*.ckpt"))


LEFT = ["ERFNet_stage4-1_7.ckpt", "ERFNet_stage4-4_7.ckpt"]
PRUNE = ("checkpoints", "prune", "--keep", "best:3,newest:1")


def test_first_it_only_tells_then_it_does_it(shell: Shell, trained: Trained) -> None:
    before = on_disk(shell)
    told = shell(*PRUNE, "--job", trained.job)
    assert told.code == 0
    assert "Would go: 6 checkpoints of 1 job, 192 B; 2 stay." in told.out
    assert "Nothing was removed." in told.out
    assert "erfnet-jobs checkpoints prune --keep best:3,newest:1 --job 1 --yes" in " ".join(told.out.split())
    assert max(map(len, told.out.split("\n\n")[0].splitlines())) <= 80
    assert on_disk(shell) == before
    assert len(shell("checkpoints", "list", "--json").json) == 8

    done = shell(*PRUNE, "--yes", "--json").json

    assert (done["done"], done["size"], done["faults"]) == (True, 192, [])
    assert on_disk(shell) == LEFT
    ids = trained.checkpoints
    assert {row["checkpoint"] for row in shell("checkpoints", "list", "--json").json} == {ids[4], ids[7]}
    entries, _ = read_manifest(shell.settings.runs / "1/1/checkpoints")
    assert [entry.file for entry in entries] == LEFT
    (event,) = shell("events", 1, "--kind", "checkpoints pruned", "--json").json
    assert event["text"] == "6 (1-4,6-7), kept best:3,newest:1"
    assert event["user"] is not None
    assert "Nothing to remove here" in shell(*PRUNE, "--yes").out


def test_what_came_of_a_checkpoint_is_told_and_it_goes(shell: Shell, trained: Trained) -> None:
    with shell.registry() as registry, registry.write() as session:
        evaluate(session, trained.job, trained.checkpoints[5], 0.2)
        evaluate(session, trained.job, trained.checkpoints[5], 0.3)
        for kind in ("onnx", "png"):
            made = Artifact(job_id=trained.job, attempt=1, checkpoint_id=trained.checkpoints[5], format=kind)
            made.path, made.sha256, made.size, made.created_at = "/f", "0", 1, now(session)
            session.add(made)
    told = shell("checkpoints", "prune", "--keep", "best:1")
    assert "2 evaluations, 1 export" in told.out
    row = next(row for row in shell(*PRUNE[:3], "best:1", "--json").json["checkpoints"] if row["evaluations"])
    assert (row["mean_iou"], row["verdict"]) == (0.3, "goes")


@pytest.mark.parametrize("killed_in", ["marking", "manifest", "files"])
def test_a_call_that_is_killed_is_finished_by_the_next(
    shell: Shell, trained: Trained, monkeypatch: pytest.MonkeyPatch, killed_in: str
) -> None:
    with monkeypatch.context() as patch:
        name, owner = {
            "marking": ("forget", Manifest),
            "manifest": ("_write", Manifest),
            "files": ("unlink", Path),
        }[killed_in]
        patch.setattr(owner, name, _killed)
        with pytest.raises(SystemExit):
            shell(*PRUNE, "--yes")
    assert len(on_disk(shell)) == 8
    assert len(shell("checkpoints", "list", "--json").json) == 2
    assert "6 files that are known as removed" in " ".join(shell(*PRUNE).out.split())

    assert "6 files that are known as removed, 192 B" in shell(*PRUNE, "--yes").out

    assert on_disk(shell) == LEFT
    assert "Nothing to remove" in shell(*PRUNE).out


def _killed(*_arguments: object, **_others: object) -> None:
    raise SystemExit(137)


def test_a_file_that_is_marked_is_no_longer_given_to_jobs(shell: Shell, trained: Trained) -> None:
    with shell.registry() as registry, registry.write() as session:
        mark_pruned(session, Keep(newest=1), {trained.job: trained.checkpoints[:1]}, ACTOR)
        path = session.get_one(Checkpoint, trained.checkpoints[0]).path
        with pytest.raises(NotFound, match=r"checkpoint 1 .* has left the disk"):
            with_needs(session, Request(ExportSpec(path)))


def test_copies_of_later_attempts_go_with_what_they_were_made_of(shell: Shell, trained: Trained) -> None:
    folder = shell.settings.runs / "1/1/checkpoints"
    second = Manifest(shell.settings.runs / "1/2/checkpoints")
    for entry in read_manifest(folder)[0][:1] + read_manifest(folder)[0][-1:]:
        second.adopt(folder / entry.file, Entry(**{**vars(entry), "adopted": True}))
    # Written by the second attempt itself, and not known to the registry yet.
    own = second.folder / "own.ckpt"
    own.write_bytes((folder / second.entries[0].file).read_bytes())
    second.add(Entry(**{**vars(second.entries[0]), "file": own.name, "adopted": False}))
    shell(*PRUNE, "--yes")
    assert [entry.file for entry in read_manifest(second.folder)[0]] == [LEFT[-1], own.name]
    assert sorted(path.name for path in second.folder.glob("*.ckpt")) == [LEFT[-1], own.name]


def test_links_strangers_and_changed_files_are_left_and_told(shell: Shell, trained: Trained, tmp_path: Path) -> None:
    folder = shell.settings.runs / "1/1/checkpoints"
    stranger = tmp_path / "stranger.ckpt"
    stranger.write_bytes(b"mine")
    link, changed, gone, elsewhere = (folder / f"ERFNet_stage3-{epoch}_7.ckpt" for epoch in (1, 2, 3, 4))
    link.unlink()
    link.symlink_to(stranger)
    changed.write_bytes(b"longer or shorter")
    gone.unlink()
    with shell.registry() as registry, registry.write() as session:
        row = session.get_one(Checkpoint, trained.checkpoints[3])
        row.path = str(stranger)
    done = shell(*PRUNE, "--yes", "--json").json
    verdicts = {Path(row["path"]).name: (row["verdict"], row["why"]) for row in done["checkpoints"]}
    assert verdicts[link.name] == ("left", "is no regular file")
    assert verdicts[changed.name][0] == "left"
    assert "was recorded with" in verdicts[changed.name][1]
    assert verdicts[gone.name] == ("gone", "is not there any more")
    assert "is not in its attempt's folder" in verdicts[stranger.name][1]
    assert stranger.read_bytes() == b"mine"
    assert link.is_symlink()
    assert changed.exists()
    assert elsewhere.exists()
    ids = trained.checkpoints
    there = {row["checkpoint"] for row in shell("checkpoints", "list", "--json").json}
    assert there == {ids[0], ids[1], ids[3], ids[4], ids[7]}


def test_a_folder_behind_a_link_is_not_touched(shell: Shell, trained: Trained, tmp_path: Path) -> None:
    folder = shell.settings.runs / "1/1/checkpoints"
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    done = shell(*PRUNE, "--yes", "--json").json
    assert {row["why"] for row in done["checkpoints"]} == {"lies behind a symbolic link"}
    assert len(list((tmp_path / "moved").glob("*.ckpt"))) == 8


def test_what_lies_on_other_hosts_is_named_and_not_marked(shell: Shell, postgres_url: str) -> None:
    with Registry(postgres_url) as registry, registry.write() as session:
        add_hosts(session)
        train(session, shell.home / "other")
    called = shell("--database-url", postgres_url, *PRUNE, "--yes")
    assert called.code == 0
    assert "5 checkpoints that would go lie on a or b: prune there." in called.out
    assert len(shell("--database-url", postgres_url, "checkpoints", "list", "--json").json) == 8


@pytest.mark.parametrize("keep", ["best", "best:0", "newest:-1", "best:1,best:2", "oldest:3", ""])
def test_a_rule_that_keeps_nothing_is_refused(shell: Shell, keep: str) -> None:
    called = shell("checkpoints", "prune", "--keep", keep)
    assert called.code == 2
    assert "such as best:3,newest:2" in " ".join(called.err.split())
