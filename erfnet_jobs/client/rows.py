"""The part of a submission that asks the registry: what it must wait for, whether a host can ever run it, its rows."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from erfnet_jobs.client import submission
from erfnet_jobs.client.document import Document
from erfnet_jobs.client.host_states import host_states
from erfnet_jobs.client.job_documents import training_document
from erfnet_jobs.client.submission import Following
from erfnet_jobs.errors import NoHostFits
from erfnet_jobs.jobs import Request
from erfnet_jobs.placement import Demand, HostState, can_ever_run, families_of_kind, none_open
from erfnet_jobs.placement.decide import Placing
from erfnet_jobs.placement.ever import counts_that_work, lack_the_program
from erfnet_jobs.registry.checkpoints import resolve_checkpoints
from erfnet_jobs.registry.events import Actor
from erfnet_jobs.registry.jobs import get_job, new_group, submit_job
from erfnet_jobs.registry.prune import check_not_pruned, lock_weights
from erfnet_jobs.registry.tables import Job, JobDependency
from erfnet_jobs.specs import spec_to_dict
from erfnet_jobs.states import TERMINAL, JobKind, JobState
from erfnet_jobs.train_spec import TrainSpec

# Hosts come and go in minutes; who submits a thousand jobs need not ask a thousand times.
HOSTS_SECONDS = 2.0


def with_needs(session: Session, request: Request) -> Request:
    """The request after the jobs whose checkpoints it uses; raises NotFound for a checkpoint that is not there.

    None of them is pruned any more once this transaction has ended with the request in the registry.

    A checkpoint of a job that goes on is found when that has ended, so the request comes after it; JOB:best also comes
    after the evaluations that follow that job.
    """
    after = list(request.after)
    references, paths = submission.checkpoint_references(request.spec), submission.checkpoint_paths(request.spec)
    if references or paths:
        lock_weights(session, alone=False)
    for path in paths:
        check_not_pruned(session, path)
    for reference in references:
        job_id, _, which = reference.partition(":")
        if which and get_job(session, int(job_id)).state not in TERMINAL:
            after.append(int(job_id))
        else:
            resolve_checkpoints(session, reference)
        if which == "best":
            after.extend(_evaluations_pending(session, int(job_id)))
    return replace(request, after=tuple(dict.fromkeys(after))) if after else request


def _evaluations_pending(session: Session, job_id: int) -> list[int]:
    pending = (
        select(Job.id)
        .join(JobDependency, JobDependency.job_id == Job.id)
        .where(JobDependency.needs_job_id == job_id, Job.kind == JobKind.EVAL, Job.state.not_in(TERMINAL))
    )
    return list(session.scalars(pending))


def insert_jobs(session: Session, request: Request, actor: Actor, following: Following) -> list[Job]:
    """The rows of a job and of those that follow it, in one group; the evaluation comes before what uses the best."""
    followed = isinstance(request.spec, TrainSpec) and (following.evaluate or bool(following.then))
    group = new_group(session) if followed else None
    first = submit_job(session, request, actor, group=group)
    rows, after = [first], (first.id,)
    for follower in submission.follow_ups(request, first.id, following):
        row = submit_job(session, replace(follower, after=after), actor, group=group)
        rows.append(row)
        if row.kind == JobKind.EVAL:
            after = (row.id,)
    return rows


def _demand(request: Request) -> Demand:
    families = families_of_kind(request.spec.kind, request.allow_cpu)
    return Demand(
        0,
        request.spec.cards,
        request.priority,
        request.host,
        request.devices,
        pinned=request.pinned,
        families=families,
        infer_310=request.spec.kind == JobKind.INFER_310,
    )


class HostsSeen:
    """The registry's hosts, as they were at most two seconds ago.

    Those that have not been heard of for `lease_timeout` seconds are not open.
    """

    def __init__(self, lease_timeout: float) -> None:
        self._lease_timeout = lease_timeout
        self._hosts: list[HostState] = []
        self._until = 0.0

    def _current(self, session: Session) -> list[HostState]:
        if time.monotonic() >= self._until:
            self._hosts = host_states(session, self._lease_timeout)
            self._until = time.monotonic() + HOSTS_SECONDS
        return self._hosts

    def check(self, session: Session, request: Request, followers: Iterable[Request] = ()) -> str | None:
        """Why it waits for a host, where no host takes jobs.

        Raises NoHostFits where the hosts can never run it, or one of the jobs that follow it.
        """
        hosts = self._current(session)
        self._check_ever(request, "this", hosts)
        # What else follows takes one card of the hosts that can train.
        for follower in (each for each in followers if each.spec.kind == JobKind.INFER_310):
            self._check_ever(follower, f"the {follower.spec.kind} job that is to follow", hosts)
        if not hosts:
            return "no host is registered yet: the job waits until one is; start one with 'erfnet-jobs up'"
        return none_open(hosts)

    def _check_ever(self, request: Request, what: str, hosts: Sequence[HostState]) -> None:
        demand = _demand(request)
        if why := can_ever_run(demand, hosts):
            raise NoHostFits(f"no host can ever run {what}: {why}{_wish(demand, hosts)}")

    def now(self, session: Session, request: Request) -> Document | None:
        """Where the job would go if it were the next one, or why it would wait; None where it comes after others."""
        hosts = self._current(session)
        if request.after or not hosts:
            return None
        decision = Placing(hosts).decide(_demand(request))
        return {"parts": [[part.host, list(part.devices)] for part in decision.parts], "reason": decision.reason}

    def fitting(self, session: Session, request: Request) -> list[Document]:
        """The hosts that could take part, with how many of their devices are free now."""
        demand = replace(_demand(request), cards=1, pinned=None)
        named = None if request.pinned is None else {part.host for part in request.pinned}
        return [
            {
                "name": host.name,
                "usable": len(host.usable),
                "free": len(host.free),
                "up": host.is_open,
                "closed": host.closed or None,
            }
            for host in self._current(session)
            if host.usable and (named is None or host.name in named) and can_ever_run(demand, [host]) is None
        ]


def _wish(demand: Demand, hosts: Sequence[HostState]) -> str:
    """What to do about a job that no host can ever run, where the reason does not say it itself."""
    asked = [host for host in hosts if demand.host in (None, host.name)]
    if asked and demand.families is not None and not any(host.family in demand.families for host in asked):
        return "; add such a host" if demand.host is None else "; name such a host, or leave --host out"
    if lack_the_program(demand, asked):
        return ""
    exactly = demand.devices is not None or demand.pinned is not None
    if not exactly and counts_that_work(demand, hosts):
        return ""
    return f"; ask for {'other devices' if exactly else 'fewer cards'}, or add a host"


def plan_document(request: Request) -> Document:
    """A job that would be submitted."""
    spec = request.spec
    document: Document = {
        "kind": str(spec.kind),
        "name": request.name,
        "cards": spec.cards,
        "state": str(JobState.WAITING if request.after else JobState.QUEUED),
        "after": list(request.after),
        "host": request.host,
        "devices": None if request.devices is None else list(request.devices),
        "pinned": None if request.pinned is None else [[part.host, list(part.devices)] for part in request.pinned],
        "max_attempts": request.max_attempts,
        "time_limit": request.time_limit,
        "training": training_document(spec),
        "spec": spec_to_dict(spec),
    }
    if isinstance(spec, TrainSpec):
        document["stages"] = [
            {"stage": stage, "epochs": spec.epochs[stage - 1], "lr": spec.first_lr} for stage in spec.stages
        ]
    return document
