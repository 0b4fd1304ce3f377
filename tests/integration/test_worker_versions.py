"""A worker and a registry that somebody upgrades: the worker refuses, or takes no more jobs, and what runs goes on."""

from sqlalchemy import text

from erfnet_jobs.errors import RegistryNotMigrated
from erfnet_jobs.registry.engine import HEAD
from erfnet_jobs.states import JobState
from tests.services import NewSite, Site, eventually


def stamp(site: Site, version: str) -> None:
    """Have the registry be of another version, as far as programs see."""
    with site.registry.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})


def test_an_old_worker_refuses_a_newer_registry(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url)
    stamp(site, "9999")

    assert site.spawn_worker().wait(30) == RegistryNotMigrated.exit_code
    assert f"at version 9999, this program needs {HEAD}: the registry is newer" in site.log
    assert "Traceback" not in site.log


def test_a_registry_that_is_upgraded_under_a_worker(new_site: NewSite, database_url: str) -> None:
    site = new_site(database_url)
    site.start_worker()
    go = site.folder / "go"
    site.script({"default": [["hello"], ["wait_for", str(go)], ["done"]]})
    running = site.train()
    site.until(running, JobState.RUNNING)
    stamp(site, "9999")
    eventually(lambda: "the registry is newer" in site.log, "the worker has noticed")

    waiting = site.train()
    go.touch()
    site.until(running, JobState.SUCCEEDED)  # its supervisor goes on
    assert site.job(waiting).state == JobState.QUEUED
    assert site.log.count("the registry is newer") == 1
    stamp(site, HEAD)

    site.until(waiting, JobState.SUCCEEDED)
    assert "the registry answers again" in site.log
