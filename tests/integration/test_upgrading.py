"""Upgrading a registry in the order of the README: what runs goes on, what waits runs after, nobody mixes versions."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from erfnet_jobs.errors import RegistryNotMigrated
from erfnet_jobs.registry import migrate
from erfnet_jobs.registry.engine import HEAD, make_engine
from erfnet_jobs.registry.metrics import metric_series
from erfnet_jobs.states import JobState, Outcome
from tests.cli_calls import Shell
from tests.services import NewSite, Site, eventually

OLDER = "0003"
# As migrations here are: columns that may be null or have a default, new tables, and a table that is made anew.
NEWER = f'''
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{HEAD}"
branch_labels = None
depends_on = None


def upgrade():
    for table in ("job", "attempt", "lease", "host", "metric", "checkpoint", "log_tail", "event"):
        op.add_column(table, sa.Column("of_later", sa.Text(), nullable=True))
    op.add_column("placement", sa.Column("weight", sa.Integer(), nullable=False, server_default="1"))
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
    with op.batch_alter_table("device", recreate="always" if op.get_bind().dialect.name == "sqlite" else "never") as batch:
        batch.alter_column("name", existing_type=sa.Text(), nullable=True)


def downgrade():
    raise NotImplementedError
'''  # noqa: E501 - its lines are not read


@pytest.fixture
def newer_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`migrate` is that of a program which knows one revision more."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrate.scripts(), folder)
    (folder / "versions" / "9999_later.py").write_text(NEWER)
    monkeypatch.setattr(migrate, "scripts", lambda: folder)
    return


def steps(folder: Path) -> list[list[object]]:
    return [
        ["hello"],
        ["metric", 1, 1, 1, {"loss": 1.0}],
        ["wait_for", str(folder / "go")],
        ["metric", 1, 1, 2, {"loss": 0.5}],
        ["checkpoint", 1, 1, 2],
        ["done"],
    ]


def losses(site: Site, job: int) -> list[float]:
    return [value.value for value in site.ask(lambda session: metric_series(session, job, "loss"))]


def metrics_arrived(site: Site, job: int) -> bool:
    return bool(site.ask(lambda s: s.execute(text("SELECT count(*) FROM metric")).scalar_one()))


def test_a_training_goes_on_through_an_upgrade(
    new_site: NewSite, database_url: str, newer_program: None, shell: Shell
) -> None:
    site = new_site(database_url)
    site.start_worker()
    site.script({"default": steps(site.folder)})
    running, waiting = site.train(cards=2), site.train()
    site.until(running, JobState.RUNNING)
    eventually(lambda: metrics_arrived(site, running), "the first metric is there")
    site.stop_worker()

    assert migrate.upgrade(database_url) == (HEAD, "9999")

    (site.folder / "go").touch()
    site.until(running, JobState.SUCCEEDED)
    assert losses(site, running) == [1.0, 0.5]
    assert len(site.attempts(running)) == 1
    assert site.job(waiting).state == JobState.QUEUED
    # Workers and clients of the old program keep out.
    assert site.spawn_worker().wait(30) == RegistryNotMigrated.exit_code
    for arguments in (["status"], ["cancel", waiting], ["db", "backup", site.folder / "x"]):
        called = shell("--database-url", database_url, *arguments)
        assert (called.code, "newer" in called.err or "9999" in called.err) == (RegistryNotMigrated.exit_code, True)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "home", capsys)


def test_what_an_older_program_left_goes_on_after_the_upgrade(
    new_site: NewSite, database_url: str, shell: Shell
) -> None:
    site = new_site(database_url, lease_timeout=2)
    site.start_worker()
    site.script({"default": steps(site.folder)})
    running, waiting = site.train(cards=2), site.train()
    site.until(running, JobState.RUNNING)
    eventually(lambda: metrics_arrived(site, running), "the first metric is there")
    for pid in site.processes():  # the worker too
        os.kill(pid, signal.SIGKILL)
    assert site.worker is not None
    site.worker.wait()
    site.worker = None
    site.registry.close()
    migrate.downgrade(database_url, OLDER)  # rows with a lease, an attempt that runs, and one that waits, as of 0003
    assert _version(database_url) == OLDER

    # A new program keeps out until it is told to upgrade.
    assert site.spawn_worker().wait(30) == RegistryNotMigrated.exit_code
    assert "run 'erfnet-jobs db upgrade'" in site.log
    called = shell("--database-url", database_url, "status")
    assert (called.code, "db upgrade" in called.err) == (RegistryNotMigrated.exit_code, True)
    assert shell("--database-url", database_url, "db", "upgrade").code == 0
    (site.folder / "go").touch()
    site.start_worker()

    site.until(running, JobState.SUCCEEDED)
    site.until(waiting, JobState.SUCCEEDED)
    assert [attempt.outcome for attempt in site.attempts(running)] == [Outcome.LOST, Outcome.SUCCEEDED]


def _version(database_url: str) -> str | None:
    engine = make_engine(database_url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    engine.dispose()
    return str(found)
