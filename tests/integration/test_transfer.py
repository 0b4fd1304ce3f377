"""A registry into a file, back from it, and into another database: the same rows, the next ids, or nothing at all."""

import json
import os
import re
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update

from erfnet_jobs.client.api import Client
from erfnet_jobs.client.transfers import backup
from erfnet_jobs.errors import AlreadyRunning, BadData, ErfnetJobsError, NotFound, RegistryNotMigrated, UsageError
from erfnet_jobs.registry import rows as rows_module
from erfnet_jobs.registry.engine import HEAD, Registry, make_engine
from erfnet_jobs.registry.events import now
from erfnet_jobs.registry.jobs import new_group
from erfnet_jobs.registry.migrate import downgrade
from erfnet_jobs.registry.rows import TABLES, continue_ids, highest_ids, numbered
from erfnet_jobs.registry.tables import Device, Event, Host, Job, JobDependency, Lease, Placement, RegistryIdentity
from tests.benchmarks.big_registry import fill
from tests.cli_calls import Called, Shell
from tests.conftest import PostgresServer
from tests.registry_steps import submit

NewUrl = Callable[[], str]


@pytest.fixture
def empty_of(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The URL of a database with nothing in it."""

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / 'other.sqlite'}"
        server: PostgresServer = request.getfixturevalue("postgres_server")
        return server.create()

    return make


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    for name in [name for name in os.environ if name.startswith("ERFNET_JOBS_")]:
        monkeypatch.delenv(name)
    return Shell(tmp_path / "home", capsys)


def filled(database_url: str) -> None:
    """Rows in every table; the newest job's row is gone, so that its number is known to the sequence only."""
    fill(database_url, jobs=60, metrics=300)
    with Registry(database_url) as registry, registry.write() as session:
        session.execute(text("UPDATE job SET name = 'größer'' \"x\"', loss = 0.1 WHERE id = 7"))
        continue_ids(session.connection(), dict.fromkeys(numbered(), 60))  # the rows brought their ids with them
        group, first, last = new_group(session), submit(session), submit(session, after=(60,))
        session.execute(update(Job).where(Job.id == first).values(group_id=group))
        session.add(JobDependency(job_id=first, needs_job_id=1))
        session.add(Lease(job_id=1, attempt=1, host_name="host0", counter=3, pid=9, beaten_at=now(session)))
        session.execute(update(Placement).values(host_name="host0"))  # one host, as SQLite serves
        session.execute(delete(Host).where(Host.name != "host0"))
        session.add(Device(host_name="host0", id=0, kind="cpu", name="slot", health="ok"))
        session.execute(delete(Event).where(Event.job_id == last))
        session.execute(delete(JobDependency).where(JobDependency.job_id == last))
        session.execute(delete(Job).where(Job.id == last))


def highest_of(database_url: str) -> dict[str, int]:
    engine = make_engine(database_url)
    with engine.connect() as connection:
        found = highest_ids(connection)
    engine.dispose()
    return found


def content(database_url: str) -> dict[str, set[tuple[Any, ...]]]:
    """All rows, without the events of copying."""
    engine = make_engine(database_url)
    with engine.connect() as connection:
        found = {table.name: set(map(tuple, connection.execute(select(table)))) for table in TABLES}
    engine.dispose()
    at = list(Event.__table__.columns.keys()).index("kind")
    found["event"] = {row for row in found["event"] if not row[at].startswith("registry ")}
    return found


def refused(called: Called, code: int, *words: str) -> None:
    assert called.code == code, called
    assert all(word in called.err for word in words), called.err
    assert "Traceback" not in called.err


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("back", ["sqlite", "postgresql"])
def test_a_backup_brings_everything_back(
    kind: str, back: str, request: pytest.FixtureRequest, empty_of: Callable[[str], str], shell: Shell, tmp_path: Path
) -> None:
    source = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[kind])
    filled(source)
    target, file = empty_of(back), tmp_path / "kept.sqlite"

    kept = shell("--database-url", source, "db", "backup", file, "--json").json
    done = shell("--database-url", target, "db", "restore", file, "--json").json

    assert all(content(source).values()), [name for name, found in content(source).items() if not found]
    assert content(target) == content(source)
    assert kept["rows"] == sum(kept["tables"].values()) == done["rows"] - 1  # and the event of the backup
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if "kept" in path.name] == [file.name]
    before = highest_of(source)
    with Registry(target) as registry, registry.write() as session:
        assert submit(session) == before["job"] + 1
        kinds = session.scalars(select(Event.kind).where(Event.kind.like("registry %")).order_by(Event.id)).all()
    assert kinds[-2:] == ["registry backed up", "registry restored"]
    assert {name: number for name, number in highest_of(target).items() if name not in ("event", "job")} == {
        name: number for name, number in before.items() if name not in ("event", "job")
    }


