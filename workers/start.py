"""Starting a part on this host: its plan and its run folder, then its supervisor, which outlives this process."""

import itertools
import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs import __version__
from erfnet_jobs.allowed_paths import allowed_roots, check_plan
from erfnet_jobs.ascend.devices import threads_per_rank
from erfnet_jobs.ascend.environment import ATTEMPT_MARK
from erfnet_jobs.errors import ErfnetJobsError, RanksFailed, UsageError
from erfnet_jobs.files import sync_folder, write_atomically
from erfnet_jobs.launch.foreground import disk_errors
from erfnet_jobs.launch.gang import PLAN_NAME, RANK_TABLE_NAME, attempt_mark
from erfnet_jobs.launch.program import module_command, with_this_package
from erfnet_jobs.plan import CheckpointFile, Plan, write_plan
from erfnet_jobs.registry.attempts import End, claim, end_part
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.events import record_event
from erfnet_jobs.registry.jobs import get_job
from erfnet_jobs.registry.parts import HeldPart
from erfnet_jobs.registry.tables import Attempt, RegistryIdentity
from erfnet_jobs.settings import Settings, environment_of
from erfnet_jobs.specs import spec_from_json, spec_to_dict
from erfnet_jobs.states import JobKind, Outcome
from workers.inputs import check_paths, named_checkpoints, newest_on_disk
from workers.programs import check_programs
from workers.ranks import ranks_of
from workers.revision import revision

JOB_NAME = "job.json"
SUPERVISOR = "workers.supervisor"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claimed:
    """A part that this host may start, and what goes into its run folder."""

    part: HeldPart
    plan: Plan
    job: Mapping[str, object]
    rank_table: str | None = None

    @property
    def leads(self) -> bool:
        """Whether rank 0 is this host's, who makes the attempt's folder."""
        return self.part.first_rank == 0


def claim_part(registry: Registry, part: HeldPart, settings: Settings) -> Claimed | None:
    """Take the part, and plan it. None where it is not to be started (any more, or yet).

    A plan that cannot be made ends the attempt in the same transaction.
    """
    key = part.key
    # Only the host of rank 0 writes the plan, and rank 0 alone reads what it goes on from.
    resume = newest_on_disk(registry, key.job) if part.kind == JobKind.TRAIN and part.first_rank == 0 else None
    with registry.write() as session:
        if not claim(session, key.job, key.attempt, key.host, None):
            return None
        try:
            plan, table = _plan(session, part, settings, resume)
        except ErfnetJobsError as error:
            end_part(session, key.job, key.attempt, key.host, failure(error), settings.retry_delay)
            return None
        return Claimed(part, plan, _job_document(session, plan), table)


def failure(error: ErfnetJobsError) -> End:
    """How an attempt ends whose part could not be started."""
    return End(Outcome.FAILED, str(error), error=type(error).__name__, permanent=error.permanent)


def _plan(
    session: Session, part: HeldPart, settings: Settings, resume: CheckpointFile | None
) -> tuple[Plan, str | None]:
    """The attempt's plan, and the text of its rank table."""
    key = part.key
    job = get_job(session, key.job)
    spec = spec_from_json(job.spec)
    attempt = session.get_one(Attempt, (key.job, key.attempt))
    if part.first_rank == 0:
        attempt.run_dir = str(_free_folder(settings.runs / str(key.job), key.attempt))
    # What goes on needs no longer what the user named for the start; it may have left the disk.
    inputs = named_checkpoints(session, spec) if resume is None and part.first_rank == 0 else ()
    if resume is not None:
        attempt.resumed_from = resume.id
    ranks = ranks_of(session, key)
    plan = Plan(
        kind=spec.kind,
        spec=spec,
        run_dir=attempt.run_dir,
        data_dir=str(settings.data_dir),
        ranks=ranks.places,
        job=key.job,
        attempt=key.attempt,
        inputs=inputs,
        resume=resume,
        threads=threads_per_rank(len(part.devices)),
        allowed=allowed_roots(settings),
        time_limit=job.time_limit,
        device_target=ranks.target,
        rank_table=None if ranks.table is None else str(Path(attempt.run_dir, RANK_TABLE_NAME)),
    )
    if ranks.note is not None and part.first_rank == 0:
        log.info("job %d attempt %d starts with %s", key.job, key.attempt, ranks.note)
        record_event(session, "rank table", ranks.note, job=key.job, attempt=key.attempt)
    return plan, ranks.table


