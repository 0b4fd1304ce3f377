"""Which weights jobs that have not ended name, and on which storages the files lie that queued ones need."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from erfnet_jobs.registry.queue import QueuedJob
from erfnet_jobs.registry.tables import Checkpoint, Job, JobDependency
from erfnet_jobs.states import TERMINAL, JobState


@dataclass(frozen=True)
class NamedWeights:
    """The weights that jobs which have not ended name, each with who needs them: by id, by job, and by path."""

    ids: Mapping[int, str]
    jobs: Mapping[int, str]
    paths: Mapping[str, str]

    def why(self, checkpoint: Checkpoint) -> str | None:
        """Who needs a checkpoint itself; None where nobody names it."""
        return self.ids.get(checkpoint.id) or self.why_path(checkpoint.path)

    def why_path(self, path: str) -> str | None:
        """Who needs the file at a path, links in it resolved too."""
        return self.paths.get(path) or self.paths.get(os.path.realpath(path)) if self.paths else None


_REFERENCE = re.compile(r'"(\d+)(:(?:best|last|all))?"')


def needed_storages(session: Session, jobs: Sequence[QueuedJob]) -> dict[int, frozenset[str]]:
    """On which storages the files lie that each job needs: its own, of jobs it came after, of checkpoints it names.

    Several tell that no host sees all of them. A fixed number of questions, however many jobs are asked for.
    """
    needs: dict[int, set[str]] = {job.id: {job.storage_id} if job.storage_id else set() for job in jobs}
    for job, storage in [*_of_jobs_before(session, needs), *_of_references(session, needs)]:
        needs[job].add(storage)
    return {job: frozenset(storages) for job, storages in needs.items() if storages}


def named_weights(session: Session) -> NamedWeights:
    """What the specs of all jobs that have not ended name."""
    ids: dict[int, str] = {}
    jobs: dict[int, str] = {}
    paths: dict[str, str] = {}
    # Not `NOT IN`, for which the databases read all jobs that have ended.
    going_on = [state for state in JobState if state not in TERMINAL]
    unfinished = select(Job.id, Job.state, Job.spec).where(Job.state.in_(going_on)).order_by(Job.id)
    for job, state, text in session.execute(unfinished):
        why = f"job {job}, which is {state}, needs them"
        for name in _names(json.loads(text)):
            if found := _REFERENCE.fullmatch(f'"{name}"'):
                (jobs if found[2] else ids).setdefault(int(found[1]), why)
            else:
                paths.update(dict.fromkeys((name, os.path.realpath(name)), why))
    return NamedWeights(ids, jobs, paths)


def _names(spec: Mapping[str, object]) -> Iterator[str]:
    for value in (spec.get("checkpoint"), spec.get("checkpoints")):
        names = value if isinstance(value, list) else [value]
        yield from (name for name in names if isinstance(name, str))


def _of_jobs_before(session: Session, jobs: Iterable[int]) -> list[tuple[int, str]]:
    needed = aliased(Job)
    before = (
        select(JobDependency.job_id, needed.storage_id)
        .join(needed, needed.id == JobDependency.needs_job_id)
        .where(JobDependency.job_id.in_(list(jobs)), needed.storage_id.is_not(None))
    )
    return [(job, storage) for job, storage in session.execute(before) if storage]


def _of_references(session: Session, jobs: Iterable[int]) -> list[tuple[int, str]]:
    specs = session.execute(select(Job.id, Job.spec).where(Job.id.in_(list(jobs)))).tuples()
    named = {job: found for job, spec in specs if (found := _references(json.loads(spec)))}
    if not named:
        return []
    checkpoints = {number for found in named.values() for number, of_job in found if not of_job}
    makers = _makers(session, checkpoints)
    by_job = {job: {n if of_job else makers.get(n) for n, of_job in found} for job, found in named.items()}
    storages = _storages(session, {maker for found in by_job.values() for maker in found if maker is not None})
    return [(job, storages[maker]) for job, found in by_job.items() for maker in found if maker in storages]


def _references(spec: Mapping[str, object]) -> set[tuple[int, bool]]:
    """The numbers in a spec's references, and whether each is a job's (JOB:best) or a checkpoint's."""
    named = json.dumps([spec.get("checkpoint"), spec.get("checkpoints")])
    return {(int(number), bool(of_job)) for number, of_job in _REFERENCE.findall(named)}


def _makers(session: Session, checkpoints: set[int]) -> dict[int, int | None]:
    rows = select(Checkpoint.id, Checkpoint.job_id).where(Checkpoint.id.in_(checkpoints))
    return dict(session.execute(rows).tuples().all()) if checkpoints else {}


def _storages(session: Session, jobs: set[int]) -> dict[int, str]:
    rows = select(Job.id, Job.storage_id).where(Job.id.in_(jobs), Job.storage_id.is_not(None))
    return {job: storage for job, storage in session.execute(rows) if storage}