@pytest.mark.parametrize(("kind", "other"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
def test_a_registry_moves_to_the_other_database_and_back(
    kind: str, other: str, request: pytest.FixtureRequest, empty_of: Callable[[str], str], shell: Shell
) -> None:
    source = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[kind])
    with Registry(source) as registry, registry.write() as session:
        submit(session)
    target = empty_of(other)

    called = shell("--database-url", source, "db", "copy", "--to", target)

    assert called.code == 0, called
    assert "ERFNET_JOBS_DATABASE_URL" in called.out
    assert content(target) == content(source)
    for url in (source, target):
        with Registry(url) as registry, registry.read() as session:
            assert session.scalars(select(Event.kind).order_by(Event.id.desc())).first() == "registry copied"
    refused(shell("--database-url", source, "db", "copy", "--to", target), 2, "no empty registry", "job")


def test_several_hosts_do_not_go_into_sqlite(postgres_url: str, shell: Shell, tmp_path: Path) -> None:
    fill(postgres_url, jobs=5, metrics=1)
    target = tmp_path / "one.sqlite"
    refused(
        shell("--database-url", postgres_url, "db", "copy", "--while-used", "--to", f"sqlite:///{target}"),
        *(2, "serves one host", "db backup"),
    )


def test_nothing_is_copied_from_under_workers(shell: Shell, tmp_path: Path) -> None:
    shell.add_host("h1")
    target = f"sqlite:///{tmp_path / 'copy.sqlite'}"

    refused(shell("db", "copy", "--to", target), 2, "the worker of h1", "--while-used")
    assert not (tmp_path / "copy.sqlite").exists()
    assert shell("db", "copy", "--to", target, "--while-used").code == 0


def test_a_backup_is_of_one_moment_while_others_write(database_url: str, shell: Shell, tmp_path: Path) -> None:
    filled(database_url)
    before = content(database_url)
    file = tmp_path / "kept.sqlite"
    written: list[int] = []

    def write(_done: int, _total: int) -> None:
        with Registry(database_url) as registry, registry.write() as session:
            written.append(submit(session))

    with Client(settings_of(shell, database_url)) as client:
        backup(client, file, write)

    assert written
    assert content(f"sqlite:///{file}") == before


def settings_of(shell: Shell, database_url: str) -> Any:
    from erfnet_jobs.settings import load_settings

    return load_settings({"home": shell.home, "database_url": database_url}, {})


@pytest.fixture
def kept(shell: Shell, tmp_path: Path) -> Iterator[Path]:
    """A backup of a registry with one job."""
    with shell.registry() as registry, registry.write() as session:
        submit(session)
    assert shell("db", "backup", tmp_path / "kept.sqlite").code == 0
    return tmp_path / "kept.sqlite"


def test_what_is_there_is_not_replaced_unasked(shell: Shell, kept: Path) -> None:
    content_before = kept.read_bytes()
    refused(shell("db", "backup", kept), UsageError.exit_code, "is there already", "--force")
    assert kept.read_bytes() == content_before
    assert shell("db", "backup", kept, "--force").code == 0
    assert kept.read_bytes() != content_before
    refused(shell("db", "restore", kept), UsageError.exit_code, "no empty registry", "move that one away")
    refused(shell("db", "backup", kept.parent / "no" / "x"), UsageError.exit_code, "the folder of", "make it")
    refused(shell("db", "backup", kept.parent / "a?b"), UsageError.exit_code, "give another")
    refused(shell("db", "copy", "--to", shell.settings.resolved_database_url), UsageError.exit_code, "into itself")


def test_what_is_no_sound_backup_is_refused_and_nothing_made(shell: Shell, kept: Path) -> None:
    shell.settings.home.rename(kept.parent / "before")
    notes, damaged = kept.parent / "notes", kept.parent / "damaged"
    notes.write_text("not a database, " * 100)
    block = kept.read_bytes()
    damaged.write_bytes(block[:8192] + b"\xff" * 4096 + block[12288:])
    refused(shell("db", "restore", kept.parent / "nothing"), NotFound.exit_code, "there is no file")
    refused(shell("db", "restore", notes), BadData.exit_code, "no backup")
    refused(shell("db", "restore", damaged), BadData.exit_code, "damaged")
    with sqlite3.connect(kept.parent / "foreign") as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    refused(shell("db", "restore", kept.parent / "foreign"), RegistryNotMigrated.exit_code, "is no registry")
    assert not (shell.home / "registry.sqlite").exists()
    assert shell("db", "restore", kept).code == 0


def test_a_backup_of_an_older_program_is_brought_up_first(shell: Shell, kept: Path) -> None:
    shell.settings.home.rename(kept.parent / "before")
    downgrade(f"sqlite:///{kept}", "0003")
    refused(
        shell("db", "restore", kept),
        RegistryNotMigrated.exit_code,
        "at version 0003",
        HEAD,
        "a copy of it",
        "db upgrade",
    )
    assert shell("--database-url", f"sqlite:///{kept}", "db", "upgrade").code == 0
    assert shell("db", "restore", kept).code == 0
    assert shell.count_jobs() == 1


def test_rows_that_come_out_otherwise_leave_nothing(shell: Shell, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.settings.home.rename(kept.parent / "before")

    def lossy(table: Any, source: Any, target: Any, step: Any) -> Any:
        found = copy(table, source, target, step)
        if table.name == "job":
            target.execute(text("UPDATE job SET cards = 7"))
        return found

    copy = rows_module._copy
    monkeypatch.setattr(rows_module, "_copy", lossy)
    refused(shell("db", "restore", kept), ErfnetJobsError.exit_code, "rows of job are not", "nothing was kept")
    monkeypatch.undo()
    assert shell("db", "restore", kept).code == 0


def test_jobs_after_the_backup_keep_their_numbers(shell: Shell, kept: Path) -> None:
    shell.settings.home.rename(kept.parent / "before")
    for name in ("1", "41", "local-9", "x"):
        (shell.settings.runs / name).mkdir(parents=True)
    assert shell("db", "restore", kept).code == 0
    with shell.registry() as registry, registry.write() as session:
        assert submit(session) == 42


def test_no_restore_under_the_worker_of_this_home(shell: Shell, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from erfnet_jobs.local import restore, worker_process
    from erfnet_jobs.local.processes import identify

    me = identify(os.getpid(), "")
    assert me is not None
    monkeypatch.setattr(restore, "running_worker", lambda settings: me)
    assert worker_process.running_worker(shell.settings) is None
    refused(shell("db", "restore", kept), AlreadyRunning.exit_code, "down --leave")


def test_passwords_are_never_shown(
    postgres_server: PostgresServer, shell: Shell, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = re.sub("//[^@]*@", "//someone:s3cret@", postgres_server.create())
    postgres_server.add_guarded_user("someone", "s3cret")
    wrong = url.replace("s3cret", "wr0ng")
    for called in (
        shell("db", "copy", "--to", wrong),
        shell("db", "copy", "--to", url),
        shell("db", "copy", "--to", url),
        shell("--database-url", url, "db", "backup", kept, "--force", "--json"),
        shell("--database-url", url, "events", "--json"),
    ):
        assert "s3cret" not in called.out + called.err
        assert "wr0ng" not in called.out + called.err
    events = shell("events", "--json").json
    assert any("***" in event["text"] for event in events), json.dumps(events)


def test_every_table_that_numbers_its_rows_is_known(registry: Registry) -> None:
    assert set(numbered()) == {"job_group", "job", "checkpoint", "artifact", "evaluation", "event"}
    assert RegistryIdentity.__tablename__ not in numbered()
    with registry.write() as session:
        first = submit(session)
        session.execute(text("DELETE FROM event"))
        session.delete(session.get_one(Job, first))
        session.flush()
        assert highest_ids(session.connection())["job"] == first


def test_an_error_of_the_source_names_the_source(sqlite_url: str, shell: Shell, tmp_path: Path) -> None:
    filled(sqlite_url)
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.execute("DROP TABLE metric")
    other = f"sqlite:///{tmp_path / 'other.sqlite'}"
    called = shell("--database-url", sqlite_url, "db", "copy", "--to", other, "--while-used")
    assert called.code == RegistryNotMigrated.exit_code, called
    assert f"{sqlite_url} has no tables of ours" in called.err
    assert "other.sqlite" not in called.err