def _free_folder(folder: Path, attempt: int) -> Path:
    """Where an attempt is to run: below its own number.

    A registry that was restored from a backup gives a number again that an attempt after the backup had.
    """
    names = itertools.chain([str(attempt)], (f"{attempt}.{again}" for again in itertools.count(2)))
    return next(path for name in names if not os.path.lexists(path := folder / name))


def _job_document(session: Session, plan: Plan) -> dict[str, object]:
    job = get_job(session, plan.job or 0)
    return {
        "registry": session.scalars(select(RegistryIdentity.uuid)).one(),
        "job": job.id,
        "name": job.name,
        "user": f"{job.user_name}@{job.user_host}",
        "submitted_at": job.created_at.isoformat(),
        "spec": spec_to_dict(plan.spec),
        "seed": getattr(plan.spec, "seed", None),
        "versions": _versions(),
        "revision": revision(Path(__file__).parents[1]),
    }


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"erfnet-jobs": __version__, "python": sys.version.split()[0]}
    for package in ("mindspore", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def start_part(claimed: Claimed, registry: Registry, settings: Settings) -> "subprocess.Popen[bytes] | None":
    """Check what only this host can check, write the run folder, start the supervisor.

    None where that failed: then nothing has been started, and the attempt has ended with the reason.
    """
    plan = claimed.plan
    try:
        check_plan(plan)
        check_paths(plan.spec, plan.inputs)
        check_programs(plan, settings)
        folder = _run_folder(claimed)
        return _start_supervisor(claimed, folder, settings)
    except ErfnetJobsError as error:
        key = claimed.part.key
        with registry.write() as session:
            end_part(session, key.job, key.attempt, key.host, failure(error), settings.retry_delay)
        return None


def _run_folder(claimed: Claimed) -> Path:
    folder = Path(claimed.plan.run_dir)
    with disk_errors(folder):
        if claimed.leads:
            folder.parent.mkdir(parents=True, exist_ok=True)
            _write_job(folder.parent / JOB_NAME, claimed.job)
            _make_folder(folder)
            if claimed.rank_table is not None:
                write_atomically(folder / RANK_TABLE_NAME, claimed.rank_table.encode())
            write_plan(claimed.plan, folder / PLAN_NAME)
        (folder / "logs").mkdir(exist_ok=True)
    return folder


def _write_job(path: Path, document: Mapping[str, object]) -> None:
    """Once per job; a folder that belongs to another registry is refused."""
    try:
        owner = json.loads(path.read_bytes()).get("registry")
    except FileNotFoundError:
        write_atomically(path, json.dumps(document, indent=2).encode() + b"\n")
        return
    except (ValueError, AttributeError) as error:
        raise UsageError(f"{path} is damaged ({error}): move {path.parent} away and submit the job again") from error
    if owner != document["registry"]:
        raise UsageError(
            f"{path.parent} belongs to job {document['job']} of another registry ({owner}): set ERFNET_JOBS_RUNS to "
            "a folder of this registry's own, or move that one away"
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir()
    except FileExistsError as error:
        raise UsageError(f"{folder} is there already, and this attempt did not make it: move it away") from error
    sync_folder(folder.parent)


def supervisor_log(claimed: Claimed, folder: Path) -> Path:
    """Where a supervisor writes; several hosts may share the folder."""
    name = "supervisor.log" if claimed.leads else f"supervisor.{claimed.part.key.host}.log"
    return folder / "logs" / name


def _start_supervisor(claimed: Claimed, folder: Path, settings: Settings) -> "subprocess.Popen[bytes]":
    scheduler = claimed.part.scheduler
    address = [f"{scheduler[0]}:{scheduler[1]}"] if scheduler and not claimed.leads else []
    mark = attempt_mark(claimed.plan, settings.host_name)
    environ = {**with_this_package(os.environ), **environment_of(settings), ATTEMPT_MARK: mark}
    with disk_errors(folder), supervisor_log(claimed, folder).open("ab") as log:
        try:
            return subprocess.Popen(
                module_command(SUPERVISOR, str(folder), *address),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environ,
                cwd="/",
                start_new_session=True,
            )
        except BlockingIOError as error:  # EAGAIN: too many processes of this user
            raise RanksFailed(
                f"no more processes can be started here ({error}): raise the limit (ulimit -u)"
            ) from error
