"""Migrations against the models, up and down, on both databases; and registries that are not what they should be."""

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, select, text
from sqlalchemy.exc import IntegrityError

from erfnet_jobs.errors import RegistryNotMigrated, RegistryUnreachable, UsageError
from erfnet_jobs.registry import engine as engine_module
from erfnet_jobs.registry import migrate
from erfnet_jobs.registry.engine import Registry, make_engine
from erfnet_jobs.registry.evaluations import best
from erfnet_jobs.registry.tables import Base, RegistryIdentity
from tests.conftest import PostgresServer
from tests.registry_steps import submit


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deep' / 'registry.sqlite'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.create()


def _execute(database_url: str, *statements: str) -> None:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def _look(registry: Registry) -> None:
    with registry.read():
        pass


def _identities(database_url: str) -> list[str]:
    with Registry(database_url) as registry, registry.read() as session:
        return list(session.scalars(select(RegistryIdentity.uuid)))


def test_the_program_knows_the_newest_revision_without_alembic() -> None:
    assert migrate.head() == engine_module.HEAD


def _comparable(_thing: object, name: str | None, kind: str, reflected: bool, _other: object) -> bool:
    """Alembic cannot read a descending index of SQLite; the next test compares its statement."""
    return name != "ix_job_queue"


def test_the_migrations_make_what_the_models_say(database_url: str) -> None:
    engine = make_engine(database_url)
    with engine.connect() as connection:
        options = {"include_object": _comparable} if connection.dialect.name == "sqlite" else {}
        context = MigrationContext.configure(connection, opts={"compare_type": True, **options})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def _sqlite_schema(database_url: str) -> dict[str, set[str]]:
    """Name of each table and index with the clauses of its statement, in any order."""
    engine = make_engine(database_url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")).all()
    engine.dispose()
    return {name: _clauses(sql) for name, sql in rows if name != "alembic_version"}


def _clauses(statement: str) -> set[str]:
    """The parts of a CREATE statement between the commas of its outer brackets; added columns stand in one line."""
    head, _, body = statement.partition("(")
    body, _, tail = body.rpartition(")")
    parts, depth = [""], 0
    for character in body:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    # SQLite quotes the name of a table that was made anew and renamed.
    return {" ".join(part.replace(chr(34), "").split()) for part in (head, *parts, tail)}


def test_sqlite_gets_the_very_statements_of_the_models(sqlite_url: str, tmp_path: Path) -> None:
    made = f"sqlite:///{tmp_path / 'made.sqlite'}"
    engine = create_engine(made)
    Base.metadata.create_all(engine)
    engine.dispose()
    assert _sqlite_schema(sqlite_url) == _sqlite_schema(made)


def test_up_down_and_up_again(empty_url: str) -> None:
    assert migrate.current(empty_url) is None
    assert migrate.upgrade(empty_url) == (None, migrate.head())
    assert migrate.upgrade(empty_url) == (migrate.head(), migrate.head())
    (identity,) = _identities(empty_url)
    assert migrate.downgrade(empty_url) == (migrate.head(), None)
    engine = make_engine(empty_url)
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    engine.dispose()
    assert migrate.upgrade(empty_url) == (None, migrate.head())
    assert migrate.current(empty_url) == migrate.head()
    assert _identities(empty_url) != [identity]


def test_many_upgrades_at_once_do_it_once(empty_url: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(migrate.upgrade, [empty_url] * 6))
    assert sorted(results, key=str) == [(migrate.head(), migrate.head())] * 5 + [(None, migrate.head())]
    assert len(_identities(empty_url)) == 1


def test_an_upgrade_waits_for_one_that_has_begun(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    with sqlite3.connect(path, isolation_level=None) as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN IMMEDIATE")
        other.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        upgrading = pool.submit(migrate.upgrade, f"sqlite:///{path}")
        with pytest.raises(TimeoutError):
            upgrading.result(0.3)
        other.execute("COMMIT")
        assert upgrading.result(30) == (None, migrate.head())
    other.close()


def test_a_failed_upgrade_leaves_nothing_behind(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_connection: object) -> None:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(migrate, "_name_once", broken)
    with pytest.raises(RuntimeError, match="in the middle"):
        migrate.upgrade(empty_url)
    monkeypatch.undo()
    assert migrate.upgrade(empty_url) == (None, migrate.head())


def test_upgrade_says_nothing(empty_url: str, capfd: pytest.CaptureFixture[str]) -> None:
    migrate.upgrade(empty_url)
    assert capfd.readouterr() == ("", "")


def test_sqlite_is_in_wal(sqlite_url: str) -> None:
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_scripts_are_found_inside_a_package_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "erfnet_jobs"
    (package / "migrations").mkdir(parents=True)
    monkeypatch.setattr(migrate.erfnet_jobs, "__file__", str(package / "__init__.py"))
    assert migrate.scripts() == package / "migrations"


def test_a_newer_registry_is_refused(database_url: str) -> None:
    _execute(database_url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(RegistryNotMigrated, match=r"9999.*newer"):
        migrate.upgrade(database_url)
    with Registry(database_url) as registry, pytest.raises(RegistryNotMigrated, match=r"9999.*newer.*program"):
        _look(registry)


def test_a_registry_without_tables_is_refused(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    migrate.downgrade(empty_url)
    with Registry(empty_url) as registry, pytest.raises(RegistryNotMigrated, match="db upgrade"):
        _look(registry)


def test_a_database_of_something_else_is_refused(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    migrate.downgrade(empty_url)
    _execute(empty_url, "DROP TABLE alembic_version", "CREATE TABLE customers (id INTEGER)")
    with pytest.raises(UsageError, match="customers"):
        migrate.upgrade(empty_url)
    with Registry(empty_url) as registry, pytest.raises(RegistryNotMigrated, match="no tables of ours"):
        _look(registry)


def test_no_file_is_made_by_looking(tmp_path: Path) -> None:
    path = tmp_path / "nothing.sqlite"
    with Registry(f"sqlite:///{path}") as registry, pytest.raises(RegistryNotMigrated, match="no registry"):
        _look(registry)
    assert migrate.current(f"sqlite:///{path}") is None
    assert not path.exists()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)
    with pytest.raises(UsageError, match="no SQLite database"):
        migrate.upgrade(f"sqlite:///{path}")
    with Registry(f"sqlite:///{path}") as registry, pytest.raises(UsageError, match="no SQLite database"):
        _look(registry)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch(stat.S_IRUSR)
    with pytest.raises(RegistryUnreachable, match="cannot be made"):
        migrate.upgrade(f"sqlite:///{tmp_path / 'file' / 'registry.sqlite'}")


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "folder.sqlite").mkdir()
    with pytest.raises(RegistryUnreachable, match="unable to open"):
        migrate.upgrade(f"sqlite:///{tmp_path / 'folder.sqlite'}")


def _nowhere(call: Any) -> str:
    url = "postgresql+psycopg://someone:secret@127.0.0.1:1/registry"
    with pytest.raises(RegistryUnreachable) as caught:
        call(url)
    return str(caught.value)


def test_postgresql_that_is_not_there_and_no_password_shown() -> None:
    pytest.importorskip("psycopg")

    def read(url: str) -> None:
        with Registry(url) as registry, registry.read():
            pass

    for call in (migrate.upgrade, migrate.current, read):
        message = _nowhere(call)
        assert "does not answer" in message
        assert "secret" not in message


def test_a_postgresql_database_that_is_not_there(postgres_server: PostgresServer) -> None:
    with pytest.raises(RegistryUnreachable, match="does not exist"):
        migrate.upgrade(postgres_server.url("nowhere"))


@pytest.mark.parametrize("url", ["mysql://host/db", "postgresql://host/db", "registry.sqlite", "", "sqlite://"])
def test_urls_that_are_no_registry(url: str) -> None:
    with pytest.raises(UsageError, match="give sqlite:///PATH"):
        migrate.upgrade(url)


# As a program of revision 0001 wrote one.
EVALUATION = (
    "INSERT INTO evaluation (job_id, attempt, checkpoint_path, dataset_hash, split, protocol, height, width, engine,"
    " images, mean_iou, mean_iou_19, pixel_accuracy, mean_loss, iou_class, created_at)"
    " VALUES ({}, 1, '/c.ckpt', 'd', 'val', '{}', 64, 64, 'e', 1, 0.5, 0.4, 0.9, 0.3, '[]', '2026-01-01 00:00:00')"
)


def _protocols(database_url: str) -> list[str]:
    engine = make_engine(database_url)
    with engine.connect() as connection:
        found = list(connection.execute(text("SELECT protocol FROM evaluation ORDER BY id")).scalars())
    engine.dispose()
    return found


def test_evaluations_of_older_programs_get_the_protocols_names(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    with Registry(empty_url) as registry, registry.write() as session:
        job = submit(session)
    migrate.downgrade(empty_url, "0001")
    before = ["erfnet", "encoder-1/8", "erfnet", "of someone else"]
    for protocol in before:
        _execute(empty_url, EVALUATION.format(job, protocol))

    migrate.upgrade(empty_url)

    assert _protocols(empty_url) == ["half", "encoder-half", "half", "of someone else"]
    with Registry(empty_url) as registry, registry.read() as session:
        result = best(session, "mean_iou", top=9)
        assert (result.group.protocol, len(result.rows)) == ("half", 2)
        assert {row.evaluation.iou_category for row in result.rows} == {None}
    migrate.downgrade(empty_url, "0001")
    assert _protocols(empty_url) == before


ARTIFACT = (
    "INSERT INTO artifact (job_id, attempt, format, path, sha256, size, created_at)"
    " VALUES ({}, 1, 'onnx', '/m.onnx', 'h', 1, '2026-01-01 00:00:00')"
)
JOB = (
    "INSERT INTO job (kind, state, priority, cards, max_attempts, spec, user_name, user_host, attempt,"
    " cancel_requested, created_at)"
    " VALUES ('export', 'queued', 0, 1, 1, '{}', 'u', 'h', 0, false, '2026-01-01 00:00:00')"
)
# What a program of revision 0004 adds.
CONVERTED = "UPDATE evaluation SET model_sha256 = 'm', images_per_second = 30.5, mean_loss = NULL WHERE id = {}"


def _evaluations(database_url: str) -> list[tuple[Any, ...]]:
    engine = make_engine(database_url)
    with engine.connect() as connection:
        wanted = text("SELECT id, job_id, protocol, mean_loss, iou_class FROM evaluation ORDER BY id")
        found = [tuple(row) for row in connection.execute(wanted)]
    engine.dispose()
    return found


def _shape(database_url: str) -> tuple[Any, ...]:
    """Indices with their conditions, and foreign keys, of evaluations as the database tells them."""
    engine = make_engine(database_url)
    inspector = inspect(engine)
    indices = sorted(
        (str(index["name"]), tuple(index["column_names"]), sorted(map(str, index.get("dialect_options", {}).values())))
        for index in inspector.get_indexes("evaluation")
    )
    keys = sorted(
        (key["referred_table"], tuple(key["constrained_columns"])) for key in inspector.get_foreign_keys("evaluation")
    )
    engine.dispose()
    return indices, keys


def test_evaluations_stay_when_their_table_is_made_anew(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    with Registry(empty_url) as registry, registry.write() as session:
        job = submit(session)
    migrate.downgrade(empty_url, "0003")
    shape = _shape(empty_url)
    for protocol in ("half", "full", "gone"):
        _execute(empty_url, EVALUATION.format(job, protocol))
    _execute(empty_url, "DELETE FROM evaluation WHERE protocol = 'gone'")
    before = [(1, job, "half", 0.3, "[]"), (2, job, "full", 0.3, "[]")]
    assert _evaluations(empty_url) == before

    migrate.upgrade(empty_url)

    assert _evaluations(empty_url) == before
    # A worker of the older program that still runs writes as it did, and no id comes twice.
    _execute(empty_url, EVALUATION.format(job, "late"), ARTIFACT.format(job), JOB)
    assert _evaluations(empty_url) == [*before, (4, job, "late", 0.3, "[]")]
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        _execute(empty_url, EVALUATION.format(job + 9, "of nobody"))
    _execute(empty_url, CONVERTED.format(4))

    migrate.downgrade(empty_url, "0003")

    assert _evaluations(empty_url) == before
    assert _shape(empty_url) == shape
    _execute(empty_url, EVALUATION.format(job, "again"))
    assert _evaluations(empty_url)[-1][0] == (5 if empty_url.startswith("sqlite") else 6)


def test_the_numbers_of_an_empty_table_stay_as_well(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    with Registry(empty_url) as registry, registry.write() as session:
        job = submit(session)
    migrate.downgrade(empty_url, "0003")
    _execute(empty_url, EVALUATION.format(job, "gone"), "DELETE FROM evaluation")
    migrate.upgrade(empty_url)
    _execute(empty_url, EVALUATION.format(job, "half"))
    assert [row[0] for row in _evaluations(empty_url)] == [2]
