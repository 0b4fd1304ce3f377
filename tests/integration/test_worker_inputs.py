"""What only the host of a job can check before it starts: paths, checkpoints, the run folder, the disk."""

import os
import shutil
import subprocess

import pytest

from erfnet_jobs.jobs import Request
from erfnet_jobs.specs import ExportSpec
from erfnet_jobs.states import JobState
from erfnet_jobs.train_spec import TrainSpec
from tests.services import NewSite, Site, eventually

FAILED = JobState.FAILED


def test_what_only_the_host_can_check(site: Site) -> None:
    gone = site.submit(Request(TrainSpec(str(site.folder / "nowhere"))))
    weights = site.submit(Request(ExportSpec(str(site.folder / "none.ckpt"))))
    unknown = site.submit(Request(ExportSpec("77")))
    for name in ("endless", "endless.ckpt"):
        (site.folder / name).symlink_to("x" * 300)
    endless = site.submit(Request(TrainSpec(str(site.folder / "endless"))))
    endless_weights = site.submit(Request(ExportSpec(str(site.folder / "endless.ckpt"))))
    for job, error, words in [
        (gone, "BadData", "nowhere is not there"),
        (weights, "BadCheckpoint", "none.ckpt is not there"),
        (unknown, "NotFound", "checkpoint 77 is unknown"),
        (endless, "BadData", "endless cannot be read here (File name too long)"),
        (endless_weights, "BadCheckpoint", "endless.ckpt cannot be read here (File name too long)"),
    ]:
        ended = site.until(job, FAILED)
        (attempt,) = site.attempts(job)
        assert (attempt.error, attempt.permanent) == (error, True)
        assert words in (ended.reason or "")
    eventually(site.idle, "nothing was started")


def test_a_run_folder_of_another_registry_is_refused(site: Site) -> None:
    runs = site.settings.runs
    (runs / "1").mkdir(parents=True)
    (runs / "1" / "job.json").write_text('{"registry": "another"}')
    job = site.train()

    ended = site.until(job, FAILED)

    assert "belongs to job 1 of another registry (another): set ERFNET_JOBS_RUNS" in (ended.reason or "")


def test_a_run_folder_that_cannot_be_written(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url)
    site.start_worker()
    (site.settings.runs / "1").write_text("a file where the folder should be")
    job = site.train()

    assert "cannot be written" in (site.until(job, FAILED).reason or "")
    assert site.worker is not None
    assert site.worker.poll() is None


def test_a_full_disk(new_site: NewSite, sqlite_url: str) -> None:
    site = new_site(sqlite_url)
    site.settings.runs.mkdir()
    unshare = shutil.which("unshare") or "unshare"
    if subprocess.run([unshare, "-rm", "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        assert not os.environ.get("CI"), "this machine has no mount namespaces for a small disk"
        pytest.skip("this machine has no mount namespaces for a small disk")
    # Two pages: one for the storage's mark, one for job.json, none for the plan.
    mount = f'mount -t tmpfs -o size=8k none {site.settings.runs} && exec "$@"'
    site.start_worker(wrapper=(unshare, "-rm", "sh", "-c", mount, "sh"))
    job = site.train(max_attempts=2)

    ended = site.until(job, FAILED)

    assert "no space left below" in (ended.reason or "")
    assert [attempt.error for attempt in site.attempts(job)] == ["DiskFull", "DiskFull"]
    assert site.worker is not None
    assert site.worker.poll() is None
